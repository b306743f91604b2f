package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
)

// tallyman runs the command.
func tallyman(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// dossierOf writes a dossier of the signed image.
func dossierOf(t *testing.T, args ...string) (srv *registrytest.Server, key, file string) {
	t.Helper()
	srv, key = signedImage(t)
	file = filepath.Join(t.TempDir(), "web.dossier")
	args = append([]string{"dossier", "create", "-o", file, "--at", "2026-05-01T12:00:00Z", srv.Repository("acme/web") + ":v1.0.0"}, args...)
	if code, stdout, stderr := tallyman(t, append(args, "--key", key)...); code != exitPass {
		t.Fatalf("create: exit %d\n%s%s", code, stdout, stderr)
	}
	return srv, key, file
}

func other(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "other.pub")
	if err := os.WriteFile(file, []byte(otherKey), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDossierVerifyExitCodes(t *testing.T) {
	t.Parallel()
	srv, key, file := dossierOf(t)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(name string, change func([]byte) []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, change(bytes.Clone(b)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flipped := changed("flipped", func(b []byte) []byte { b[1000] ^= 1; return b })
	cut := changed("cut", func(b []byte) []byte { return b[:len(b)/2] })
	text := changed("text", func([]byte) []byte { return bytes.Repeat([]byte("no dossier "), 100) })
	untrusting := filepath.Join(t.TempDir(), "untrusting.dossier")
	if code, _, stderr := tallyman(t, "dossier", "create", "-o", untrusting, srv.Repository("acme/web")+":v1.0.0"); code != exitPass {
		t.Fatalf("create with no key: exit %d: %s", code, stderr)
	}
	srv.Fail(registrytest.Status(http.StatusServiceUnavailable))

	tests := map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"a key from elsewhere":    {args: []string{file, "--key", key, "--require", "signature,sbom,provenance,vex,summary"}, stdout: "The keys and identities are those that were given."},
		"the key in the dossier":  {args: []string{file}, stdout: "it is worth no more than the dossier"},
		"whole":                   {args: []string{file}, stdout: ": whole: images of 1 image(s)"},
		"json":                    {args: []string{file, "--format", "json"}, stdout: `"trust": "dossier"`},
		"json, a key":             {args: []string{file, "--format", "json", "--key", key}, stdout: `"trust": "flags"`},
		"another key":             {args: []string{file, "--key", other(t)}, code: 1, stderr: "expected one by key other.pub"},
		"no key anywhere":         {args: []string{untrusting}, code: 3, stdout: "no signature was verified", stderr: "could not tell"},
		"no key, later one":       {args: []string{untrusting, "--key", key}, stdout: "signed by key cosign.pub"},
		"flipped":                 {args: []string{flipped, "--key", key}, code: 1, stderr: "damaged: blobs/sha256/"},
		"cut":                     {args: []string{cut}, code: 1, stderr: "table of contents"},
		"text":                    {args: []string{text}, code: 1, stderr: "expected a file compressed with Zstandard, which starts with 28b52ffd, found 6e6f2064"},
		"over the limit of bytes": {args: []string{file, "--max-size", "100"}, code: 3, stderr: "expected at most 100 bytes in all"},
		"over the limit of files": {args: []string{file, "--max-entries", "2"}, code: 3, stderr: "expected at most 2 entries"},
		"no limit":                {args: []string{file, "--max-entries", "0"}, code: 2, stderr: "expected more than 0"},
		"no file":                 {args: []string{file + ".none"}, code: 3, stderr: "no such file"},
		"nothing":                 {args: nil, code: 2, stderr: "expected 1 arguments FILE"},
		"no such format":          {args: []string{file, "--format", "xml"}, code: 2, stderr: "expected table or json"},
		"no such kind":            {args: []string{file, "--require", "luck"}, code: 2, stderr: `found "luck"`},
		"an issuer of nobody":     {args: []string{file, "--issuer", "https://issuer.example.com"}, code: 2, stderr: "expected --key, or --identity"},
		"no such key":             {args: []string{file, "--key", key + ".none"}, code: 78, stderr: "no such file"},
		"no trusted root":         {args: []string{file, "--identity", "alice", "--issuer", "https://issuer.example.com"}, code: 78, stderr: "identities need one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := tallyman(t, append([]string{"dossier", "verify"}, tt.args...)...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("got %d, want %d, with %q and %q in\n%s%s", code, tt.code, tt.stdout, tt.stderr, stdout, stderr)
			}
			if strings.Contains(name, "json") && !json.Valid([]byte(stdout)) {
				t.Errorf("no JSON: %s", stdout)
			}
		})
	}
}

func TestDossierCreateExitCodes(t *testing.T) {
	t.Parallel()
	srv, key := signedImage(t)
	image, bare := srv.Repository("acme/web")+":v1.0.0", srv.Repository("acme/bare")+":v1.0.0"
	db := filepath.Join(t.TempDir(), "advisories.db")
	if code, _, stderr := tallyman(t, "db", "import", "--db", db, feedFolder(t)); code != exitPass {
		t.Fatal(stderr)
	}
	tests := map[string]struct {
		args           []string
		code           int
		stdout, stderr string
		written        bool
	}{
		"verified":              {args: []string{image, "--key", key}, stdout: "dossier sha256:", written: true},
		"without a key":         {args: []string{image}, stdout: "signature             unknown", written: true},
		"papers only":           {args: []string{image, "--key", key, "--papers-only"}, stdout: "papers of 1 image(s)", written: true},
		"advisory data":         {args: []string{image, "--key", key, "--db", db}, written: true},
		"advisory records":      {args: []string{image, "--key", key, "--db", db, "--advisories", "Go"}, written: true},
		"not signed":            {args: []string{bare, "--key", key}, code: 1, stderr: "signature is absent", written: true},
		"two repositories":      {args: []string{image, bare, "--key", key}, code: 3, stderr: "make a dossier of each"},
		"two tags of one":       {args: []string{image, image, "--key", key}, stdout: "images of 1 image(s)", written: true},
		"no such ecosystem":     {args: []string{image, "--key", key, "--db", db, "--advisories", "npm"}, code: 2, stderr: `expected an ecosystem of the database, found "npm"`},
		"no image":              {args: []string{"--key", key}, code: 2, stderr: "expected at least one image or layout"},
		"no such time":          {args: []string{image, "--at", "yesterday"}, code: 2, stderr: `found "yesterday"`},
		"no such tag":           {args: []string{srv.Repository("acme/web") + ":v9", "--key", key}, code: 3, stderr: "not found"},
		"no such key":           {args: []string{image, "--key", key + ".none"}, code: 78, stderr: "no such file"},
		"unanchored":            {args: []string{image, "--identity-pattern", "alice", "--issuer", "https://issuer.example.com"}, code: 78, stderr: "expected it anchored"},
		"no such registry":      {args: []string{"127.0.0.1:1/acme/web:v1", "--key", key}, code: 3, stderr: "unavailable"},
		"neither tag or digest": {args: []string{srv.Repository("acme/web")}, code: 2, stderr: "expected a tag or a digest"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "web.dossier")
			code, stdout, stderr := tallyman(t, append([]string{"dossier", "create", "-o", file}, tt.args...)...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("got %d, want %d, with %q and %q in\n%s%s", code, tt.code, tt.stdout, tt.stderr, stdout, stderr)
			}
			if _, err := os.Stat(file); (err == nil) != tt.written {
				t.Errorf("written: got %v, want %v", err == nil, tt.written)
			}
			if !tt.written {
				return
			}
			if code, stdout, stderr := tallyman(t, "dossier", "verify", file, "--require", ""); code != exitPass {
				t.Errorf("verify: exit %d\n%s%s", code, stdout, stderr)
			}
		})
	}
	if code, _, stderr := tallyman(t, "dossier", "create", image); code != exitUsage || !strings.Contains(stderr, "expected -o FILE") {
		t.Errorf("without -o: got %d, %s", code, stderr)
	}
}

