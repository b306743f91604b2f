package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// pair makes a certificate and its key, both as PEM.
func pair(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", encoded)
}

func TestSettingsOfAccess(t *testing.T) {
	t.Parallel()
	certificate, key := pair(t)
	token := "tally_first_" + strings.Repeat("ab", 32)
	got, err := ForWeb().Load(Input{Environ: []string{
		"TALLYMAN_TLS_CERTIFICATE=" + file(t, "c.pem", certificate), "TALLYMAN_TLS_KEY=" + file(t, "k.pem", key),
		"TALLYMAN_SERVER_TRUSTED_PROXIES=10.0.0.0/8 192.0.2.1,fd00::/8",
		"TALLYMAN_ACCESS_ANONYMOUS=viewer", "TALLYMAN_ACCESS_BOOTSTRAP_TOKEN_FILE=" + file(t, "token", token+"\n"),
		"TALLYMAN_CONSOLE_URL=https://tally.example", "TALLYMAN_OIDC_ISSUER=https://id.example/realm", "TALLYMAN_OIDC_CLIENT_ID=tally",
		"TALLYMAN_OIDC_CLIENT_SECRET=very secret", "TALLYMAN_OIDC_ROLES=cn=ops, ou=x=operator; all people=viewer", "TALLYMAN_OIDC_SCOPES=groups email",
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := got.Config
	want := []any{
		[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("fd00::/8")},
		[]ClaimedRole{{"cn=ops, ou=x", "operator"}, {"all people", "viewer"}},
		[]string{"groups", "email"},
		token, key,
	}
	found := []any{c.TrustedProxies, c.OIDC.Roles, c.OIDC.Scopes, c.Access.BootstrapToken.Reveal(), string(c.TLS.Key.Content)}
	if diff := cmp.Diff(want, found, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	printed, err := PrintYAML(got.Values)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{token, "very secret", "PRIVATE KEY"} {
		if strings.Contains(string(printed), secret) {
			t.Errorf("config print shows %q:\n%s", secret, printed)
		}
	}
}

func TestMistakesInSettingsOfAccess(t *testing.T) {
	t.Parallel()
	certificate, _ := pair(t)
	_, other := pair(t)
	c, k := file(t, "c.pem", certificate), file(t, "k.pem", other)
	tests := map[string]struct {
		environ []string
		want    []string // key: problem
	}{
		"an issuer alone": {
			[]string{"OIDC_ISSUER=https://id.example"},
			[]string{"console.url: oidc.issuer needs it, for the redirect URI", "oidc.client_id: oidc.issuer needs it", "oidc.roles: oidc.issuer needs it"},
		},
		"a client without an issuer": {
			[]string{"OIDC_CLIENT_ID=x", "OIDC_CLIENT_SECRET=y", "OIDC_ROLES=a=viewer"},
			[]string{"oidc.issuer: oidc.client_id needs it", "oidc.issuer: oidc.roles needs it", "oidc.issuer: oidc.client_secret needs it"},
		},
		"an issuer without TLS":  {[]string{"OIDC_ISSUER=http://id.example"}, []string{"oidc.issuer: an issuer without TLS"}},
		"an issuer with a query": {[]string{"OIDC_ISSUER=https://id.example?x=1"}, []string{"oidc.issuer: a query or a fragment in the URL"}},
		"unknown roles":          {[]string{"OIDC_ROLES=a=admin;=viewer"}, []string{"oidc.roles[0]: ", "oidc.roles[1]: "}},
		"a console below a path": {
			[]string{"CONSOLE_URL=https://x.example/tally"},
			[]string{"console.url: a path in the URL: web is served at the root of its host"},
		},
		"a life shorter than idle": {[]string{"ACCESS_SESSION_LIFETIME=1h"}, []string{"access.session_lifetime: shorter than access.session_idle"}},
		"everybody is a proxy": {
			[]string{"SERVER_TRUSTED_PROXIES=0.0.0.0/0,10.0.0.1/8,x"},
			[]string{
				"server.trusted_proxies[0]: everybody would be believed",
				"server.trusted_proxies[1]: not the first address of a network, which is 10.0.0.0/8", "server.trusted_proxies[2]: ",
			},
		},
		"a weak token":             {[]string{"ACCESS_BOOTSTRAP_TOKEN=tally_first_1234"}, []string{"access.bootstrap_token: not of the form of a token"}},
		"operators without a name": {[]string{"ACCESS_ANONYMOUS=operator"}, []string{"access.anonymous: "}},
		"a certificate alone":      {[]string{"TLS_CERTIFICATE=" + c}, []string{"tls.key: tls.certificate needs it"}},
		"a key alone":              {[]string{"TLS_KEY=" + k}, []string{"tls.certificate: tls.key needs it"}},
		"another's key": {
			[]string{"TLS_CERTIFICATE=" + c, "TLS_KEY=" + k},
			[]string{"tls.key: it does not belong to tls.certificate, or cannot be read: tls: private key does not match public key"},
		},
		"swapped": {
			[]string{"TLS_CERTIFICATE=" + k, "TLS_KEY=" + c},
			[]string{"tls.certificate: " + k + " has no certificate in PEM at its beginning", "tls.key: " + c + " has no private key in PEM at its beginning"},
		},
		"no limits": {[]string{"LIMITS_REQUESTS=0", "LIMITS_FAILED_LOGINS=-1"}, []string{"limits.failed_logins: ", "limits.requests: "}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var environ []string
			for _, e := range tt.environ {
				environ = append(environ, "TALLYMAN_"+e)
			}
			_, err := ForWeb().Load(Input{Environ: environ})
			var got []string
			for _, m := range mistakes(t, err) {
				got = append(got, m.Key+": "+m.Problem)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
			}
		})
	}
}
