package config

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestConfigurationFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, content, problem string }{
		{"YAML syntax", "a.yaml", "listen: ':1'\nlog: {level: info\n", "yaml: near line 1: did not find expected"},
		{"YAML key twice", "a.yaml", "listen: ':1'\nlisten: ':2'\n", `yaml: line 2: mapping key "listen" already defined at line 1`},
		{"YAML that is no mapping", "a.yaml", "- listen\n", "yaml: line 1: cannot unmarshal !!seq into settings"},
		{"YAML scalar is not quoted", "a.yaml", "hunter2\n", "yaml: line 1: cannot unmarshal !!str a value into settings"},
		{"YAML alias is not quoted", "a.yaml", "database:\n  url: *hunter2\n", "yaml: unknown anchor … referenced"},
		{"YAML value with a wrong tag is not quoted", "a.yaml", "database:\n  url: !!int hunter2\n", "yaml: cannot decode !!str … as a !!int"},
		{"two YAML documents", "a.yaml", "listen: ':1'\n---\nlisten: ':2'\n", "there is more than one YAML document in it"},
		{"JSON syntax", "a.json", "{\n\"listen\": ,\n}", "json: line 2: invalid character ',' looking for beginning of value"},
		{"JSON cut off", "a.json", "{\n\"listen\":", "json: line 2: unexpected EOF"},
		{"JSON that is no object", "a.json", "[1]", "json: line 1: it is not an object of settings"},
		{"two JSON values", "a.json", "{}\n{}", "json: line 2: there is more than one value in it"},
		{"TOML syntax", "a.toml", "listen = ':1'\nlog = [\n", "toml: line "},
		{"other format", "a.ini", "listen=:1", `the format "ini" is not supported`},
		{"no format", "settings", "listen: x", "the file's name does not tell its format"},
		{"too large", "a.yaml", strings.Repeat("#", configLimit+1), "it is too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := file(t, tt.file, tt.content)
			_, err := ForWeb().Load(Input{Flags: parsed(t, ForWeb(), "--config", path)})
			ms := mistakes(t, err)
			if len(ms) != 1 || ms[0].Key != "config" || !strings.Contains(ms[0].Problem, tt.problem) {
				t.Errorf("mistakes: got\n%s\nwant one of config with %q", ms, tt.problem)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error quotes a value: %v", err)
			}
		})
	}
}

func TestAConfigurationFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "web.yaml")
	_, err := ForWeb().Load(Input{Environ: []string{"TALLYMAN_CONFIG=" + missing}})
	want := Mistake{
		Key: "config", Origin: "environment TALLYMAN_CONFIG", Value: missing,
		Problem: "cannot read " + missing + ": no such file or directory", Expected: "a readable file",
	}
	if ms := mistakes(t, err); len(ms) != 1 || ms[0] != want {
		t.Errorf("mistakes: got\n%s\nwant\n%s", ms, want)
	}
}

func TestKeysThatAreNoSettings(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, content, key, problem string }{
		{"dotted", "log.level: info", "log.level", "a key with a dot in it"},
		{"case counts", "Listen: ':1'", "Listen", "unknown key (did you mean listen?)"},
		{"below a setting", "listen: {host: x}", "listen", ""},
		{"unknown group", "datbase: {url: 'sqlite:/x'}", "datbase", "unknown key (did you mean database?)"},
		{"far from everything", "colour: red", "colour", "unknown key"},
		{"a number as key", "1: x", "1", "unknown key"},
		{"null for a setting", "listen:", "listen", ""},
		{"empty", "'': x", "", "unknown key"},
		{"several lines in a key", "\"a\\nb\": x", "a\nb", "unknown key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ForWeb().Load(Input{Environ: []string{"TALLYMAN_CONFIG=" + file(t, "a.yaml", tt.content)}})
			ms := mistakes(t, err)
			if len(ms) != 1 || ms[0].Key != tt.key || ms[0].Problem != tt.problem {
				t.Errorf("mistakes: got\n%s\nwant one of %s with %q", ms, tt.key, tt.problem)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the mistake takes more than a line: %v", err)
			}
		})
	}
}

