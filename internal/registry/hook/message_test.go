package hook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMessagesOfRegistries(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		form string
		want []named
	}{
		"distribution.json": {"distribution", []named{
			{host: "registry.example", path: "acme/web"}, {host: "registry.example", path: "acme/worker"},
		}},
		"harbor.json":                  {"harbor", []named{{host: "registry.example", path: "acme/web"}}},
		"harbor-pull.json":             {"harbor", nil},
		"harbor-cloudevents.json":      {"harbor-cloudevents", []named{{host: "registry.example", path: "acme/web"}}},
		"quay.json":                    {"quay", []named{{host: "quay.io", path: "acme/web", sure: true}}},
		"quay-build.json":              {"other", nil},
		"github-registry_package.json": {"github", []named{{host: "ghcr.io", path: "acme/web", sure: true}}},
		"github-package.json":          {"github", []named{{host: "ghcr.io", path: "acme/web", sure: true}}},
		"github-npm.json":              {"github", nil},
		"github-ping.json":             {"other", nil},
		"docker-hub.json":              {"docker-hub", []named{{host: "docker.io", path: "acme/web", sure: true}}},
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(tests) {
		t.Fatalf("got %d files, %v; want one for each of %d tests", len(files), err, len(tests))
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := parse(body)
			if err != nil {
				t.Fatal(err)
			}
			if got.Form != tt.form {
				t.Errorf("form: got %q, want %q", got.Form, tt.form)
			}
			if diff := cmp.Diff(tt.want, got.named, cmp.AllowUnexported(named{})); diff != "" {
				t.Errorf("repositories (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":        "",
		"no JSON":        "payload=%7B%22action%22%3A%22published%22%7D",
		"no object":      `["events"]`,
		"cut":            `{"events":[{"action":"push"`,
		"other types":    `{"events":{"action":"push"}}`,
		"deep":           strings.Repeat(`{"events":[`, 20_000),
		"two objects":    `{}{}`,
		"far too many":   tooMany(),
		"events of text": `{"events":["push"]}`,
	} {
		if got, err := parse([]byte(body)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func tooMany() string {
	var b strings.Builder
	b.WriteString(`{"events":[`)
	for i := range maxNamed + 1 {
		fmt.Fprintf(&b, `{"action":"push","target":{"repository":"acme/web%d"}},`, i)
	}
	return strings.TrimSuffix(b.String(), ",") + "]}"
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"type":1,"repository":"x","docker_url":"@:/","updated_tags":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parse(body)
		if err != nil && len(m.named) != 0 || err == nil && m.Form == "" || len(m.named) > maxNamed {
			t.Errorf("got form %q, %d repositories, error %v", m.Form, len(m.named), err)
		}
		for _, n := range m.named {
			if n.path == "" {
				t.Errorf("got a repository without a path: %+v", n)
			}
		}
	})
}
