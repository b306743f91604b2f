package sigstoretest

import (
	"crypto"
	"math/big"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

// policy is the policy that the authority says it follows, one of Sigstore's.
const policy = "1.3.6.1.4.1.57264.2"

// startTimestamps serves timestamps in the process: the command of the timestamp
// authority serves its metrics at a fixed port, and ends when that is taken.
// The authority's settings are global, so there is one in a process.
func (d *Deployment) startTimestamps(t testing.TB) string {
	t.Helper()
	for key, value := range map[string]any{
		"timestamp-signer": "file", "timestamp-signer-hash": "sha256",
		"file-signer-key-path":     d.write(t, "timestamp.key", pkcs8PEM(t, d.Timestamps.Key)),
		"certificate-chain-path":   d.write(t, "timestamp-chain.pem", d.Timestamps.ChainPEM()),
		"enforce-intermediate-eku": true,
		"default-policy-oid":       policy, "accepted-policy-oids": []string{policy},
		"max-request-body-size": 1 << 20,
	} {
		viper.Set(key, value)
	}
	authority := httptest.NewServer(server.NewRestAPIServer("127.0.0.1", 0, []string{"http"}, false, ready, ready).GetHandler())
	d.ends = append(d.ends, authority.Close)
	return authority.URL
}

// Timestamp returns a response of a timestamp authority (RFC 3161, section 2.4.2)
// that a signature existed at a time of the caller's choice.
func (a Authority) Timestamp(t testing.TB, sig []byte, at time.Time) []byte {
	t.Helper()
	digest := crypto.SHA256.New()
	digest.Write(sig)
	stamp := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: digest.Sum(nil), Time: at, Nonce: big.NewInt(1),
		Policy: []int{1, 3, 6, 1, 4, 1, 57264, 2}, AddTSACertificate: true,
	}
	response, err := stamp.CreateResponseWithOpts(a.Chain[0], a.Key, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return response
}
