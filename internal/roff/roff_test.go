package roff_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/roff"
)

var update = flag.Bool("update", false, "write the golden files")

func page() *roff.Page {
	return &roff.Page{
		Name: "tally-count", Summary: `Count what is "there"; a ` + "`quoted`" + ` word`, Source: "tally 1.2.3", Manual: `The "Tally"`,
		Date:     time.Date(2026, 2, 2, 23, 30, 0, 0, time.FixedZone("", -3600)),
		Synopsis: []string{"tally count FILE… [flags]", "tally count --all"},
		Sections: []roff.Section{
			{Title: "DESCRIPTION", Text: "Counts FILEs,\nline by line.\n\n.vex is a folder, 'that' no request, and \\ no escape.\n\n    first | second\n      third ^ ~\n\nThe rest.\n  shown\nfilled"},
			{Title: "OPTIONS", Items: []roff.Item{{Term: "--from", Argument: "string", Text: ".from there"}, {Term: "-h, --help", Text: "help"}}},
			{Title: "NOTHING", Text: "\n"},
			{Title: "SEE ALSO", References: []string{"tally", "tally-all"}},
		},
	}
}

func TestAPageIsWrittenWithEverythingEscaped(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	if err := page().Write(&got); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "tally-count.golden.1")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
}

// TestGroffShowsWhatWasWritten reads the page with the program that most machines show
// manual pages with.
func TestGroffShowsWhatWasWritten(t *testing.T) {
	t.Parallel()
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("needs groff")
	}
	var in, out, complaints bytes.Buffer
	if err := page().Write(&in); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), groff, "-man", "-ww", "-T", "utf8", "-P", "-cbou")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("groff: %v: %s", err, &complaints)
	}
	for _, want := range []string{
		"TALLY-COUNT(1)", "2026-02-03", "tally-count - Count what is \"there\"; a `quoted` word", "tally count FILE… [flags]\n", "tally count --all\n",
		"Counts FILEs, line by line.", ".vex is a folder, 'that' no request, and \\ no escape.", "   first | second\n", "     third ^ ~\n",
		"--from string\n", ".from there", "-h, --help", "tally(1), tally-all(1)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "NOTHING") {
		t.Errorf("a section without content is in\n%s", &out)
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAPageThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	if err := page().Write(full{}); !errors.Is(err, errFull) || !strings.Contains(err.Error(), "tally-count") {
		t.Errorf("got %v, want %v, and the page's name", err, errFull)
	}
}
