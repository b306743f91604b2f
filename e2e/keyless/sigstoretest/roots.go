package sigstoretest

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Roots is what whoever verifies has to know of a deployment. The fields are
// files in PEM, but for the origin.
type Roots struct {
	FulcioChain, TimestampChain string
	CertificateLogKey, RekorKey string
	// RekorOrigin is the first line of Rekor's checkpoints.
	RekorOrigin string
}

// NewRoots returns the roots of a deployment that never ran.
func NewRoots(t testing.TB) Roots {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return Roots{
		FulcioChain:       write("fulcio.pem", NewAuthority(t, x509.ExtKeyUsageCodeSigning).ChainPEM()),
		TimestampChain:    write("timestamp.pem", NewAuthority(t, x509.ExtKeyUsageTimeStamping).ChainPEM()),
		CertificateLogKey: write("ctlog.pub", publicPEM(t, newECKey(t).Public())),
		RekorKey:          write("rekor.pub", publicPEM(t, newEd25519Key(t).Public())),
		RekorOrigin:       rekorOrigin,
	}
}

// TrustedRoot returns the file of the trusted root that cosign makes of the roots,
// as docs/verify.md tells people to.
func (r Roots) TrustedRoot(t testing.TB, cosign Cosign) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trusted_root.json")
	since := started()
	cosign.Run(t, "trusted-root", "create", "--out", file,
		"--fulcio", fmt.Sprintf("url=https://fulcio.sigstore.test,certificate-chain=%s,start-time=%s", r.FulcioChain, since),
		"--ctfe", fmt.Sprintf("url=https://ctlog.sigstore.test,public-key=%s,start-time=%s", r.CertificateLogKey, since),
		"--rekor", fmt.Sprintf("url=https://rekor.sigstore.test,public-key=%s,start-time=%s,origin=%s", r.RekorKey, since, r.RekorOrigin),
		"--tsa", fmt.Sprintf("url=https://timestamp.sigstore.test,certificate-chain=%s,start-time=%s", r.TimestampChain, since))
	return file
}
