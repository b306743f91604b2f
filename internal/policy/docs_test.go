package policy

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/release"
)

var update = flag.Bool("update", false, "write the tables of docs/policy.md")

const page = "../../docs/policy.md"

// section returns what stands between a marker and its end, and the text around it.
func section(t *testing.T, text, name string) (before, inside, after string) {
	t.Helper()
	start, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	before, rest, ok := strings.Cut(text, start)
	inside, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %q and %q", page, start, end)
	}
	return before + start, inside, end + after
}

func TestDocumentationOfFactsAndDefault(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| fact | type | meaning |\n|---|---|---|\n")
	for _, f := range catalogue() {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", f.name, strings.Replace(f.kind.String(), "google.protobuf.Timestamp", "timestamp", 1), f.doc)
	}
	text := string(raw)
	for name, want := range map[string]string{"facts": table.String(), "default": "```yaml\n" + defaultText + "```\n"} {
		before, inside, after := section(t, text, name)
		if *update {
			text = before + want + after
		} else if diff := cmp.Diff(want, inside); diff != "" {
			t.Errorf("%s, %s (-want +got; go test ./internal/policy -update writes it):\n%s", page, name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExamplesOfTheDocumentation reads every policy that docs/policy.md shows.
func TestExamplesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(raw), "```yaml\n")
	if len(parts) < 4 {
		t.Fatalf("got %d examples", len(parts)-1)
	}
	for i, part := range parts[1:] {
		example, _, _ := strings.Cut(part, "```\n")
		if !strings.HasPrefix(example, "version:") && !strings.HasPrefix(example, "#") {
			example = "version: 1\nrules:\n" + example
		}
		if _, err := Parse(fmt.Sprintf("example %d", i+1), []byte(example)); err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
	}
}

// TestEveryFieldOfFactsCanBeRead changes each field and looks for a fact that
// changes with it.
func TestEveryFieldOfFactsCanBeRead(t *testing.T) {
	t.Parallel()
	p := &Policy{maxAge: time.Hour}
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	read := func(f Facts) string {
		f.Packages.Known, f.Findings.Known, f.Advisories.Known = !f.Packages.Known, !f.Findings.Known, !f.Advisories.Known
		var b strings.Builder
		for range 2 { // known, and not: reasons are read of what is not known
			for _, fact := range catalogue() {
				fmt.Fprintf(&b, "%s=%v\n", fact.name, fact.value(&scene{facts: &f, at: at, policy: p}))
			}
			f.Packages.Known, f.Findings.Known, f.Advisories.Known = !f.Packages.Known, !f.Findings.Known, !f.Advisories.Known
		}
		return b.String()
	}
	base := Facts{Provenance: Evidence{State: release.StateVerified}}
	var walk func(path string, index []int, kind reflect.Type)
	walk = func(path string, index []int, kind reflect.Type) {
		for i := range kind.NumField() {
			field := kind.Field(i)
			name, at := path+"."+field.Name, append(index[:len(index):len(index)], i)
			if field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[time.Time]() {
				walk(name, at, field.Type)
				continue
			}
			changed := base
			change(reflect.ValueOf(&changed).Elem().FieldByIndex(at))
			if read(changed) == read(base) {
				t.Errorf("Facts%s: no fact tells of it", name)
			}
		}
	}
	walk("", nil, reflect.TypeFor[Facts]())
}

func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("absent")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(7 * time.Hour))
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{"other"}))
	default:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)))
	}
}

// TestKindsOfFacts has CEL convert every value: what it declares is what it gets.
func TestKindsOfFacts(t *testing.T) {
	t.Parallel()
	facts := Facts{
		BaseImage: "base", Provenance: Evidence{State: release.StateVerified}, Packages: Packages{Known: true},
		Findings: Findings{Known: true, CriticalSince: time.Unix(1, 0)}, Advisories: Advisories{Known: true},
	}
	for _, fact := range catalogue() {
		text := fmt.Sprintf("version: 1\nrules:\n  - name: x\n    pass: type(%s) == %s\n", fact.name, fact.kind.TypeName())
		if fact.kind.TypeName() == "timestamp" || strings.HasPrefix(fact.kind.TypeName(), "google.") {
			text = fmt.Sprintf("version: 1\nrules:\n  - name: x\n    pass: type(%s) == google.protobuf.Timestamp\n", fact.name)
		}
		p, err := Parse(fact.name, []byte(text))
		if err != nil {
			t.Error(err)
			continue
		}
		if got := p.Judge(t.Context(), facts, time.Unix(2, 0)); got.Result != release.ResultPass {
			t.Errorf("%s: got %+v", fact.name, got.Reasons)
		}
	}
}
