package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// single is a finding before aliases are merged.
type single struct{ purl, id string }

// accuracy compares each case's single findings with its truth.
func (t *trial) accuracy(ctx context.Context) error {
	cases, err := t.cases()
	if err != nil {
		return err
	}
	wrong := 0
	for _, name := range cases {
		want, err := readTruth(filepath.Join(t.data, "truth", name+".json"))
		if err != nil {
			return err
		}
		got, err := t.scan(ctx, filepath.Join(t.data, "sboms", name+".json.zst"))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		missing, extra := difference(want, got), difference(got, want)
		verdict := "ok"
		if len(missing)+len(extra) > 0 {
			verdict = "WRONG"
			wrong++
		}
		t.printf("%-28s %5d expected, %5d found, %d missing, %d extra: %s\n", name, len(want), len(got), len(missing), len(extra), verdict)
		for _, s := range missing[:min(5, len(missing))] {
			t.printf("    missing %s %s\n", s.id, s.purl)
		}
		for _, s := range extra[:min(5, len(extra))] {
			t.printf("    extra   %s %s\n", s.id, s.purl)
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d cases differ from their truth", wrong, len(cases))
	}
	t.printf("all %d cases equal their truth\n", len(cases))
	return nil
}

// cases are the names in the first column of cases.tsv.
func (t *trial) cases() ([]string, error) {
	raw, err := os.ReadFile(filepath.Join(t.data, "cases.tsv"))
	if err != nil {
		return nil, err
	}
	var names []string
	for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		if i > 0 { // the heading
			name, _, _ := strings.Cut(line, "\t")
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("cases.tsv: expected cases, found none")
	}
	return names, nil
}

func readTruth(file string) (map[single]bool, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var entries []struct{ PURL, ID string }
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	truth := make(map[single]bool, len(entries))
	for _, e := range entries {
		truth[single{e.PURL, e.ID}] = true
	}
	return truth, nil
}

// scan runs the command and takes the merged findings apart again.
func (t *trial) scan(ctx context.Context, file string) (map[single]bool, error) {
	var out bytes.Buffer
	r, err := measure(ctx, &out, t.tallyman, "scan", "--db", t.db, "--format", "json", file)
	if err != nil {
		return nil, err
	}
	var report struct {
		Documents []struct {
			Error    string
			Findings []struct {
				IDs  []string
				PURL string
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return nil, fmt.Errorf("exit status %d: %w", r.code, err)
	}
	if len(report.Documents) != 1 || report.Documents[0].Error != "" {
		return nil, fmt.Errorf("exit status %d: %+v", r.code, report.Documents)
	}
	found := make(map[single]bool)
	for _, f := range report.Documents[0].Findings {
		for _, id := range f.IDs {
			found[single{f.PURL, id}] = true
		}
	}
	return found, nil
}

func difference(a, b map[single]bool) []single {
	var rest []single
	for s := range a {
		if !b[s] {
			rest = append(rest, s)
		}
	}
	return rest
}
