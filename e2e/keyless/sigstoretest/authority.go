package sigstoretest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// oidExtendedKeyUsage is id-ce-extKeyUsage (RFC 5280, section 4.2.1.12).
func oidExtendedKeyUsage() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 37} }

// Authority is a certificate that issues something, with its key and the root
// above it.
type Authority struct {
	Key crypto.Signer
	// Chain is the certificate of Key and that of the root.
	Chain []*x509.Certificate
}

// NewAuthority makes an authority: for [x509.ExtKeyUsageCodeSigning] one that
// issues certificates, for [x509.ExtKeyUsageTimeStamping] one that issues
// timestamps (RFC 3161, section 2.3, wants that usage alone, and critical).
func NewAuthority(t testing.TB, usage x509.ExtKeyUsage) Authority {
	t.Helper()
	rootKey, key := newECKey(t), newECKey(t)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"sigstore.test"}, CommonName: "root"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	root = certify(t, root, root, rootKey.Public(), rootKey)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{Organization: []string{"sigstore.test"}, CommonName: "authority"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, BasicConstraintsValid: true,
	}
	if usage == x509.ExtKeyUsageTimeStamping {
		leaf.KeyUsage = x509.KeyUsageDigitalSignature
		oid := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8} // id-kp-timeStamping
		value, err := asn1.Marshal([]asn1.ObjectIdentifier{oid})
		if err != nil {
			t.Fatal(err)
		}
		leaf.ExtraExtensions = []pkix.Extension{{Id: oidExtendedKeyUsage(), Critical: true, Value: value}}
	} else {
		leaf.IsCA, leaf.MaxPathLenZero = true, true
		leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageCertSign|x509.KeyUsageCRLSign, []x509.ExtKeyUsage{usage}
	}
	leaf = certify(t, leaf, root, key.Public(), rootKey)
	return Authority{Key: key, Chain: []*x509.Certificate{leaf, root}}
}

func certify(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// ChainPEM returns the chain, the root last.
func (a Authority) ChainPEM() []byte {
	var b bytes.Buffer
	for _, certificate := range a.Chain {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	}
	return b.Bytes()
}

func newECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEd25519Key(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicPEM(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func pkcs8PEM(t testing.TB, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// sec1PEM is the only form that TesseraCT reads.
func sec1PEM(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}
