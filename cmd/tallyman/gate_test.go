package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

const criticalA = `{"id":"GO-1","aliases":["CVE-1"],"published":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z",
 "severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
 "affected":[{"package":{"ecosystem":"Go","name":"example.com/a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"}]}]}]}`

// built is a rehearsed image: an image layout as BuildKit leaves it, and SBOMs beside it.
type built struct {
	*shelf
	root string
}

func newBuilt(t *testing.T, onAMD64, onARM64 string) *built {
	t.Helper()
	b := &built{shelf: inFolder(t), root: t.TempDir()}
	b.entries = []v1.Descriptor{{
		MediaType: types.OCIImageIndex, Digest: hashOf(t, b.index), Size: 1, Annotations: map[string]string{
			"io.containerd.image.name": "registry.example.com/tallyman/web:sha-1", "org.opencontainers.image.ref.name": "sha-1",
		},
	}}
	b.list()
	if err := os.Rename(b.dir, filepath.Join(b.root, "layout")); err != nil {
		t.Fatal(err)
	}
	b.dir = filepath.Join(b.root, "layout")
	for digest, text := range map[release.Digest]string{b.amd64: onAMD64, b.arm64: onARM64} {
		if text != "" {
			b.write(filepath.Join("sbom", strings.Replace(string(digest), ":", "-", 1)+".cdx.json"), text)
		}
	}
	return b
}

func (b *built) write(name, content string) {
	b.t.Helper()
	file := filepath.Join(b.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// gate runs the command and returns its exit code, what it said, and the receipt.
func (b *built) gate(args ...string) (code int, said string, r *receipt.Receipt) {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(b.t.Context(), append([]string{"gate", "--vulndb", "off", "--version", "1.2.0", b.dir}, args...), &stdout, &stderr)
	content, err := os.ReadFile(filepath.Join(b.root, "gate", strings.Replace(string(b.index), ":", "-", 1)+".vsa.json"))
	if err == nil {
		read, err := receipt.Read(content)
		if err != nil {
			b.t.Fatal(err)
		}
		r = &read
	}
	return code, stdout.String() + stderr.String(), r
}

func TestGateExitCodes(t *testing.T) {
	inCheckout(t)
	t.Setenv(gatePolicyVariable, "")
	t.Setenv("PATH", t.TempDir())
	const waived = "version: 1\nwaivers: [{vulnerability: CVE-1, product: pkg:golang/example.com/a, reason: r, by: b, expires: 2999-01-01}]\n"
	db := databaseOf(t, map[string]string{"GO-1.json": criticalA})
	for name, c := range map[string]struct {
		onAMD64, onARM64 string
		// files are of the image's folder, ROOT in the arguments.
		files map[string]string
		args  []string
		code  int
		says  string
		want  string
	}{
		"nothing critical":             {cleanCDX, cleanCDX, nil, []string{"--db", db}, exitPass, "critical 0 (before VEX 0)", receipt.Passed},
		"a critical":                   {affectedCDX, cleanCDX, nil, []string{"--db", db}, exitFail, "expected 0 critical findings, found 1", receipt.Failed},
		"a critical, for a snapshot":   {affectedCDX, cleanCDX, nil, []string{"--db", db, "--report-only"}, exitPass, "a release would stop here", receipt.Failed},
		"a waiver":                     {affectedCDX, cleanCDX, map[string]string{"w.yaml": waived}, []string{"--db", db, "--vex", "ROOT/w.yaml"}, exitPass, "critical 0 (before VEX 1)", receipt.Passed},
		"a folder of waivers":          {affectedCDX, cleanCDX, map[string]string{"w/w.yaml": waived, "w/README.md": "#"}, []string{"--db", db, "--vex", "ROOT/w"}, exitPass, "critical 0 (before VEX 1)", receipt.Passed},
		"a waiver that expired":        {affectedCDX, cleanCDX, map[string]string{"w.yaml": strings.Replace(waived, "2999", "1999", 1)}, []string{"--db", db, "--vex", "ROOT/w.yaml"}, exitFail, "expected no expired waiver, found CVE-1", receipt.Failed},
		"a waiver that is none":        {cleanCDX, cleanCDX, map[string]string{"w.yaml": "version: 1\nwaivers: [{}]"}, []string{"--db", db, "--vex", "ROOT/w.yaml"}, exitConfig, "waivers[0]: expected vulnerability", ""},
		"a waiver that nobody signed":  {cleanCDX, cleanCDX, map[string]string{"w.yaml": waived, "k.pub": "none"}, []string{"--db", db, "--vex", "ROOT/w.yaml", "--vex-key", "ROOT/k.pub"}, exitFail, "expected its signature in w.yaml.sigstore.json, found no such file", ""},
		"a waiver that does not match": {cleanCDX, cleanCDX, map[string]string{"w.yaml": waived, "w.yaml.sigstore.json": "{}", "k.pub": "none"}, []string{"--db", db, "--vex", "ROOT/w.yaml", "--vex-key", "ROOT/k.pub"}, exitFail, "not verified: waivers: verify", ""},
		"waivers, and no cosign":       {cleanCDX, cleanCDX, map[string]string{"w.yaml": waived, "w.yaml.sigstore.json": "{}", "k.pub": "none"}, []string{"--db", db, "--vex", "ROOT/w.yaml", "--vex-key", "ROOT/k.pub"}, exitUnknown, "cosign", ""},
		"no waivers where named":       {cleanCDX, cleanCDX, nil, []string{"--db", db, "--vex", "ROOT/none"}, exitConfig, "--vex", ""},
		"a platform without an SBOM":   {cleanCDX, "", nil, []string{"--db", db}, exitFail, "expected an SBOM of every platform, found none of linux/arm64", receipt.Failed},
		"an SBOM that cannot be read":  {cleanCDX, "{", nil, []string{"--db", db}, exitUnknown, "an SBOM cannot be read", receipt.Failed},
		"no database":                  {cleanCDX, cleanCDX, nil, nil, exitUnknown, "set TALLYMAN_DB (or --db)", receipt.Failed},
		"no database where named":      {cleanCDX, cleanCDX, nil, []string{"--db", "ROOT/none.db"}, exitUnknown, "make one with tallyman db import or db update", ""},
		"a policy of one's own":        {affectedCDX, cleanCDX, map[string]string{"p.yaml": "version: 1\nrules: [{name: r, pass: counts.critical <= 1}]"}, []string{"--db", db, "--policy", "ROOT/p.yaml"}, exitPass, "critical 1 (before VEX 1)", receipt.Passed},
		"a policy that is none":        {cleanCDX, cleanCDX, map[string]string{"p.yaml": "version: 1"}, []string{"--db", db, "--policy", "ROOT/p.yaml"}, exitConfig, "rules", ""},
		"no policy where named":        {cleanCDX, cleanCDX, nil, []string{"--db", db, "--policy", "ROOT/none"}, exitConfig, "expected a file, or built-in", ""},
		"another format":               {cleanCDX, cleanCDX, nil, []string{"--format", "xml"}, exitUsage, "expected table or json", ""},
		"two layouts":                  {cleanCDX, cleanCDX, nil, []string{"ROOT/layout"}, exitUsage, "expected at most one LAYOUT, found 2", ""},
		"an SBOM in another folder":    {"", "", nil, []string{"--db", db, "--sboms", "ROOT/none"}, exitFail, "found none of linux/amd64, linux/arm64", receipt.Failed},
		"JSON":                         {affectedCDX, cleanCDX, nil, []string{"--db", db, "--format", "json"}, exitFail, `"schema": "tallyman.gate/v1"`, receipt.Failed},
		"receipts in another folder":   {cleanCDX, cleanCDX, nil, []string{"--db", db, "--out", "ROOT/layout/../gate"}, exitPass, "PASSED", receipt.Passed},
		"reachability is told of":      {cleanCDX, cleanCDX, nil, []string{"--db", db, "--vulndb", "off"}, exitPass, "REACHABILITY WAS NOT LOOKED AT: turned off", receipt.Passed},
		"a vulndb that is not reached": {cleanCDX, cleanCDX, nil, []string{"--db", db, "--vulndb", "file:///no/such/folder"}, exitPass, "critical 0", receipt.Passed},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBuilt(t, c.onAMD64, c.onARM64)
			t.Setenv(databaseVariable, filepath.Join(b.root, "not-there.db"))
			for file, content := range c.files {
				b.write(file, content)
			}
			if name == "a waiver that does not match" {
				fakeCosign(t)
			}
			args := make([]string, len(c.args))
			for i, arg := range c.args {
				args[i] = strings.ReplaceAll(arg, "ROOT", b.root)
			}
			code, said, r := b.gate(args...)
			if code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("got exit status %d, want %d and %q in\n%s", code, c.code, c.says, said)
			}
			switch {
			case (r == nil) != (c.want == ""), r != nil && r.Result != c.want:
				t.Errorf("receipt: got %+v, want %q", r, c.want)
			case r != nil && (!r.Of(string(b.index)) || !strings.Contains(r.ResourceURI, "tag=v1.2.0")):
				t.Errorf("receipt is of %s", r.ResourceURI)
			}
		})
	}
}