func TestAnEmptyFileIsNoMistake(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"a.yaml": "", "b.yaml": "# nothing\n", "c.yaml": "---\n", "a.json": "{}", "a.toml": "", "d.yaml": "log:\n  # level: info\n",
	} {
		if _, err := ForWeb().Load(Input{Environ: []string{"TALLYMAN_CONFIG=" + file(t, name, content)}}); err != nil {
			t.Errorf("%s with %q: got %v, want no error", name, content, err)
		}
	}
}

// FuzzFile feeds any bytes as a configuration file. Whatever they are, either
// they load, and what is printed of them loads again, or the mistakes say where.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "listen: ':1'", "log: {level: debug}\nrepositories: [ghcr.io/a/b]", "a: &a [*a]", `{"listen": ":1"}`,
		"listen = ':1'\n[log]\nlevel = 'warn'", "database: {max_connections: 5}", "? [1]\n: 2", "<<: {listen: ':1'}",
	} {
		for _, format := range []string{"yaml", "json", "toml"} {
			f.Add(format, []byte(seed))
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, format string, content []byte) {
		if !slices.Contains([]string{"yaml", "json", "toml"}, format) {
			return
		}
		path := filepath.Join(dir, "fuzz."+format)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		loaded, err := ForWorker().Load(Input{Environ: []string{"TALLYMAN_CONFIG=" + path}})
		if err != nil {
			for _, m := range mistakes(t, err) {
				if strings.HasPrefix(m.String(), ": ") || m.Origin == "" || m.Expected == "" || strings.Contains(m.String(), "\n") {
					t.Errorf("mistake is not complete on one line: %q", m)
				}
			}
			return
		}
		printed, err := PrintYAML(loaded.Values)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ForWorker().Load(Input{Environ: []string{"TALLYMAN_CONFIG=" + file(t, "again.yaml", string(printed))}})
		if err != nil && !strings.Contains(string(printed), redacted) {
			t.Fatalf("what was printed does not load: %v\n%s", err, printed)
		}
		if err == nil && shown(t, loaded.Values) != shown(t, again.Values) {
			t.Errorf("printed and loaded again: got\n%s\nwant\n%s", shown(t, again.Values), shown(t, loaded.Values))
		}
	})
}

// shown are the values without their origins.
func shown(t *testing.T, values []Value) string {
	t.Helper()
	byKey := make(map[string]any)
	for _, v := range values {
		byKey[v.Key] = v.Shown
	}
	b, err := json.Marshal(byKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPrintedSettingsLoadAgain(t *testing.T) {
	t.Parallel()
	environ := []string{
		"TALLYMAN_DATABASE_URL=postgres://u:hunter2@db/t", "TALLYMAN_REPOSITORIES=ghcr.io/a/b", "TALLYMAN_DISCOVER_INTERVAL=1h30m0s",
	}
	first, err := ForWorker().Load(Input{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	printed, err := PrintYAML(first.Values)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/print.yaml", printed)
	asJSON, err := PrintJSON(first.Values)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/print.json", asJSON)
	second, err := ForWorker().Load(Input{Environ: []string{"TALLYMAN_CONFIG=" + file(t, "a.yaml", string(printed))}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shown(t, second.Values), shown(t, first.Values); got != want {
		t.Errorf("loaded again: got\n%s\nwant\n%s", got, want)
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	web, err := ForWeb().Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/web.schema.json", web)
	worker, err := ForWorker().Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/worker.schema.json", worker)

	var root struct {
		Properties map[string]struct{ Properties map[string]any }
	}
	if err := json.Unmarshal(worker, &root); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for group, p := range root.Properties {
		if p.Properties == nil {
			keys = append(keys, group)
		}
		for name := range p.Properties {
			keys = append(keys, group+"."+name)
		}
	}
	want := make(map[string]bool)
	for _, s := range ForWorker().bind(new(Worker)) {
		want[s.key] = true
	}
	if got := slices.Sorted(slices.Values(keys)); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("keys of the schema: got %v, want %v", got, slices.Sorted(maps.Keys(want)))
	}
}
