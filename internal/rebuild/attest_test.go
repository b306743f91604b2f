package rebuild_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/provenance"
	"github.com/tallyman-io/tallyman/internal/rebuild"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tool"
)

// standIn is a cosign that keeps what is attested as a file, and says what it was
// called with. BROKEN has it verify nothing.
const standIn = `#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/said"
case $1 in
public-key) echo PEM ;;
version) echo "GitVersion:    v2.6.5" ;;
attest)
	while [ "$1" != --predicate ]; do shift; done
	cp "$2" "$here/predicate" ;;
verify-attestation)
	[ -e "$here/predicate" ] && [ ! -e "$here/broken" ] || { echo "no matching attestations" >&2; exit 1; }
	printf '{"payload":"%s"}\n' "$( { printf '{"predicate":'; cat "$here/predicate"; printf '}'; } | base64 -w 0)" ;;
esac
`

func TestOnlyWhatWasRebuiltIsAttested(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cosign"), []byte(standIn), 0o700); err != nil {
		t.Fatal(err)
	}
	attester := rebuild.Attester{Tools: tool.Box{Dir: dir}, Identity: cosign.Identity{Key: "/keys/mine.key"}, Dir: t.TempDir()}
	digest := release.Digest("sha256:" + strings.Repeat("1", 64))
	rebuilt := rebuild.Rebuilt{
		Claim:      rebuild.Claim{Source: sourceURL, Tag: "v1.2.3", Commit: commit, Image: "web", Signer: "key a"},
		Repository: "r.example/tallyman/web", Digest: digest, Platforms: []string{"linux/amd64"},
		BaseName: "gcr.io/distroless/static", BaseDigest: "sha256:" + strings.Repeat("2", 64), Started: time.Unix(10, 0), Finished: time.Unix(70, 0),
	}
	for range 2 { // the second time it is there
		signer, err := attester.Attest(t.Context(), rebuilt)
		if err != nil || signer != "the key mine.key" {
			t.Fatalf("got %q, %v, want the key", signer, err)
		}
	}
	said, err := os.ReadFile(filepath.Join(dir, "said"))
	if err != nil || strings.Count(string(said), "attest --type slsaprovenance1") != 1 || !strings.Contains(string(said), "r.example/tallyman/web@"+string(digest)) {
		t.Errorf("cosign: got %s, %v, want one attestation about the digest", said, err)
	}
	document, err := os.ReadFile(filepath.Join(dir, "predicate"))
	if err != nil {
		t.Fatal(err)
	}
	var p provenance.Predicate
	if err := json.Unmarshal(document, &p); err != nil {
		t.Fatal(err)
	}
	if p.RunDetails.Builder.ID != rebuild.BuilderID || p.RunDetails.Metadata.FinishedOn.Sub(p.RunDetails.Metadata.StartedOn) != time.Minute {
		t.Errorf("got %s, want the rebuilder and how long it took", document)
	}
	claim, err := rebuild.ParseClaim(document)
	if err != nil || claim.Commit != commit {
		t.Errorf("what a rebuilder attests can be rebuilt in turn: got %+v, %v", claim, err)
	}

	if err := os.WriteFile(filepath.Join(dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := attester.Attest(t.Context(), rebuilt); err == nil || !strings.Contains(err.Error(), "expected what was attached to verify") {
		t.Errorf("an attestation that does not verify: got %v, want a failure", err)
	}
	rebuilt.BaseName = ""
	if _, err := attester.Attest(t.Context(), rebuilt); err == nil || !strings.Contains(err.Error(), "does not name its base image") {
		t.Errorf("an image without a base: got %v, want a failure", err)
	}
}
