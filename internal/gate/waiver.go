package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tallyman-io/tallyman/internal/vex"
)

// ErrWaivers marks a file of waivers that is not usable: it cannot be read, or a waiver
// has no reason or no end.
var ErrWaivers = errors.New("bad waivers")

// Waiver is one statement that suppresses findings, and until when it is stood for.
type Waiver struct {
	Vulnerability string
	Status        vex.Status
	Justification vex.Justification
	// Reason is why the finding does no harm, in words.
	Reason string
	// By is who stands for it.
	By string
	// Expires is the last moment at which it holds.
	Expires time.Time
	// Source is the file, with the place of the statement in it behind a #.
	Source string
	// Signed: the file had a signature that was verified.
	Signed bool
}

// Expired reports whether the waiver holds no more.
func (w *Waiver) Expired(at time.Time) bool { return at.After(w.Expires) }

// String names the waiver for people.
func (w *Waiver) String() string {
	return fmt.Sprintf("%s (%s, by %s, until %s)", w.Vulnerability, w.Source, w.By, w.Expires.UTC().Format(time.DateOnly))
}

// Waivers is what files state.
type Waivers struct {
	documents []vex.Document
	// all are the statements that suppress, in order.
	all []Waiver
	// files are those that were read.
	files []Document
}

// MaxWaivers bounds a file of waivers, in bytes.
const MaxWaivers = 1 << 20

// Add reads a file: an OpenVEX document, or waivers in YAML, by the ending of its name.
// stated is when statements are taken to be made that do not say it. Everything that is
// wrong with the file is told at once; the error is [ErrWaivers].
func (w *Waivers) Add(name string, content []byte, signed bool, stated time.Time) error {
	if len(content) > MaxWaivers {
		return fmt.Errorf("%w: %s: expected at most %d bytes, found more", ErrWaivers, name, MaxWaivers)
	}
	text := content
	switch path.Ext(name) {
	case ".yaml", ".yml":
		var err error
		if text, err = openVEXOf(name, content, stated); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrWaivers, name, err)
		}
	case ".json":
	default:
		return fmt.Errorf("%w: %s: expected .json (OpenVEX), .yaml or .yml, found %q", ErrWaivers, name, path.Ext(name))
	}
	document, err := vex.Parse(text, vex.Origin{File: name}, "")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWaivers, err)
	}
	var wrong []error
	var read []Waiver
	for i := range document.Statements {
		s := &document.Statements[i]
		s.Origin.File = fmt.Sprintf("%s#%d", name, i+1)
		if !s.Suppresses() {
			continue
		}
		waiver, err := waiverOf(s, signed)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %s: %w", s.Origin.File, s.Vulnerability, err))
			continue
		}
		read = append(read, waiver)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %w", ErrWaivers, errors.Join(wrong...))
	}
	w.documents, w.all = append(w.documents, document), append(w.all, read...)
	w.files = append(w.files, Document{name, content})
	return nil
}

func waiverOf(s *vex.Statement, signed bool) (Waiver, error) {
	w := Waiver{
		Vulnerability: s.Vulnerability, Status: s.Status, Justification: s.Justification, Reason: s.Impact,
		By: s.By(), Source: s.Origin.File, Signed: signed,
	}
	if w.Reason == "" && s.Justification == "" {
		return w, errors.New("expected a justification or an impact_statement, found neither")
	}
	if s.Expires.IsZero() {
		return w, errors.New("expected `expires: YYYY-MM-DD` in status_notes, found none")
	}
	w.Expires = s.Expires
	return w, nil
}

// waiversFile is the YAML (docs/gate.md, "Waivers").
type waiversFile struct {
	Version int `yaml:"version"`
	Waivers []struct {
		Vulnerability string   `yaml:"vulnerability"`
		Aliases       []string `yaml:"aliases"`
		Product       string   `yaml:"product"`
		Justification string   `yaml:"justification"`
		Reason        string   `yaml:"reason"`
		Expires       string   `yaml:"expires"`
		By            string   `yaml:"by"`
	} `yaml:"waivers"`
}

// openVEXOf turns waivers in YAML into an OpenVEX document that says the same.
func openVEXOf(name string, content []byte, stated time.Time) ([]byte, error) {
	var file waiversFile
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("expected one YAML document, found more")
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("version: expected 1, found %d", file.Version)
	}
	document := openVEX{
		Context: openVEXContext, ID: "urn:tallyman:waivers:" + name, Author: "waivers of the repository",
		Timestamp: stated.UTC(), Version: 1,
	}
	var wrong []error
	for i, w := range file.Waivers {
		missing := []string{}
		for _, field := range []struct{ name, value string }{
			{"vulnerability", w.Vulnerability}, {"product", w.Product}, {"reason", w.Reason}, {"expires", w.Expires}, {"by", w.By},
		} {
			if strings.TrimSpace(field.value) == "" {
				missing = append(missing, field.name)
			}
		}
		if len(missing) > 0 {
			wrong = append(wrong, fmt.Errorf("waivers[%d]: expected %s, found nothing", i, strings.Join(missing, ", ")))
			continue
		}
		if strings.ContainsAny(w.By+w.Expires, ";\n") {
			wrong = append(wrong, fmt.Errorf("waivers[%d]: expected no semicolon and no line break in by and expires", i))
			continue
		}
		document.Statements = append(document.Statements, openVEXStatement{
			Vulnerability: openVEXVulnerability{w.Vulnerability, w.Aliases},
			Products:      []openVEXProduct{{ID: w.Product}},
			Status:        string(vex.StatusNotAffected), Justification: w.Justification, Impact: w.Reason,
			Notes: "expires: " + w.Expires + "; by: " + w.By,
		})
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	if len(document.Statements) == 0 {
		return nil, errors.New("waivers: expected at least one, found none")
	}
	return json.Marshal(document)
}

// at returns the documents, and those of the waivers that expired.
func (w *Waivers) at(now time.Time) (documents []vex.Document, expired []Waiver) {
	if w == nil {
		return nil, nil
	}
	for i := range w.all {
		if w.all[i].Expired(now) {
			expired = append(expired, w.all[i])
		}
	}
	return slices.Clone(w.documents), expired
}

// of returns the waiver that a statement is, nil when it is none.
func (w *Waivers) of(s vex.Statement) *Waiver {
	if w == nil {
		return nil
	}
	for i := range w.all {
		if w.all[i].Source == s.Origin.File {
			return &w.all[i]
		}
	}
	return nil
}