func TestDossierCopyExitCodes(t *testing.T) {
	t.Parallel()
	srv, key, file := dossierOf(t)
	image := srv.Repository("acme/web") + ":v1.0.0"
	bare := srv.Repository("acme/bare") + ":v1.0.0"
	tests := map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"a dossier":               {args: []string{file, "--tag", "v1.0.0", "--key", key}, stdout: "papers; tags [\"v1.0.0\"]"},
		"a dossier by itself":     {args: []string{file}, stdout: "worth no more than the dossier"},
		"an image":                {args: []string{image, "--key", key, "--tag", "latest"}, stdout: "signed by key cosign.pub"},
		"an image, without a key": {args: []string{image}, stdout: "no signature was verified"},
		"what is not signed":      {args: []string{bare, "--key", key, "--tag", "v1.0.0"}, code: 1, stderr: "signature is absent"},
		"another key":             {args: []string{file, "--key", other(t), "--tag", "v1.0.0"}, code: 1, stderr: "expected one by key other.pub"},
		"which image":             {args: []string{file, "--image", "acme/api:v1"}, code: 2, stderr: "expected one image, found 0"},
		"a tag for papers":        {args: []string{file, "--tag", "sha256-" + strings.Repeat("0", 64) + ".sig"}, code: 2, stderr: "where papers lie"},
		"no tag":                  {args: []string{file, "--tag", "a b"}, code: 2, stderr: "--tag"},
		"no such image":           {args: []string{srv.Repository("acme/web") + ":v9"}, code: 3, stderr: "not found"},
		"no such key":             {args: []string{file, "--key", key + ".none"}, code: 78, stderr: "no such file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := registrytest.New(t).Repository("mirror/web")
			args := append([]string{"dossier", "copy", tt.args[0], repository}, tt.args[1:]...)
			code, stdout, stderr := tallyman(t, args...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("got %d, want %d, with %q and %q in\n%s%s", code, tt.code, tt.stdout, tt.stderr, stdout, stderr)
			}
			if code == exitPass && strings.Contains(name, "dossier") {
				if code, stdout, stderr := tallyman(t, "dossier", "copy", tt.args[0], repository, "--key", key); code != exitPass || !strings.Contains(stdout, ": 0 blobs sent (0 bytes)") {
					t.Errorf("again: got %d\n%s%s", code, stdout, stderr)
				}
			}
		})
	}
	if code, _, stderr := tallyman(t, "dossier", "copy", file, "no repository"); code != exitUsage || !strings.Contains(stderr, "expected a repository") {
		t.Errorf("no repository: got %d, %s", code, stderr)
	}
}

