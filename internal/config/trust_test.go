package config

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keyPair is a new key, public and private, in PEM.
func keyPair(t *testing.T) (public, private string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemText("PUBLIC KEY", publicDER), pemText("PRIVATE KEY", privateDER)
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

const (
	root     = `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","certificateAuthorities":[{}],"tlogs":[{}]}`
	bareRoot = `{"mediaType":"application/vnd.dev.sigstore.trustedroot.v0.2+json"}`
)

func TestTrustIsReadFromItsFiles(t *testing.T) {
	t.Parallel()
	public, _ := keyPair(t)
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edDER, err := x509.MarshalPKIXPublicKey(edKey)
	if err != nil {
		t.Fatal(err)
	}
	a, b, r := file(t, "a.pub", public), file(t, "b.pub", pemText("PUBLIC KEY", edDER)), file(t, "root.json", root)
	const issuer = "https://token.actions.githubusercontent.com"
	got, err := ForWorker().Load(Input{
		Flags: parsed(t, ForWorker(), "--trust-keys", a, "--trust-keys", b, "--trust-require-log"),
		Environ: []string{
			"TALLYMAN_TRUST_ROOT=" + r,
			"TALLYMAN_TRUST_IDENTITIES=" + issuer + "=https://github.com/a/b/.github/workflows/r.yaml@refs/tags/v1?x=1\n" +
				issuer + `=~^https://github\.com/a/[a-z]{1,3}$`,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Trust{
		Keys: []File{{a, []byte(public)}, {b, []byte(pemText("PUBLIC KEY", edDER))}},
		Root: File{r, []byte(root)},
		Identities: []Identity{
			{Issuer: issuer, Subject: "https://github.com/a/b/.github/workflows/r.yaml@refs/tags/v1?x=1"},
			{Issuer: issuer, Pattern: `^https://github\.com/a/[a-z]{1,3}$`},
		},
		RequireLog: true,
	}
	if diff := cmp.Diff(want, got.Config.Trust); diff != "" {
		t.Errorf("trust (-want +got):\n%s", diff)
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	public, private := keyPair(t)
	dir := t.TempDir()
	const (
		key  = "a file with one ECDSA, RSA or Ed25519 public key in PEM (BEGIN PUBLIC KEY)"
		vex  = "a file with an OpenVEX document (JSON)"
		tuf  = "a Sigstore trusted root (trusted_root.json), or nothing"
		rule = "a file with a policy, or nothing"
	)
	tests := []struct{ name, key, content, problem, expected string }{
		{"not PEM", "trust.keys", "ssh-ed25519 AAAA", " has no PEM in it", key},
		{"private key", "trust.keys", private, " has a private key in it, which does not belong here", key},
		{"certificate", "trust.keys", pemText("CERTIFICATE", []byte{1}), " has a CERTIFICATE in it", key},
		{"two keys", "trust.keys", public + public, " has more than one PEM block in it", key},
		{"broken key", "trust.keys", pemText("PUBLIC KEY", []byte{1}), " has a public key in it that cannot be read: ", key},
		{"not JSON", "trust.root", public, " has no JSON in it", tuf},
		{"another document", "trust.root", `{"mediaType":"application/json"}`, ` has the media type "application/json"`, tuf},
		{"a list", "trust.root", `[]`, ` has the media type ""`, tuf},
		{"not VEX", "vex.files", `{"@context":"https://schema.org"}`, ` has the @context "https://schema.org"`, vex},
		{"VEX of another form", "vex.files", `{"@context":["https://openvex.dev/ns"]}`, " has JSON of another form in it", vex},
		{"VEX cut off", "vex.files", `{"@context":`, " has no JSON in it", vex},
		{"empty policy", "policy.file", " \n", " has nothing in it", rule},
		{"binary policy", "policy.file", "\xff", " has bytes in it that are not UTF-8", rule},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "f", tt.content)
			variable := "TALLYMAN_" + strings.ToUpper(strings.ReplaceAll(tt.key, ".", "_"))
			_, err := ForWorker().Load(Input{Environ: []string{variable + "=" + path}})
			ms := mistakes(t, err)
			wantKey := tt.key
			if strings.HasSuffix(tt.key, "s") {
				wantKey += "[0]"
			}
			if len(ms) != 1 || ms[0].Key != wantKey || ms[0].Value != path || ms[0].Expected != tt.expected ||
				!strings.HasPrefix(ms[0].Problem, path+tt.problem) {
				t.Errorf("mistakes: got\n%s\nwant one of %s with %q, expecting %s", ms, wantKey, path+tt.problem, tt.expected)
			}
		})
	}
	missing := filepath.Join(dir, "cosign.pub")
	_, err := ForWorker().Load(Input{Environ: []string{"TALLYMAN_TRUST_KEYS=" + missing + "," + dir}})
	want := Mistakes{
		{
			Key: "trust.keys[0]", Origin: "environment TALLYMAN_TRUST_KEYS", Value: missing,
			Problem: "cannot read " + missing + ": no such file or directory", Expected: key,
		},
		{
			Key: "trust.keys[1]", Origin: "environment TALLYMAN_TRUST_KEYS", Value: dir,
			Problem: "cannot read " + dir + ": it is a directory", Expected: key,
		},
	}
	if diff := cmp.Diff(want, mistakes(t, err)); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

func TestIdentitiesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	const anchors = "the pattern is not anchored from ^ to $ around all alternatives, as in ^(…|…)$"
	tests := []struct{ name, identity, problem string }{
		{"no issuer", "me@example.com", "there is no = behind the issuer"},
		{"issuer that is no URL", "github=me", "the issuer is not a URL without a query"},
		{"issuer with a query", "https://i.example/?a=b", "the issuer is not a URL without a query"},
		{"no subject", "https://i.example=", "there is no subject"},
		{"pattern without anchors", `https://i.example=~.*@example\.com`, anchors},
		{"pattern without an end", `https://i.example=~^.*@example\.com`, anchors},
		{"anchors that bind one alternative each", `https://i.example=~^a|b$`, anchors},
		{"anchor of a line", `https://i.example=~(?m)^a$`, anchors},
		{"no regular expression", `https://i.example=~^($`, "the pattern is no regular expression: missing closing ): `^($`"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ForWorker().Load(Input{Environ: []string{
				"TALLYMAN_TRUST_IDENTITIES=" + tt.identity, "TALLYMAN_TRUST_ROOT=" + file(t, "root.json", root),
			}})
			ms := mistakes(t, err)
			if len(ms) != 1 || ms[0].Key != "trust.identities[0]" || ms[0].Value != tt.identity || ms[0].Problem != tt.problem {
				t.Errorf("mistakes: got\n%s\nwant one of trust.identities[0] with %q", ms, tt.problem)
			}
		})
	}
}

func TestWhatTrustNeedsOfTheRoot(t *testing.T) {
	t.Parallel()
	bare := file(t, "bare.json", bareRoot)
	const identity = "TALLYMAN_TRUST_IDENTITIES=https://i.example=me@example.com"
	tests := []struct {
		name    string
		environ []string
		want    []string
	}{
		{"identities without a root", []string{identity}, []string{"trust.identities need one"}},
		{"a log without a root", []string{"TALLYMAN_TRUST_REQUIRE_LOG=true"}, []string{"trust.require_log needs one"}},
		{
			"a root without authorities and logs",
			[]string{identity, "TALLYMAN_TRUST_REQUIRE_LOG=true", "TALLYMAN_TRUST_ROOT=" + bare},
			[]string{
				"trust.identities need a certificate authority and " + bare + " has none",
				"trust.require_log needs a transparency log and " + bare + " has none",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ForWorker().Load(Input{Environ: tt.environ})
			var got []string
			for _, m := range mistakes(t, err) {
				if m.Key != "trust.root" {
					t.Errorf("key: got %s, want trust.root", m.Key)
				}
				got = append(got, m.Problem)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAlsoChecksWhatIsOtherwiseRight(t *testing.T) {
	t.Parallel()
	program := ForWorker().Also(func(w Worker) []Mistake {
		return []Mistake{{Key: "policy.max_age", Problem: "too long for " + w.Policy.MaxAge.String(), Expected: "less"}}
	})
	_, err := program.Load(Input{Environ: []string{"TALLYMAN_POLICY_MAX_AGE=3h"}})
	want := Mistakes{{Key: "policy.max_age", Origin: "environment TALLYMAN_POLICY_MAX_AGE", Problem: "too long for 3h0m0s", Expected: "less"}}
	if diff := cmp.Diff(want, mistakes(t, err)); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
	_, err = program.Load(Input{Environ: []string{"TALLYMAN_TRUST_REQUIRE_LOG=true"}})
	if ms := mistakes(t, err); len(ms) != 1 || ms[0].Key != "trust.root" {
		t.Errorf("mistakes: got\n%s\nwant that of trust.root alone", ms)
	}
}

// FuzzIdentity feeds any text as an identity. What is taken is shown so that it
// is taken again, and a pattern in it matches no more than whole subjects.
func FuzzIdentity(f *testing.F) {
	for _, seed := range []string{
		"https://i.example=me@example.com", `https://i.example=~^a(b|c){1,3}$`, "https://i.example/~u=a=~b",
		"=", "=~", "https://i.example=~^a|b$", "https://i.example=~(?m)^a$", "https://[::1]:1=x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		identity, err := parseIdentity(text)
		if err != nil {
			return
		}
		again, err := parseIdentity(identity.String())
		if err != nil || again != identity {
			t.Errorf("%q: got %+v, and again %+v, %v", text, identity, again, err)
		}
		if identity.Pattern == "" {
			return
		}
		pattern := regexp.MustCompile(identity.Pattern)
		for _, subject := range []string{"me@example.com", "a", ""} {
			if pattern.MatchString("x\n"+subject+"\nx") && !regexp.MustCompile(`(?s)^(?:`+identity.Pattern+`)$`).MatchString("x\n"+subject+"\nx") {
				t.Errorf("%q matches within a longer subject", identity.Pattern)
			}
		}
	})
}

// FuzzNamedFile feeds any content to the checks of files.
func FuzzNamedFile(f *testing.F) {
	for _, seed := range []string{
		root, bareRoot, `{"@context":"https://openvex.dev/ns/v0.2.0"}`, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "[", "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, found := range []func([]byte) string{publicKeyProblem, trustedRootProblem, vexProblem, textProblem} {
			if what := found(content); len(what) > 1000 {
				t.Errorf("problem: got %d bytes", len(what))
			}
		}
	})
}
