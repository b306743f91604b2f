package keyless_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/e2e/keyless/sigstoretest"
)

func TestKeyless(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	t.Run("papers by a workflow are verified", b.papersByAWorkflow)
	t.Run("a signature by a person is verified", b.aSignatureByAPerson)
	t.Run("a signature by key is verified with its log entry", b.aSignatureByKey)
	t.Run("other trust refuses", b.otherTrustRefuses)
	t.Run("forgeries are invalid", b.forgeriesAreInvalid)
	t.Run("a dossier keeps what keyless needs", b.aDossierKeepsWhatKeylessNeeds)
	t.Run("a rebuild is attested", b.aRebuildIsAttestedKeyless)
	// The last: it ends what signs.
	t.Run("no host but the registry is contacted", b.noHostButTheRegistry)
}

// predicates are what is attested, by the name that cosign has for its type.
func predicates() map[string]string {
	return map[string]string{
		"slsaprovenance1": `{"buildDefinition": {"buildType": "https://example.com/build/v1", "externalParameters": {}},
			"runDetails": {"builder": {"id": "https://example.com/builder"}}}`,
		"spdxjson": `{"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "web",
			"documentNamespace": "https://example.com/web", "creationInfo": {"created": "2026-01-01T00:00:00Z", "creators": ["Tool: test"]}, "packages": []}`,
		"openvex": `{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex", "author": "acme",
			"timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": []}`,
		"https://slsa.dev/verification_summary/v1": `{"verifier": {"id": "https://example.com/gate"}, "timeVerified": "2026-01-01T00:00:00Z",
			"resourceUri": "acme/web", "policy": {"uri": "https://example.com/policy"}, "verificationResult": "PASSED", "verifiedLevels": []}`,
	}
}

func (b *bench) papersByAWorkflow(t *testing.T) {
	for name, referrers := range map[string]bool{"with the referrers API": true, "without it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := push(t, newRegistry(t, referrers)+"/"+repository, 1)
			token := b.sigstore.Issuer.Workflow(t, repository, "release.yml", "v1.0.0")
			before := time.Now().Add(-2 * time.Second)
			b.sign(t, image, token)
			for predicateType, predicate := range predicates() {
				b.attest(t, image, token, predicateType, predicate)
			}
			got := b.verify(t, image, nil, append(b.by(workflow, b.sigstore.Issuer.Workflows), "--require", "signature,sbom,provenance,vex,summary")...)
			if got.code != 0 {
				t.Errorf("exit code: got %d, want 0: %s", got.code, got.stderr)
			}
			papers := 0
			for _, piece := range got.Evidence {
				for _, paper := range piece.Papers {
					papers++
					if paper.State != "verified" || paper.Identity != workflow || paper.Issuer != b.sigstore.Issuer.Workflows {
						t.Errorf("%s: got %s (%s) by %s, issuer %s, want verified by %s", piece.Kind, paper.State, paper.Reason, paper.Identity, paper.Issuer, workflow)
					}
					if paper.LogIndex == nil || paper.SignedAt.Before(before) || paper.SignedAt.After(time.Now().Add(2*time.Second)) {
						t.Errorf("%s: got log index %v, signed at %s", piece.Kind, paper.LogIndex, paper.SignedAt)
					}
				}
			}
			if papers != 1+len(predicates()) {
				t.Errorf("got %d papers, want %d", papers, 1+len(predicates()))
			}
		})
	}
}

func (b *bench) aSignatureByAPerson(t *testing.T) {
	image := push(t, newRegistry(t, true)+"/"+repository, 1)
	b.sign(t, image, b.sigstore.Issuer.Person(t, person))
	for name, identity := range map[string][]string{
		"exactly":    {"--identity", person},
		"by pattern": {"--identity-pattern", `^[a-z]+@example\.com$`},
		"as one of":  {"--identity", "bob@example.com", "--identity", person},
	} {
		got := b.verify(t, image, nil, append(identity, "--issuer", b.sigstore.Issuer.People, "--trusted-root", b.root)...)
		if got.code != 0 || got.States["signature"].State != "verified" || !strings.Contains(got.States["signature"].Reason, person) {
			t.Errorf("%s: got exit code %d, %v: %s", name, got.code, got.States["signature"], got.stderr)
		}
	}
}

func (b *bench) aSignatureByKey(t *testing.T) {
	image := push(t, newRegistry(t, true)+"/"+repository, 1)
	key := filepath.Join(t.TempDir(), "cosign")
	b.cosign.Run(t, "generate-key-pair", "--output-key-prefix", key)
	b.cosign.Run(t, "sign", "--yes", "--new-bundle-format", "--signing-config", b.sigstore.SigningConfig, "--trusted-root", b.root,
		"--key", key+".key", image.String())
	args := []string{"--key", key + ".pub", "--require-log", "--trusted-root"}
	got := b.verify(t, image, nil, append(args, b.root)...)
	if got.code != 0 || !strings.Contains(got.States["signature"].Reason, "by key cosign.pub") {
		t.Errorf("got exit code %d, %v: %s", got.code, got.States["signature"], got.stderr)
	}
	wrong := filepath.Join(t.TempDir(), "other")
	b.cosign.Run(t, "generate-key-pair", "--output-key-prefix", wrong)
	got = b.verify(t, image, nil, "--key", wrong+".pub", "--require-log", "--trusted-root", b.root)
	if want := "signature: expected one by key other.pub over this content, found one of another key"; got.code != 1 || !strings.Contains(got.States["signature"].Reason, want) {
		t.Errorf("another key: got exit code %d, %v, want %q", got.code, got.States["signature"], want)
	}
	got = b.verify(t, image, nil, append(args, sigstoretest.NewRoots(t).TrustedRoot(t, b.cosign))...)
	if want := "log entry: expected one in a log of the trusted root, found one in log "; got.code != 1 || !strings.Contains(got.States["signature"].Reason, want) {
		t.Errorf("another log: got exit code %d, %v, want %q", got.code, got.States["signature"], want)
	}
}