func TestDossierOfALayoutIsThatOfTheImage(t *testing.T) {
	t.Parallel()
	s := inFolder(t)
	s.list(s.artifact("", s.index, s.signed(s.index, cdxPredicate, affectedCDX)))
	file := filepath.Join(t.TempDir(), "web.dossier")
	if code, stdout, stderr := tallyman(t, "dossier", "create", "-o", file, "--key", s.key, "--require", "sbom", s.image); code != exitPass {
		t.Fatalf("create: exit %d\n%s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := tallyman(t, "dossier", "verify", file, "--key", s.key, "--require", "sbom"); code != exitPass {
		t.Errorf("verify: exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestDossierTimeOfTheEnvironment(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600")
	srv, key := signedImage(t)
	var files [][]byte
	for range 2 {
		file := filepath.Join(t.TempDir(), "web.dossier")
		if code, _, stderr := tallyman(t, "dossier", "create", "-o", file, "--key", key, srv.Repository("acme/web")+":v1.0.0"); code != exitPass {
			t.Fatal(stderr)
		}
		if code, stdout, _ := tallyman(t, "dossier", "verify", file); code != exitPass || !strings.Contains(stdout, "made 2026-01-01T00:00:00Z") {
			t.Errorf("got %d, %s", code, stdout)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two dossiers of one time differ")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "soon")
	if code, _, stderr := tallyman(t, "dossier", "create", "-o", filepath.Join(t.TempDir(), "x"), srv.Repository("acme/web")+":v1.0.0"); code != exitConfig || !strings.Contains(stderr, `found "soon"`) {
		t.Errorf("got %d, %s", code, stderr)
	}
}

// What the cosign command made, through a file, from each kind of registry to each.
func TestDossierCarriesWhatCosignMade(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(testing.TB) *registrytest.Server{"referrers": registrytest.NewWithReferrers, "no referrers": registrytest.New}
	for _, recording := range []string{"cosign-tags.json", "cosign-bundles.json"} {
		for from, source := range kinds {
			for to, target := range kinds {
				t.Run(recording+" from "+from+" to "+to, func(t *testing.T) {
					t.Parallel()
					srv := source(t)
					key := signedIn(t, srv, recording)
					file := filepath.Join(t.TempDir(), "web.dossier")
					all := []string{"--key", key, "--require", "signature,sbom,provenance,vex,summary"}
					repository := target(t).Repository("mirror/web")
					for _, args := range [][]string{
						{"dossier", "create", "-o", file, srv.Repository("acme/web") + ":v1.0.0"},
						{"dossier", "verify", file},
						{"dossier", "copy", file, repository, "--tag", "v1.0.0"},
						{"verify", repository + ":v1.0.0"},
						{"dossier", "copy", srv.Repository("acme/web") + ":v1.0.0", target(t).Repository("mirror/web")},
					} {
						if code, stdout, stderr := tallyman(t, append(args, all...)...); code != exitPass {
							t.Fatalf("%s: exit %d\n%s%s", args[:2], code, stdout, stderr)
						}
					}
				})
			}
		}
	}
}
