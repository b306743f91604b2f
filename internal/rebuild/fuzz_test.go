package rebuild_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/rebuild"
)

// FuzzParseClaim: what is accepted can be handed to git and make.
func FuzzParseClaim(f *testing.F) {
	f.Add(predicate(f, nil))
	f.Add([]byte(`{"buildDefinition":{}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		claim, err := rebuild.ParseClaim(document)
		if err != nil {
			return
		}
		for _, s := range []string{claim.Source, claim.Tag, claim.Commit, claim.Image} {
			if s == "" || s[0] == '-' || strings.ContainsAny(s, " \n\x00") {
				t.Errorf("accepted %q", s)
			}
		}
	})
}

// FuzzCompareLayers: a layer may be anything, on both sides.
func FuzzCompareLayers(f *testing.F) {
	one := packed(file("web", "a program"), file("etc/x", "x"))
	f.Add(one, zipped(one, gzip.BestSpeed))
	f.Add(zipped(one, gzip.BestSpeed), packed(file("../web", "a programme")))
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd}, []byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		image := func(layer []byte) rebuild.Side {
			s := plainSpec()
			s.platforms = s.platforms[:1]
			s.layers = func(st *store) []map[string]any { return []map[string]any{st.put(types.OCILayer, layer)} }
			return s.build(t)
		}
		limits := rebuild.Limits{Unpacked: 1 << 20, Binary: 1 << 18, Entries: 100}
		report := compared(t, image(a), image(b), limits)
		if bytes.Equal(a, b) != (report.Result == rebuild.Identical) {
			t.Errorf("got %s, and the layers are equal: %t", report.Result, bytes.Equal(a, b))
		}
		if report.Result == rebuild.Different && len(report.Differences) == 0 {
			t.Error("different, and no difference is told")
		}
		var out bytes.Buffer
		if err := report.WriteTable(&out); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(strings.ReplaceAll(out.String(), "\n", ""), "\x00\x1b\r\t") {
			t.Errorf("the report has control characters: %q", &out)
		}
	})
}

// FuzzCompareDocuments: manifests and configurations may be any JSON.
func FuzzCompareDocuments(f *testing.F) {
	f.Add([]byte(`{"created":"x","history":[{"created_by":"x"}]}`), []byte(`{"created":1}`))
	f.Add([]byte(`[[[[]]]]`), []byte(`{"":{".":[1e400]}}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		image := func(config []byte) rebuild.Side {
			st := newStore()
			desc := st.encode(types.OCIManifestSchema1, map[string]any{
				"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "config": st.put(types.OCIConfigJSON, config), "layers": []any{},
			})
			side := rebuild.Side{Source: st}
			for digest := range st.types {
				if string(digest) == desc["digest"] {
					side.Digest = digest
				}
			}
			return side
		}
		report := compared(t, image(a), image(b), rebuild.Limits{})
		if report.Result == rebuild.Different && len(report.Differences) == 0 {
			t.Error("different, and no difference is told")
		}
		if err := report.WriteJSON(io.Discard); err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(io.Discard).Encode(report); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzParseChecksums(f *testing.F) {
	f.Add([]byte(hexOf(nil) + "  name\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		sums, err := rebuild.ParseChecksums(content)
		for name, sum := range sums {
			if err == nil && (len(sum) != 64 || name == "" || strings.ContainsAny(name, "/\\")) {
				t.Errorf("accepted %q of %q", sum, name)
			}
		}
	})
}
