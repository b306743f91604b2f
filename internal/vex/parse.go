package vex

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// MaxDocument bounds a document, in bytes.
	MaxDocument = 16 << 20
	// maxDepth bounds its nesting; the specification's own goes to 8.
	maxDepth = 32
	// namespace is that of the version which is read.
	namespace = "https://openvex.dev/ns/v0.2.0"
	// PredicateType is that of attestations, and of documents in them; with the
	// version behind, or without.
	PredicateType = "https://openvex.dev/ns"
)

// IsPredicateType reports whether attestations of a type carry what Parse reads.
func IsPredicateType(t string) bool { return t == PredicateType || t == namespace }

// document is OpenVEX as JSON (specification, "Document"). Members that are not
// here say nothing about whether a finding counts.
type document struct {
	Context    string      `json:"@context"`
	ID         string      `json:"@id"`
	Author     string      `json:"author"`
	Timestamp  time.Time   `json:"timestamp"`
	Version    number      `json:"version"`
	Statements []statement `json:"statements"`
}

// number is a version. The specification's own example of an attestation has it as
// a string.
type number int

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(text []byte) error {
	value, err := strconv.Atoi(strings.Trim(string(text), `"`))
	if err != nil {
		return fmt.Errorf("version: expected a number, found %.40s", text)
	}
	*n = number(value)
	return nil
}

type statement struct {
	Vulnerability struct {
		Name    string   `json:"name"`
		Aliases []string `json:"aliases"`
	} `json:"vulnerability"`
	Timestamp       time.Time     `json:"timestamp"`
	Products        []jsonProduct `json:"products"`
	Status          Status        `json:"status"`
	Notes           string        `json:"status_notes"`
	Justification   Justification `json:"justification"`
	ImpactStatement string        `json:"impact_statement"`
	ActionStatement string        `json:"action_statement"`
}

type jsonProduct struct {
	jsonComponent

	Subcomponents []jsonComponent `json:"subcomponents"`
}

type jsonComponent struct {
	ID          string            `json:"@id"`
	Identifiers map[string]string `json:"identifiers"`
	Hashes      map[string]string `json:"hashes"`
}

// Document is an OpenVEX document.
type Document struct {
	ID         string
	Author     string
	Version    int
	Origin     Origin
	Statements []Statement // in the order of the document
}

// Parse reads a document. The subject is what an attestation is about: the product
// of statements that name none. A file has no subject, and such a statement in it is
// an error.
func Parse(text []byte, origin Origin, subject release.Digest) (Document, error) {
	raw, err := decode(text)
	if err != nil {
		return Document{}, fmt.Errorf("OpenVEX of %s: %w", origin, err)
	}
	d := Document{ID: raw.ID, Author: raw.Author, Version: int(raw.Version), Origin: origin, Statements: make([]Statement, 0, len(raw.Statements))}
	for i := range raw.Statements {
		s, err := raw.Statements[i].read(raw, origin, subject)
		if err != nil {
			return Document{}, fmt.Errorf("OpenVEX of %s: statements[%d]: %w", origin, i, err)
		}
		d.Statements = append(d.Statements, s)
	}
	return d, nil
}

// Read reads a document from a file.
func Read(name string, in io.Reader) (Document, error) {
	origin := Origin{File: name}
	text, err := io.ReadAll(io.LimitReader(in, MaxDocument+1))
	if err != nil {
		return Document{}, fmt.Errorf("OpenVEX of %s: %w", origin, err)
	}
	return Parse(text, origin, "")
}

func decode(text []byte) (*document, error) {
	if len(text) > MaxDocument {
		return nil, fmt.Errorf("expected at most %d bytes", MaxDocument)
	}
	if err := check(text); err != nil {
		return nil, err
	}
	var raw document
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	switch {
	case !IsPredicateType(raw.Context):
		return nil, fmt.Errorf("@context: expected %s, found %.100q", namespace, raw.Context)
	case raw.ID == "":
		return nil, errors.New("@id: expected an IRI, found nothing")
	case raw.Author == "":
		return nil, errors.New("author: expected a name, found nothing")
	case raw.Timestamp.IsZero():
		return nil, errors.New("timestamp: expected a time, found nothing")
	case raw.Version < 1:
		return nil, fmt.Errorf("version: expected 1 or more, found %d", raw.Version)
	case len(raw.Statements) == 0:
		return nil, errors.New("statements: expected at least one, found none")
	}
	return &raw, nil
}

