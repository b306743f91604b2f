package sbom

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var source = Source{Name: "web", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("somewhere", 3600))}

// spdx and cyclonedx are documents of one thing, as two runs of Syft give them.
func spdx(uuid, created, extra string) string {
	return `{"spdxVersion":"SPDX-2.3","name":"web","documentNamespace":"https://anchore.com/syft/dir/web-` + uuid +
		`","creationInfo":{"creators":["Tool: syft-1.57.0"],"created":"` + created + `"},"packages":[{"name":"a<b>","size":12345678901234567890}` + extra + `]}`
}

func cyclonedx(uuid, at, extra string) string {
	return `{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:` + uuid + `","version":1,"metadata":{"timestamp":"` + at +
		`","component":{"name":"web"}},"components":[{"name":"a"}` + extra + `]}`
}

const (
	uuidA = "11111111-2222-4333-8444-555555555555"
	uuidB = "99999999-8888-4777-8666-aaaaaaaaaaaa"
)

func TestNormaliseGivesTheSameBytesForTheSameContent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		normalise       func([]byte, Source) ([]byte, error)
		a, again, other string
		keeps           []string
	}{
		{
			"SPDX", NormaliseSPDX,
			spdx(uuidA, "2026-05-05T00:00:00Z", ""), spdx(uuidB, "2027-06-06T00:00:00Z", ""), spdx(uuidA, "2026-05-05T00:00:00Z", `,{"name":"c"}`),
			[]string{`"created":"2026-01-02T02:04:05Z"`, `https://anchore.com/syft/dir/web-`, `"size":12345678901234567890`, `a<b>`, `Tool: syft-1.57.0`},
		},
		{
			"CycloneDX", NormaliseCycloneDX,
			cyclonedx(uuidA, "2026-05-05T00:00:00Z", ""), cyclonedx(uuidB, "2027-06-06T00:00:00+02:00", ""), cyclonedx(uuidA, "2026-05-05T00:00:00Z", `,{"name":"c"}`),
			[]string{`"timestamp":"2026-01-02T02:04:05Z"`, `"serialNumber":"urn:uuid:`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, again, other := run(t, c.normalise, c.a), run(t, c.normalise, c.again), run(t, c.normalise, c.other)
			if !bytes.Equal(a, again) {
				t.Errorf("two scans of one thing differ:\n%s\n%s", a, again)
			}
			if bytes.Equal(a, other) {
				t.Error("scans of two things are equal")
			}
			if identity(t, a) == identity(t, other) {
				t.Errorf("documents of two things have one identity, %s", identity(t, a))
			}
			if twice := run(t, c.normalise, string(a)); !bytes.Equal(a, twice) {
				t.Errorf("normalising again changes the document:\n%s\n%s", a, twice)
			}
			for _, part := range c.keeps {
				if !strings.Contains(string(a), part) {
					t.Errorf("%q is not in\n%s", part, a)
				}
			}
		})
	}
}

func run(t *testing.T, normalise func([]byte, Source) ([]byte, error), document string) []byte {
	t.Helper()
	out, err := normalise([]byte(document), source)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func identity(t *testing.T, document []byte) string {
	t.Helper()
	var d struct {
		Namespace string `json:"documentNamespace"`
		Serial    string `json:"serialNumber"`
	}
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatal(err)
	}
	return d.Namespace + d.Serial
}

func TestNormaliseRefusesOtherDocuments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		normalise func([]byte, Source) ([]byte, error)
		document  string
		says      string
	}{
		{"no JSON", NormaliseSPDX, `<xml/>`, "read JSON"},
		{"two documents", NormaliseSPDX, `{}{}`, "more follows"},
		{"null", NormaliseCycloneDX, `null`, "found null"},
		{"CycloneDX as SPDX", NormaliseSPDX, cyclonedx(uuidA, "x", ""), `spdxVersion: expected SPDX-2.x, found ""`},
		{"SPDX as CycloneDX", NormaliseCycloneDX, spdx(uuidA, "x", ""), "bomFormat: expected CycloneDX"},
		{"SPDX without creationInfo", NormaliseSPDX, `{"spdxVersion":"SPDX-2.3"}`, "creationInfo"},
		{"SPDX with a fixed namespace", NormaliseSPDX, `{"spdxVersion":"SPDX-2.3","creationInfo":{},"documentNamespace":"https://x"}`, "documentNamespace"},
		{"CycloneDX without metadata", NormaliseCycloneDX, `{"bomFormat":"CycloneDX"}`, "metadata"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := c.normalise([]byte(c.document), source); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error that says %q", err, c.says)
			}
		})
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add([]byte(spdx(uuidA, "2026-05-05T00:00:00Z", "")))
	f.Add([]byte(cyclonedx(uuidA, "2026-05-05T00:00:00Z", "")))
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","creationInfo":{"created":1},"documentNamespace":"` + uuidA + `"}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		for _, normalise := range []func([]byte, Source) ([]byte, error){NormaliseSPDX, NormaliseCycloneDX} {
			once, err := normalise(document, source)
			if err != nil {
				continue
			}
			twice, err := normalise(once, source)
			if err != nil || !bytes.Equal(once, twice) {
				t.Errorf("normalising again: %v\n%s\n%s", err, once, twice)
			}
		}
	})
}
