package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// share has the command write what archives and packages carry, and returns it by name.
func share(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	args := []string{"release", "share", "--output", dir, "--version", "1.2.3", "--created", "2026-02-02T23:30:00-01:00"}
	if code := run(t.Context(), args, &stdout, &stderr); code != exitPass {
		t.Fatalf("exit code: got %d, want 0: %s", code, &stderr)
	}
	files := make(map[string]string)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// read returns a manual page, with the escapes for hyphens taken out.
func read(t *testing.T, packed string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(content), `\-`, "-")
}

func TestEveryCommandHasAManualPage(t *testing.T) {
	files := share(t)
	pages, exits := 0, 0
	root := rootCommand()
	root.InitDefaultCompletionCmd()
	err := eachDocumented(root, func(cmd *cobra.Command) error {
		pages++
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		packed, ok := files["man/man1/"+name+".1.gz"]
		if !ok {
			t.Errorf("no page %s", name)
			return nil
		}
		page := read(t, packed)
		wants := []string{`.TH "` + strings.ToUpper(name) + `" 1 2026-02-03 "tallyman 1.2.3" "Tallyman"`, name + " - ", "--help"}
		for _, item := range options(cmd) {
			wants = append(wants, `\fB`+item.Term+`\fR`)
		}
		if strings.Contains(cmd.Long, exitCodes) {
			exits++
			wants = append(wants, ".SH EXIT STATUS\n0 ")
		}
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("page %s: %q is not in\n%s", name, want, page)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pages < 25 || exits < 5 || len(files) != pages+3 {
		t.Errorf("got %d files for %d commands, of which %d tell their exit codes; want a page for each command, and three completions", len(files), pages, exits)
	}
}

func TestNoMachineReachesWhatIsShipped(t *testing.T) {
	want := share(t)
	for key, value := range map[string]string{
		"HOME": "/home/somebody", "XDG_CACHE_HOME": "/cache", "TZ": "Pacific/Auckland", "LANG": "tr_TR.UTF-8", "SOURCE_DATE_EPOCH": "1",
		"TALLYMAN_DB": "/db", "COLUMNS": "40",
	} {
		t.Setenv(key, value)
	}
	if diff := cmp.Diff(want, share(t)); diff != "" {
		t.Errorf("on another machine (-one +other):\n%s", diff)
	}
}

func TestShareSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a time that is none": {[]string{"--output", "x", "--version", "1", "--created", "today"}, exitUsage, "RFC 3339"},
		"no folder":           {[]string{"--version", "1", "--created", "2026-02-02T02:02:02Z"}, exitUsage, "--output"},
		"a file for a folder": {[]string{"--output", os.DevNull, "--version", "1", "--created", "2026-02-02T02:02:02Z"}, exitUnknown, os.DevNull},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), append([]string{"release", "share"}, c.args...), &stdout, &stderr); code != c.code || !strings.Contains(stderr.String(), c.says) {
				t.Errorf("got exit code %d, %s; want %d and %q", code, &stderr, c.code, c.says)
			}
		})
	}
}

func TestTheImagesOfAReleaseAreThoseOfItsConfiguration(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, key := range []string{"TALLYMAN_REGISTRY", "GITHUB_REPOSITORY"} {
		t.Setenv(key, "")
	}
	for _, c := range []struct {
		name, config, registry, repository string
		code                               int
		says                               string
	}{
		{"of this project", "    images: ['{{ .Env.REGISTRY }}/web']\n    images: ['{{ .Env.REGISTRY }}/worker']\n", "", "", exitPass, "ghcr.io/tallyman-io/tallyman/web\nghcr.io/tallyman-io/tallyman/worker\n"},
		{"of a fork", "  images: ['{{ .Env.REGISTRY }}/web']\n", "", "Some/Fork", exitPass, "ghcr.io/some/fork/web\n"},
		{"elsewhere", "  images: ['{{ .Env.REGISTRY }}/web']\n", "r.example:5000/t", "Some/Fork", exitPass, "r.example:5000/t/web\n"},
		{"none", "dist: dist\n", "", "", exitUnknown, "expected images: ['{{ .Env.REGISTRY }}/NAME'], found none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TALLYMAN_REGISTRY", c.registry)
			t.Setenv("GITHUB_REPOSITORY", c.repository)
			if err := os.WriteFile(filepath.Join(dir, ".goreleaser.yaml"), []byte(c.config), 0o600); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), []string{"release", "images"}, &stdout, &stderr)
			if said := stdout.String() + stderr.String(); code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("got exit code %d, %s; want %d and %q", code, said, c.code, c.says)
			}
		})
	}
}