func (b *bench) otherTrustRefuses(t *testing.T) {
	image := push(t, newRegistry(t, true)+"/"+repository, 1)
	b.sign(t, image, b.sigstore.Issuer.Workflow(t, repository, "release.yml", "v1.0.0"))
	people, workflows := b.sigstore.Issuer.People, b.sigstore.Issuer.Workflows
	other := sigstoretest.NewRoots(t)
	// with returns the trusted root of this Sigstore, but for a part of another one.
	with := func(replace func(r *sigstoretest.Roots)) []string {
		roots := b.sigstore.Roots
		replace(&roots)
		return []string{"--identity", workflow, "--issuer", workflows, "--trusted-root", roots.TrustedRoot(t, b.cosign)}
	}
	tests := map[string]struct {
		args   []string
		code   int
		reason string // of the signature; on stderr when nothing was looked at
	}{
		"another identity": {
			args: b.by("https://github.com/acme/web/.github/workflows/release.yml@refs/tags/v1.0.1", workflows), code: 1,
			reason: "identity: expected https://github.com/acme/web/.github/workflows/release.yml@refs/tags/v1.0.1 (issuer " + workflows + "), found " + workflow,
		},
		"another issuer": {
			args: b.by(workflow, people), code: 1,
			reason: "identity: expected " + workflow + " (issuer " + people + "), found " + workflow + " (issuer " + workflows + ")",
		},
		"another pattern": {
			args: []string{"--identity-pattern", "^https://github.com/acme/api/.+$", "--issuer", workflows, "--trusted-root", b.root}, code: 1,
			reason: "identity: expected pattern ^https://github.com/acme/api/.+$",
		},
		"a pattern without end": {
			args: []string{"--identity-pattern", "^https://github.com/acme/", "--issuer", workflows, "--trusted-root", b.root}, code: 78,
			reason: "expected it anchored, from ^ to $",
		},
		"no issuer": {
			args: []string{"--identity", workflow, "--trusted-root", b.root}, code: 78, reason: "expected an exact issuer, found none",
		},
		"another deployment": {
			args: with(func(r *sigstoretest.Roots) { *r = other }), code: 1, reason: "of the trusted root",
		},
		"another Fulcio": {
			args: with(func(r *sigstoretest.Roots) { r.FulcioChain = other.FulcioChain }), code: 1,
			reason: "certificate: expected one of the trusted root's authorities, valid when it signed; found one by CN=authority,O=sigstore.test for " + workflow,
		},
		"another certificate log": {
			args: with(func(r *sigstoretest.Roots) { r.CertificateLogKey = other.CertificateLogKey }), code: 1,
			reason: "certificate: expected an entry in a certificate log of the trusted root, found none that verifies",
		},
		"another Rekor": {
			args: with(func(r *sigstoretest.Roots) { r.RekorKey = other.RekorKey }), code: 1,
			reason: "log entry: expected one in a log of the trusted root, found one in log ",
		},
		"another timestamp authority": {
			args: with(func(r *sigstoretest.Roots) { r.TimestampChain = other.TimestampChain }), code: 1,
			reason: "time of signing: expected one by a log or a timestamp authority of the trusted root, found 1 timestamp that does not verify",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := b.verify(t, image, nil, tt.args...)
			state, reason := got.States["signature"].State, got.States["signature"].Reason
			want := "invalid"
			if tt.code == 78 {
				want, reason = "", got.stderr
			}
			if got.code != tt.code || state != want || !strings.Contains(reason, tt.reason) {
				t.Errorf("got exit code %d, state %q, %q, want %d, %q, %q", got.code, state, reason, tt.code, want, tt.reason)
			}
		})
	}
}

// noHostButTheRegistry verifies after the Sigstore has ended, with a proxy that
// would see a request to any host that is not on loopback.
func (b *bench) noHostButTheRegistry(t *testing.T) {
	image := push(t, newRegistry(t, true)+"/"+repository, 1)
	b.sign(t, image, b.sigstore.Issuer.Person(t, person))
	var seen atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Method + " " + r.Host)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	b.sigstore.Stop()
	env := []string{"HTTP_PROXY=" + proxy.URL, "HTTPS_PROXY=" + proxy.URL, "NO_PROXY=", "HOME=" + t.TempDir()}
	got := b.verify(t, image, env, b.by(person, b.sigstore.Issuer.People)...)
	if got.code != 0 || got.States["signature"].State != "verified" {
		t.Errorf("got exit code %d, %v, want verified: %s", got.code, got.States["signature"], got.stderr)
	}
	if request := seen.Load(); request != nil {
		t.Errorf("got %s, want no request", request)
	}
}
