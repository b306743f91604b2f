package rebuild_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/rebuild"
)

// TestDocumentationNamesEveryField: the schema of the report is the table of
// docs/reproduce.md.
func TestDocumentationNamesEveryField(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/reproduce.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := string(content)
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Slice, reflect.Pointer:
			visit(of.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[of] {
			return
		}
		seen[of] = true
		for i := range of.NumField() {
			field := of.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			if !strings.Contains(docs, "`"+name+"`") && !strings.Contains(docs, "`"+name+"[]`") {
				t.Errorf("docs/reproduce.md does not name %s of %s", name, of.Name())
			}
			visit(field.Type)
		}
	}
	visit(reflect.TypeFor[rebuild.Report]())
	if !strings.Contains(docs, rebuild.Schema) || !strings.Contains(rebuild.BuilderID, "docs/reproduce.md#attest") || !strings.Contains(docs, "\n## Attest\n") {
		t.Error("docs/reproduce.md: expected the schema and the section that the builder's id names")
	}
	for _, d := range []string{
		"go", "base", "module", "flags", "vcs", "commit", "source", "repository", "platforms", "dockerfile", "annotations", "files", "time", "umask", "owner", "mode", "compressor", "writer",
	} {
		if !strings.Contains(docs, "`"+d+"`") {
			t.Errorf("docs/reproduce.md does not name the cause %s", d)
		}
	}
}
