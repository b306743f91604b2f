package evidence

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/release"
)

// conformanceCase is a folder of sigstore-conformance's test/assets/bundle-verify.
type conformanceCase map[string][]byte

// conformanceCases reads the archive. The second result has the files that all
// cases share.
func conformanceCases(t *testing.T) (map[string]conformanceCase, conformanceCase) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "conformance.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	cases, shared := make(map[string]conformanceCase), make(conformanceCase)
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return cases, shared
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		dir, name := path.Split(path.Clean(header.Name))
		if dir == "" {
			shared[name] = content
			continue
		}
		dir = path.Clean(dir)
		if cases[dir] == nil {
			cases[dir] = make(conformanceCase)
		}
		cases[dir][name] = content
	}
}

func (c conformanceCase) or(name string, otherwise []byte) []byte {
	if content, ok := c[name]; ok {
		return content
	}
	return otherwise
}

// TestSigstoreConformance runs the public cases of bundle verification. A case
// whose name ends in _fail must not be verified.
func TestSigstoreConformance(t *testing.T) {
	t.Parallel()
	cases, shared := conformanceCases(t)
	if len(cases) < 69 {
		t.Fatalf("got %d cases, want 69", len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trusted := Trust{TrustedRoot: c.or("trusted_root.json", shared["trusted_root.json"])}
			if key, ok := c["key.pub"]; ok {
				trusted.Keys, trusted.RequireLog = []Key{{Name: "key.pub", PEM: key}}, true
			} else {
				trusted.Identities = []Identity{{
					Subject: strings.TrimSpace(string(c.or("identity", []byte("https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/"+
						".github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main")))),
					Issuer: strings.TrimSpace(string(c.or("issuer", []byte("https://token.actions.githubusercontent.com")))),
				}}
			}
			sum := sha256.Sum256(c.or("artifact", shared["a.txt"]))
			paper := release.Paper{State: release.StateInvalid}
			checked, err := compile(trusted)
			if err == nil {
				l := leaf{format: formatBundle}
				checked.assess(l, c["bundle.sigstore.json"], release.Digest("sha256:"+hex.EncodeToString(sum[:])), &paper)
			} else {
				paper.Reason = err.Error()
			}
			t.Logf("%s: %s", paper.State, paper.Reason)
			if fails := strings.HasSuffix(name, "_fail"); fails == (paper.State == release.StateVerified) {
				t.Errorf("got %s: %s\n%s", paper.State, paper.Reason, c["README"])
			}
			if paper.State != release.StateVerified && paper.Reason == "" {
				t.Error("got no reason")
			}
		})
	}
}