// fakeCosign puts a cosign into the checkout to which nothing verifies.
func fakeCosign(t *testing.T) {
	t.Helper()
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, ".tools", "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "cosign"), []byte("#!/bin/sh\necho no matching signatures >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestGateTakesTheWaiversOfTheCheckout(t *testing.T) {
	inCheckout(t)
	db := databaseOf(t, map[string]string{"GO-1.json": criticalA})
	b := newBuilt(t, affectedCDX, cleanCDX)
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(b.root, filepath.Join(root, "rehearsal")); err != nil {
		t.Fatal(err)
	}
	b.root = filepath.Join(root, "rehearsal")
	b.write("../.vex/waivers.yaml", "version: 1\nwaivers: [{vulnerability: CVE-1, product: pkg:golang/example.com/a, reason: r, by: b, expires: 2999-01-01}]\n")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"gate", "--db", db, "--vulndb", "off"}, &stdout, &stderr); code != exitPass {
		t.Fatalf("got exit status %d\n%s%s", code, &stdout, &stderr)
	}
	base := filepath.Join(b.root, "gate", strings.Replace(string(b.index), ":", "-", 1))
	content, err := os.ReadFile(base + ".vsa.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := receipt.Read(content)
	if err != nil || len(r.Waivers) != 1 || r.Waivers[0].Source != ".vex/waivers.yaml#1" || bytes.Contains(content, []byte(root)) {
		t.Errorf("got %+v, %v, want one of .vex/waivers.yaml, and no folder of this machine", r.Waivers, err)
	}
	var document struct{ Statements []json.RawMessage }
	if content, err = os.ReadFile(base + ".openvex.json"); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &document); err != nil || len(document.Statements) != 1 {
		t.Errorf("got %s, %v, want one statement", content, err)
	}
	// What is not suppressed any more is not stated any more.
	if err := os.RemoveAll(filepath.Join(root, ".vex")); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"gate", "--db", db, "--vulndb", "off"}, &stdout, &stderr); code != exitFail {
		t.Errorf("without waivers: got exit status %d, want %d", code, exitFail)
	}
	if _, err := os.Stat(base + ".openvex.json"); !os.IsNotExist(err) {
		t.Errorf("statements: got %v, want none to be left", err)
	}
}
