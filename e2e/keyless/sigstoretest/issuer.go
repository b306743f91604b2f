package sigstoretest

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// keyID names the one key of the issuer.
const keyID = "1"

// Issuer is an OIDC issuer (OpenID Connect Discovery 1.0) in the process, with
// what Fulcio asks one for. It has two names, one for each kind of identity.
type Issuer struct {
	// People issues tokens for e-mail addresses.
	People string
	// Workflows issues tokens for workflows, with the claims of GitHub Actions.
	Workflows string

	key    *ecdsa.PrivateKey
	server *httptest.Server
}

func newIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{key: newECKey(t)}
	mux := http.NewServeMux()
	i.server = httptest.NewServer(mux)
	t.Cleanup(i.server.Close)
	i.People, i.Workflows = i.server.URL+"/people", i.server.URL+"/workflows"
	mux.HandleFunc("GET /{name}/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		issuer := i.server.URL + "/" + r.PathValue("name")
		answer(w, map[string]any{
			"issuer": issuer, "jwks_uri": i.server.URL + "/keys", "authorization_endpoint": issuer + "/auth", "token_endpoint": issuer + "/token",
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{string(jose.ES256)},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: keyID, Algorithm: string(jose.ES256), Use: "sig"}}})
	})
	return i
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// Person returns the file of a token for an e-mail address, valid for a few
// minutes.
func (i *Issuer) Person(t testing.TB, email string) string {
	t.Helper()
	return i.token(t, i.People, email, map[string]any{"email": email, "email_verified": true})
}

// Workflow returns the file of a token for a run of a workflow at a tag, valid for
// a few minutes. Fulcio gives it the identity https://github.com/REPOSITORY/.github/workflows/FILE@refs/tags/TAG.
func (i *Issuer) Workflow(t testing.TB, repository, file, tag string) string {
	t.Helper()
	ref := "refs/tags/" + tag
	workflow := repository + "/.github/workflows/" + file + "@" + ref
	return i.token(t, i.Workflows, "repo:"+repository+":ref:"+ref, map[string]any{
		"event_name": "push", "sha": "0123456789abcdef0123456789abcdef01234567", "workflow": "release",
		"repository": repository, "ref": ref, "job_workflow_ref": workflow,
	})
}

func (i *Issuer) token(t testing.TB, issuer, subject string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: keyID}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	token, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: issuer, Subject: subject, Audience: jwt.Audience{"sigstore"},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(5 * time.Minute)),
	}).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// fulcioConfig returns the configuration that has Fulcio believe the issuer. The
// templates are some of those that Fulcio is run with for GitHub
// (config/identity/config.yaml in its repository).
func (i *Issuer) fulcioConfig() []byte {
	return fmt.Appendf(nil, `oidc-issuers:
  %[1]s: {issuer-url: %[1]s, client-id: sigstore, type: email}
  %[2]s: {issuer-url: %[2]s, client-id: sigstore, type: ci-provider, ci-provider: github-workflow}
ci-issuer-metadata:
  github-workflow:
    default-template-values: {url: "https://github.com"}
    extension-templates:
      github-workflow-trigger: event_name
      github-workflow-sha: sha
      github-workflow-name: workflow
      github-workflow-repository: repository
      github-workflow-ref: ref
      build-signer-uri: "{{ .url }}/{{ .job_workflow_ref }}"
    subject-alternative-name-template: "{{ .url }}/{{ .job_workflow_ref }}"
`, i.People, i.Workflows)
}
