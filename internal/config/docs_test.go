package config

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files and docs/configuration.md")

// golden compares got with a file, or writes the file with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s is out of date; run: go test ./internal/config -update\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestDocumentationIsUpToDate(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("testdata/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var web Web
	var worker Worker
	text := strings.NewReplacer(
		"{{both}}", reference(web.Service.settings(":8080")),
		"{{web}}", reference(web.settings()),
		"{{worker}}", reference(worker.settings()),
		"{{variables}}", secrets(append(ForWorker().bind(&worker), web.settings()...)),
		"{{mistakes}}", exampleMistakes(t),
	).Replace(string(doc))
	golden(t, "../../docs/configuration.md", []byte(text))
}

// reference describes each setting under a heading of its own.
func reference(settings []setting) string {
	var b strings.Builder
	for _, s := range settings {
		def := "`" + s.def + "`"
		if s.def == "" {
			def = "nothing"
		}
		if s.key == "listen" {
			def = "`:8080` for web, `:8081` for worker"
		}
		variable := "`" + s.env() + "`"
		if s.secret {
			variable += " or `" + s.env() + fileSuffix + "`"
		}
		fmt.Fprintf(&b, "### `%s`\n\n%s\n\n", s.key, s.doc)
		fmt.Fprintf(&b, "| | |\n|---|---|\n| value | %s |\n| default | %s |\n| environment | %s |\n| flag | `--%s` |\n\n",
			s.expected, def, variable, s.flag())
	}
	return strings.TrimRight(b.String(), "\n")
}

func secrets(settings []setting) string {
	var names []string
	for _, s := range settings {
		if name := "`" + s.env() + fileSuffix + "`"; s.secret && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// exampleMistakes is what a program really says about a bad configuration.
func exampleMistakes(t *testing.T) string {
	t.Helper()
	_, err := ForWeb().Load(Input{
		Flags: parsed(t, ForWeb(), "--listen=80"),
		Environ: []string{
			"TALLYMAN_DATABASE_URL=postgres://tallyman:s3cret/@db/tallyman", "TALLYMAN_LOG_LEVL=debug", "TALLYMAN_SHUTDOWN_TIMEOUT=20",
		},
	})
	return mistakes(t, err).Error()
}
