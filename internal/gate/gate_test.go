package gate_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/audit"
	"github.com/tallyman-io/tallyman/internal/gate"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	index = release.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")
	amd64 = release.Digest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	arm64 = release.Digest("sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")

	criticalScore = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	highScore     = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"
)

var (
	now       = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	committed = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
)

func record(id, alias, module, score string) string {
	severity := ""
	if score != "" {
		severity = `"severity":[{"type":"CVSS_V3","score":"` + score + `"}],`
	}
	return `{"id":"` + id + `","aliases":["` + alias + `"],"published":"2026-10-01T00:00:00Z","modified":"2026-10-01T00:00:00Z",` + severity +
		`"affected":[{"package":{"ecosystem":"Go","name":"` + module + `"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}`
}

// database knows a critical, a high and an unscored vulnerability, imported so long ago.
func database(t *testing.T, age time.Duration) audit.Advisories {
	t.Helper()
	dir := t.TempDir()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, r := range []struct{ id, text string }{
		{"GO-1", record("GO-1", "CVE-1", "example.com/critical", criticalScore)},
		{"GO-2", record("GO-2", "CVE-2", "example.com/high", highScore)},
		{"GO-3", record("GO-3", "CVE-3", "example.com/unscored", "")},
	} {
		w, err := z.Create(r.id + ".json")
		must(t, err)
		_, err = io.WriteString(w, r.text)
		must(t, err)
	}
	must(t, z.Close())
	must(t, os.MkdirAll(filepath.Join(dir, "Go"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "Go", "all.zip"), out.Bytes(), 0o600))
	file := filepath.Join(dir, "advisories.db")
	_, err := advisory.Import(t.Context(), dir, file, advisory.ImportOptions{Now: func() time.Time { return now.Add(-age) }})
	must(t, err)
	db, err := advisory.Open(file)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return audit.Advisories{DB: db}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sbom lists Go modules of version 1.0.0; one named "" has no purl.
func sbom(modules ...string) string {
	components := make([]string, 0, len(modules))
	for _, m := range modules {
		purl := `,"purl":"pkg:golang/example.com/` + m + `@v1.0.0"`
		if m == "" {
			purl = ""
		}
		components = append(components, `{"type":"library","name":"m`+m+`","version":"v1.0.0"`+purl+`}`)
	}
	return `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + strings.Join(components, ",") + `]}`
}

// image has an SBOM for each of two platforms; "" is none.
func image(onAMD64, onARM64 string) gate.Image {
	platform := func(architecture string, digest release.Digest, text string) gate.Platform {
		p := gate.Platform{Platform: release.Platform{OS: "linux", Architecture: architecture, Digest: digest}}
		if text != "" {
			p.SBOMs = []gate.Document{{Name: architecture + ".cdx.json", Content: []byte(text)}}
		}
		return p
	}
	return gate.Image{
		Repository: "registry.example.com/tallyman/web", Tag: "v1.2.0", Digest: index, Base: "gcr.io/distroless/static@sha256:2",
		Platforms: []gate.Platform{platform("amd64", amd64, onAMD64), platform("arm64", arm64, onARM64)},
	}
}

func newGate(t *testing.T, advisories audit.Advisories, waivers map[string]string) *gate.Gate {
	t.Helper()
	p, err := gate.DefaultPolicy()
	must(t, err)
	g := &gate.Gate{
		Policy: p, PolicyURI: gate.DefaultPolicyURI, Advisories: advisories, Waivers: new(gate.Waivers),
		Versions: map[string]string{"tallyman": "1.2.3"}, Tool: &receipt.Descriptor{Name: "tallyman", Digest: map[string]string{"sha256": "00"}},
		Stated: committed, Now: now,
	}
	for _, name := range []string{"a.yaml", "b.json"} {
		if text := waivers[name]; text != "" {
			must(t, g.Waivers.Add(name, []byte(text), false, committed))
		}
	}
	return g
}

func waiver(vulnerability, product, expires string) string {
	return "version: 1\nwaivers:\n- {vulnerability: " + vulnerability + ", product: " + product + ", justification: vulnerable_code_not_in_execute_path, " +
		"reason: Nobody calls it., expires: " + expires + ", by: Jane Doe}\n"
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const pkg = "pkg:golang/example.com/critical"
	for name, c := range map[string]struct {
		image   gate.Image
		age     time.Duration
		none    bool
		waivers map[string]string
		reached *gate.Reachability
		policy  string
		want    release.Result
		// critical is -1 where nothing is counted.
		critical, raw int
		says          string
	}{
		"nothing known of it":       {image: image(sbom("fine"), sbom("fine")), want: release.ResultPass},
		"a high does not stop it":   {image: image(sbom("high"), sbom("high")), want: release.ResultPass},
		"an unscored does not":      {image: image(sbom("unscored"), sbom("unscored")), want: release.ResultPass},
		"a critical does":           {image: image(sbom("critical"), sbom("critical")), want: release.ResultFail, critical: 1, raw: 1, says: "expected 0 critical findings, found 1, of which 1 can be fixed"},
		"a critical of a platform":  {image: image(sbom("fine"), sbom("critical")), want: release.ResultFail, critical: 1, raw: 1},
		"a waiver of the package":   {image: image(sbom("critical"), sbom("critical")), waivers: map[string]string{"a.yaml": waiver("CVE-1", pkg, "2026-11-26")}, want: release.ResultPass, raw: 1},
		"a waiver of the image":     {image: image(sbom("critical"), sbom("critical")), waivers: map[string]string{"a.yaml": waiver("GO-1", "pkg:oci/web", "2027-01-31")}, want: release.ResultPass, raw: 1},
		"a waiver of another image": {image: image(sbom("critical"), sbom("critical")), waivers: map[string]string{"a.yaml": waiver("GO-1", "pkg:oci/worker", "2027-01-31")}, want: release.ResultFail, critical: 1, raw: 1},
		"a waiver that expired": {
			image: image(sbom("critical"), sbom("critical")), waivers: map[string]string{"a.yaml": waiver("CVE-1", pkg, "2026-11-25")},
			want: release.ResultFail, critical: 1, raw: 1, says: "expected no expired waiver, found CVE-1 (a.yaml#1, by Jane Doe, until 2026-11-25)",
		},
		"a waiver that expired, and does not matter": {
			image: image(sbom("fine"), sbom("fine")), waivers: map[string]string{"a.yaml": waiver("CVE-1", pkg, "2026-11-25")},
			want: release.ResultFail, says: "expected no expired waiver",
		},
		"OpenVEX": {
			image: image(sbom("critical"), sbom("critical")), waivers: map[string]string{"b.json": openVEX("not_affected", "expires: 2027-01-31", "2026-11-24T00:00:00Z")},
			want: release.ResultPass, raw: 1,
		},
		"OpenVEX that takes a waiver back": {
			image: image(sbom("critical"), sbom("critical")),
			waivers: map[string]string{
				"a.yaml": waiver("CVE-1", pkg, "2027-01-31"), "b.json": openVEX("affected", "", "2026-11-25T09:00:00Z"),
			},
			want: release.ResultFail, critical: 1, raw: 1,
		},
		"code that is never run": {
			image: image(sbom("critical"), sbom("critical")), want: release.ResultPass, raw: 1,
			reached: &gate.Reachability{Tool: "govulncheck v1", Of: map[release.Digest][]gate.Unreachable{index: {{ID: "GO-1", Modules: []string{"example.com/critical"}}}}},
		},
		"code that is never run, of another image": {
			image: image(sbom("critical"), sbom("critical")), want: release.ResultFail, critical: 1, raw: 1,
			reached: &gate.Reachability{Tool: "govulncheck v1", Of: map[release.Digest][]gate.Unreachable{amd64: {{ID: "GO-1", Modules: []string{"example.com/critical"}}}}},
		},
		"no advisories":                    {image: image(sbom("fine"), sbom("fine")), none: true, want: release.ResultUnknown, critical: -1, says: "there is no advisory database"},
		"advisories that are too old":      {image: image(sbom("fine"), sbom("fine")), age: 24 * time.Hour, want: release.ResultUnknown, says: "expected advisory data less than 24 hours old, found 24 hours"},
		"old advisories and a critical":    {image: image(sbom("critical"), sbom("fine")), age: 48 * time.Hour, want: release.ResultFail, critical: 1, raw: 1},
		"an SBOM that cannot be read":      {image: image(sbom("fine"), "{"), want: release.ResultUnknown, critical: -1, says: "an SBOM cannot be read"},
		"a platform without an SBOM":       {image: image(sbom("fine"), ""), want: release.ResultFail, says: "expected an SBOM of every platform, found none of linux/arm64"},
		"no SBOM at all":                   {image: image("", ""), want: release.ResultFail, critical: -1},
		"a package without a purl":         {image: image(sbom("fine", ""), sbom("fine")), want: release.ResultUnknown, says: "1 of 2 packages could not be judged: 1 packages have no purl"},
		"a policy that allows some purls":  {image: image(sbom("fine", ""), sbom("fine")), policy: "version: 1\nrules: [{name: r, pass: packages.unknown <= 1}]", want: release.ResultPass},
		"a policy that knows base and tag": {image: image(sbom("critical"), sbom("fine")), policy: "version: 1\nrules: [{name: r, pass: 'base_image.startsWith(\"gcr.io/\") && version == \"v1.2.0\"'}]", want: release.ResultPass, critical: 1, raw: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			advisories := audit.Advisories{None: "there is no advisory database"}
			if !c.none {
				advisories = database(t, c.age)
			}
			g := newGate(t, advisories, c.waivers)
			g.Reachability = c.reached
			if c.policy != "" {
				var err error
				g.Policy, err = policy.Parse("policy", []byte(c.policy))
				must(t, err)
			}
			d, err := g.Judge(t.Context(), c.image)
			must(t, err)
			if d.Verdict.Result != c.want {
				t.Errorf("got %s %+v, want %s", d.Verdict.Result, d.Verdict.Reasons, c.want)
			}
			wantCounts(t, d, c.critical, c.raw)
			if passed := d.Receipt.Result == receipt.Passed; passed != (c.want == release.ResultPass) || d.Receipt.Verdict.Result != string(c.want) {
				t.Errorf("receipt: got %s, %s", d.Receipt.Result, d.Receipt.Verdict.Result)
			}
			if said, err := json.Marshal(d.Receipt.Verdict); err != nil || !strings.Contains(string(said), c.says) {
				t.Errorf("%q is not in %s, %v", c.says, said, err)
			}
			if again, err := g.Judge(t.Context(), c.image); err != nil || cmp.Diff(d.Receipt, again.Receipt) != "" {
				t.Errorf("the same again: %v %s", err, cmp.Diff(d.Receipt, again.Receipt))
			}
		})
	}
}

func wantCounts(t *testing.T, d *gate.Decision, critical, raw int) {
	t.Helper()
	if critical < 0 {
		if d.Counts != nil || d.Raw != nil || d.Uncounted == "" || d.Receipt.Counts != nil {
			t.Errorf("got %+v, want nothing counted, and why", d.Counts)
		}
		return
	}
	if d.Counts == nil || d.Counts.Critical != critical || d.Raw.Critical != raw || d.Uncounted != "" {
		t.Errorf("critical: got %+v, before VEX %+v, want %d and %d", d.Counts, d.Raw, critical, raw)
	}
}

func openVEX(status, notes, at string) string {
	return `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"The Makers","timestamp":"` + at + `","version":1,
 "statements":[{"vulnerability":{"name":"CVE-1"},"products":[{"@id":"pkg:golang/example.com/critical"}],"status":"` + status + `",
 "impact_statement":"Only tests call it.","status_notes":"` + notes + `"}]}`
}

// TestOpenVEX takes what travels with the image for what it says: whoever believes it
// counts what the gate counted.
func TestOpenVEX(t *testing.T) {
	t.Parallel()
	advisories := database(t, 0)
	g := newGate(t, advisories, map[string]string{"a.yaml": waiver("CVE-1", "pkg:oci/web", "2027-01-31")})
	d, err := g.Judge(t.Context(), image(sbom("critical"), sbom("critical")))
	must(t, err)
	document, err := d.OpenVEX()
	must(t, err)
	golden(t, "web.openvex.json", document)

	other := newGate(t, advisories, map[string]string{"b.json": string(document)})
	again, err := other.Judge(t.Context(), image(sbom("critical"), sbom("critical")))
	must(t, err)
	if diff := cmp.Diff(d.Counts, again.Counts); diff != "" {
		t.Errorf("counts by what was written (-want +got):\n%s", diff)
	}
	clean, err := g.Judge(t.Context(), image(sbom("fine"), sbom("fine")))
	must(t, err)
	if document, err := clean.OpenVEX(); document != nil || err != nil {
		t.Errorf("nothing suppressed: got %s, %v", document, err)
	}
}

func TestGoldenReceipts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		image   gate.Image
		age     time.Duration
		waivers map[string]string
	}{
		"passed":  {image(sbom("critical", "high"), sbom("critical", "unscored")), 3 * time.Hour, map[string]string{"a.yaml": waiver("CVE-1", "pkg:golang/example.com/critical", "2027-01-31")}},
		"failed":  {image(sbom("critical", "high"), sbom("critical")), 3 * time.Hour, map[string]string{"a.yaml": waiver("CVE-1", "pkg:golang/example.com/critical", "2026-10-31")}},
		"unknown": {image(sbom("fine", ""), sbom("fine")), 30 * time.Hour, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, database(t, c.age), c.waivers)
			g.Reachability = &gate.Reachability{Database: "https://vuln.go.dev", Skipped: "no such host"}
			d, err := g.Judge(t.Context(), c.image)
			must(t, err)
			text, err := json.MarshalIndent(d.Receipt, "", "  ")
			must(t, err)
			golden(t, name+".vsa.json", text)
			r, err := receipt.Read(text)
			must(t, err)
			if !r.Of(string(index)) || r.Of(string(amd64)) {
				t.Errorf("resource: got %s", r.ResourceURI)
			}
			if diff := cmp.Diff(d.Receipt, r); diff != "" {
				t.Errorf("read again (-want +got):\n%s", diff)
			}
			var table, report bytes.Buffer
			must(t, gate.WriteTable(&table, []*gate.Decision{d}))
			golden(t, name+".txt", table.Bytes())
			must(t, gate.WriteJSON(&report, []*gate.Decision{d}))
			golden(t, name+".json", report.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestWaiversAreRefused(t *testing.T) {
	t.Parallel()
	const head = "version: 1\nwaivers:\n"
	for name, c := range map[string]struct{ file, text, says string }{
		"no end":               {"b.json", openVEX("not_affected", "", "2026-11-24T00:00:00Z"), "b.json#1: CVE-1: expected `expires: YYYY-MM-DD`"},
		"an end that is none":  {"b.json", openVEX("fixed", "expires: soon", "2026-11-24T00:00:00Z"), `found "soon"`},
		"a day that is none":   {"a.yaml", waiver("CVE-1", "pkg:oci/web", "2027-02-30"), `found "2027-02-30"`},
		"nothing said":         {"a.yaml", head + "- {vulnerability: CVE-1}\n- {product: pkg:oci/web, reason: r, expires: 2027-01-01, by: b}\n", "waivers[0]: expected product, reason, expires, by, found nothing\nwaivers[1]: expected vulnerability"},
		"an unknown key":       {"a.yaml", head + "- {vulnerability: CVE-1, until: 2027-01-01}\n", "until"},
		"notes by the back":    {"a.yaml", head + "- {vulnerability: CVE-1, product: pkg:oci/web, reason: r, by: 'x; expires: 2099-01-01', expires: 2026-01-01}\n", "no semicolon"},
		"no justification":     {"a.yaml", head + "- {vulnerability: CVE-1, product: pkg:oci/web, reason: r, expires: 2027-01-01, by: b, justification: because}\n", "justification: expected"},
		"no waivers":           {"a.yaml", "version: 1\n", "at least one"},
		"another version":      {"a.yaml", "version: 2\n", "version: expected 1, found 2"},
		"two documents":        {"a.yaml", waiver("CVE-1", "pkg:oci/web", "2027-01-31") + "---\nversion: 1\n", "one YAML document"},
		"another kind of file": {"a.txt", "", "expected .json"},
		"not JSON":             {"b.json", "{", "expected JSON"},
		"too large":            {"a.yaml", strings.Repeat("#", gate.MaxWaivers+1), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := new(gate.Waivers).Add(c.file, []byte(c.text), false, committed)
			if !errors.Is(err, gate.ErrWaivers) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestAWaiverHoldsToTheEndOfItsDay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expires string
		want    release.Result
	}{
		"the day after":   {"2026-11-27", release.ResultPass},
		"the very day":    {"2026-11-26", release.ResultPass},
		"the very moment": {"2026-11-26T12:00:00Z", release.ResultPass},
		"a second before": {"2026-11-26T11:59:59Z", release.ResultFail},
		"the day before":  {"2026-11-25", release.ResultFail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, database(t, 0), map[string]string{"a.yaml": waiver("CVE-1", "pkg:golang/example.com/critical", c.expires)})
			d, err := g.Judge(t.Context(), image(sbom("critical"), sbom("fine")))
			must(t, err)
			if d.Verdict.Result != c.want {
				t.Errorf("got %s, want %s", d.Verdict.Result, c.want)
			}
		})
	}
}

func FuzzWaivers(f *testing.F) {
	f.Add(waiver("CVE-1", "pkg:oci/web", "2027-01-31"), true)
	f.Add(openVEX("not_affected", "expires: 2027-01-31; by: Jane", "2026-11-24T00:00:00Z"), false)
	f.Fuzz(func(t *testing.T, text string, yaml bool) {
		name := "b.json"
		if yaml {
			name = "a.yaml"
		}
		if err := new(gate.Waivers).Add(name, []byte(text), false, committed); err != nil && !errors.Is(err, gate.ErrWaivers) {
			t.Errorf("got %v, want %v", err, gate.ErrWaivers)
		}
	})
}
