package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/audit"
	"github.com/tallyman-io/tallyman/internal/mirror"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/vex"
)

const (
	// noPolicy and builtIn are what --policy may say in place of a file.
	noPolicy = "none"
	builtIn  = "built-in"
	// builtInPolicy is what reports call it.
	builtInPolicy = "built-in policy"
)

// judgeFlags say by which policy images are judged, and by what they are counted.
type judgeFlags struct {
	policy, db string
	vex        []string
}

func (f *judgeFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.policy, "policy", "", "file of the policy that judges, or built-in, or none (default built-in where there is a database)")
	registerDatabase(flags, &f.db)
	flags.StringArrayVar(&f.vex, "vex", nil, "OpenVEX document whose statements are believed; may be given several times")
}

// judgement is who judges. It has to be closed.
type judgement struct {
	// judge is nil when nobody does, and why says why where nobody said so.
	judge *audit.Judge
	why   string
	close func() error
}

// open returns who judges. Without --policy the built-in one judges where there is a
// database to count with, unless it was said what to look at.
func (f *judgeFlags) open(said bool, now time.Time) (judgement, error) {
	nobody := judgement{close: func() error { return nil }}
	if f.policy == noPolicy || f.policy == "" && said && f.db == "" && len(f.vex) == 0 {
		return nobody, nil
	}
	j := &audit.Judge{Now: now}
	if err := f.choose(j); err != nil {
		return nobody, err
	}
	var err error
	if j.VEX, err = readAllStatements(f.vex); err != nil {
		return nobody, err
	}
	var done func() error
	if j.Advisories, done, err = openAdvisories(f.db); err != nil {
		return nobody, err
	}
	if j.Advisories.DB == nil && f.policy == "" {
		nobody.why = j.Advisories.None + "; --policy built-in judges without"
		return nobody, nil
	}
	return judgement{judge: j, close: done}, nil
}

// choose reads the policy. A mistake in it is one of configuration.
func (f *judgeFlags) choose(j *audit.Judge) (err error) {
	if f.policy == "" || f.policy == builtIn {
		j.Name = builtInPolicy
		j.Policy, err = policy.Default(0)
		return err
	}
	text, err := os.ReadFile(f.policy)
	if err != nil {
		return configError{fmt.Errorf("--policy: %w; expected a file, built-in or none", err)}
	}
	j.Name = f.policy
	if j.Policy, err = policy.Parse(f.policy, text); err != nil {
		return configError{fmt.Errorf("--policy: %w", err)}
	}
	return nil
}

// openAdvisories opens the database of a flag, or the default one, which need not be
// there. The function closes it.
func openAdvisories(flag string) (audit.Advisories, func() error, error) {
	file, err := databaseFile(flag)
	if err != nil {
		return audit.Advisories{}, nil, err
	}
	db, err := advisory.Open(file)
	switch {
	case err == nil:
		return audit.Advisories{DB: db, Synced: mirror.Synced(file, db.Digest())}, db.Close, nil
	case errors.Is(err, advisory.ErrNoDatabase) && flag == "":
		none := "there is no advisory database at " + file + "; make one with tallyman db update or db import"
		return audit.Advisories{None: none}, func() error { return nil }, nil
	case errors.Is(err, advisory.ErrNoDatabase):
		return audit.Advisories{}, nil, fmt.Errorf("%w; make one with tallyman db import or db update", err)
	default:
		return audit.Advisories{}, nil, err
	}
}

func readAllStatements(files []string) ([]vex.Document, error) {
	documents := make([]vex.Document, 0, len(files))
	for _, name := range files {
		document, err := readStatements(name)
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}
