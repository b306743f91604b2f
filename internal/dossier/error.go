package dossier

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrDamaged says that a file is not what it was when it was made, or never was a
	// dossier.
	ErrDamaged = errors.New("damaged")
	// ErrVersion says that a file has a form that this version does not know.
	ErrVersion = errors.New("unknown schema")
	// ErrLimit says that a file holds more than is taken; nothing is said of what it is.
	ErrLimit = errors.New("over the limit")
	// ErrRefused says that a copy would have replaced what somebody else put there, or
	// did not come out as its source is.
	ErrRefused = errors.New("refused")
)

// DamageError lists what is wrong with a file. It is [ErrDamaged].
type DamageError struct {
	// Problems has at least one; there are at most [maxProblems].
	Problems []Problem
	// More is how many were found beside.
	More int
}

// maxProblems bounds how many problems are told.
const maxProblems = 20

// Problem is something wrong with one entry.
type Problem struct {
	// Entry is the name in the tar, or what else lies there: "table of contents", "end of
	// the archive".
	Entry string
	// Offset and Length are where it stands in the file, in bytes.
	Offset, Length int64
	Err            error
}

// Error names the entry and where it stands.
func (p Problem) Error() string {
	if p.Length == 0 {
		return fmt.Sprintf("%s: %v", p.Entry, p.Err)
	}
	return fmt.Sprintf("%s (bytes %d to %d of the file): %v", p.Entry, p.Offset, p.Offset+p.Length, p.Err)
}

// Error has a line for each problem.
func (e *DamageError) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.Error())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return ErrDamaged.Error() + ": " + strings.Join(lines, "\n")
}

// Unwrap makes it [ErrDamaged].
func (e *DamageError) Unwrap() error { return ErrDamaged }

func (e *DamageError) add(p Problem) {
	if len(e.Problems) == maxProblems {
		e.More++
		return
	}
	e.Problems = append(e.Problems, p)
}

// orNil is the error, when there is one.
func (e *DamageError) orNil() error {
	if len(e.Problems) == 0 {
		return nil
	}
	return e
}
