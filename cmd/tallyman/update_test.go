package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUpdateFromNothing(t *testing.T) {
	t.Parallel()
	source := feedFolder(t)
	server := httptest.NewServer(http.FileServerFS(os.DirFS(source)))
	t.Cleanup(server.Close)
	db := filepath.Join(t.TempDir(), "sub", "advisories.db")
	affected := sbomFile(t, "pkg:golang/example.com/a@v1.1.0")
	for _, c := range []struct {
		name string
		args []string
		code int
		out  string // on either output
	}{
		{"no ecosystem", []string{"db", "update", "--source", server.URL}, exitUsage, "--ecosystem names them"},
		{"no such scheme", []string{"db", "update", "--source", "gs://osv"}, exitUsage, `--source: advisory source "gs://osv": expected the scheme http, https or file`},
		{"no such ecosystem", []string{"db", "update", "--source", server.URL, "--ecosystem", "npm"}, exitUnknown, "feed npm: the source has no such ecosystem"},
		{"still no database", []string{"scan", affected}, exitUnknown, "no advisory database"},
		{"the first time", []string{"db", "update", "--source", server.URL, "--ecosystem", "Go"}, exitPass, "Go         none    1      2026-01-01  fetched"},
		{"scan", []string{"scan", affected}, exitFail, "GO-1"},
		{"again", []string{"db", "update", "--source", server.URL}, exitPass, "nothing has changed since it was made, "},
		{"from a folder", []string{"db", "update", "--source", "file://" + source}, exitPass, "Go         1       1      2026-01-01  fetched"},
		{"from it again", []string{"db", "update", "--source", "file://" + source}, exitPass, "Go         1       1      2026-01-01  not modified"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append(c.args, "--db", db), &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String()+stderr.String(), c.out) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", c.name, code, c.code, c.out, &stdout, &stderr)
		}
	}
}