func (s *statement) read(d *document, origin Origin, subject release.Digest) (Statement, error) {
	out := Statement{
		Vulnerability: s.Vulnerability.Name, Aliases: s.Vulnerability.Aliases, Status: s.Status, Justification: s.Justification,
		Impact: s.ImpactStatement, Action: s.ActionStatement, Notes: s.Notes, Timestamp: s.Timestamp,
		Document: d.ID, Author: d.Author, Origin: origin,
	}
	if out.Timestamp.IsZero() {
		out.Timestamp = d.Timestamp
	}
	switch {
	case out.Vulnerability == "":
		return out, errors.New("vulnerability.name: expected an id, found nothing")
	case !out.Status.valid():
		return out, fmt.Errorf("status: expected %s, found %.60q", statuses, out.Status)
	case out.Justification != "" && !out.Justification.valid():
		return out, fmt.Errorf("justification: expected %s, found %.60q", justifications, out.Justification)
	case out.Status == StatusNotAffected && !out.Suppresses():
		return out, errors.New("expected a justification or an impact_statement for not_affected, found neither")
	case len(s.Products) == 0 && subject == "":
		return out, errors.New("products: expected at least one, found none")
	}
	if out.Suppresses() {
		// One whose end cannot be read is not taken for one without.
		end, err := endOf(out.Notes)
		if err != nil {
			return out, fmt.Errorf("status_notes: %w", err)
		}
		out.Expires = end
	}
	if len(s.Products) == 0 {
		out.products = []product{{component: component{digests: []release.Digest{subject}}}}
	}
	for i, p := range s.Products {
		made := product{component: p.read()}
		if !p.named() {
			return out, fmt.Errorf("products[%d]: expected an @id, identifiers or hashes, found none", i)
		}
		for j, sub := range p.Subcomponents {
			if !sub.named() {
				return out, fmt.Errorf("products[%d].subcomponents[%d]: expected an @id, identifiers or hashes, found none", i, j)
			}
			made.subcomponents = append(made.subcomponents, sub.read())
		}
		out.products = append(out.products, made)
	}
	return out, nil
}

func (c jsonComponent) named() bool { return c.ID != "" || len(c.Identifiers) > 0 || len(c.Hashes) > 0 }

// read keeps the names that can be compared: purls and SHA-256 digests. An @id is
// any of them, or an image as REPOSITORY@DIGEST.
func (c jsonComponent) read() component {
	var out component
	for _, id := range []string{c.ID, c.Identifiers["purl"]} {
		if purl, err := advisory.ParsePURL(id); err == nil {
			out.purls = append(out.purls, purl)
			continue
		}
		if digest, err := release.ParseDigest(id[strings.LastIndexByte(id, '@')+1:]); err == nil {
			out.digests = append(out.digests, digest)
		}
	}
	if hash := strings.ToLower(c.Hashes["sha-256"]); hash != "" {
		if digest, err := release.ParseDigest("sha256:" + strings.TrimPrefix(hash, "sha256:")); err == nil {
			out.digests = append(out.digests, digest)
		}
	}
	return out
}

// check refuses JSON that readers disagree about, or that costs too much to read:
// not UTF-8, nested too deep, a name twice in an object, or more than one value.
func check(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("expected UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := checkValue(decoder, 0); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("expected one JSON value")
	}
	return nil
}

func checkValue(decoder *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("expected at most %d levels of nesting", maxDepth)
	}
	start, err := decoder.Token()
	if err != nil {
		return fmt.Errorf("expected JSON: %w", err)
	}
	delimiter, ok := start.(json.Delim)
	if !ok {
		return nil
	}
	var names map[string]bool
	if delimiter == '{' {
		names = make(map[string]bool)
	}
	for decoder.More() {
		if names != nil {
			token, err := decoder.Token()
			if err != nil {
				return fmt.Errorf("expected JSON: %w", err)
			}
			name, ok := token.(string)
			if !ok {
				return fmt.Errorf("expected the name of a member, found %v", token)
			}
			// encoding/json takes a name in any case.
			folded := strings.ToLower(name)
			if names[folded] {
				return fmt.Errorf("expected %.60q once, found it twice", name)
			}
			names[folded] = true
		}
		if err := checkValue(decoder, depth+1); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return fmt.Errorf("expected JSON: %w", err)
	}
	return nil
}
