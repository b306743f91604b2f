package service

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// writePair writes a certificate of a serial number, and its key, with a time of their own.
func writePair(t *testing.T, files TLS, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(path, kind string, b []byte) {
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1_700_000_000+serial, 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write(files.Certificate, "CERTIFICATE", der)
	write(files.Key, "PRIVATE KEY", encoded)
}

func pairIn(t *testing.T) TLS {
	t.Helper()
	dir := t.TempDir()
	files := TLS{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	writePair(t, files, 1)
	return files
}

// serial is that of the certificate that a server shows.
func serial(t *testing.T, address string, config *tls.Config) (int64, error) {
	t.Helper()
	config.InsecureSkipVerify = true
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	secure, ok := conn.(*tls.Conn)
	if !ok {
		t.Fatalf("got a %T", conn)
	}
	return secure.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestAServiceWithACertificateSpeaksTLSAlone(t *testing.T) {
	t.Parallel()
	files := pairIn(t)
	r := launch(t, func(context.Context) (App, error) { return App{}, nil }, func(c *Config) { c.TLS = files })
	address := strings.TrimPrefix(r.url, "http://")
	deadline := time.Now().Add(10 * time.Second)
	for CheckHealth(t.Context(), address, true) != nil {
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %v", CheckHealth(t.Context(), address, true))
		}
	}
	if got, err := serial(t, address, &tls.Config{}); got != 1 || err != nil {
		t.Errorf("certificate: got %d, %v, want 1", got, err)
	}
	if _, err := serial(t, address, &tls.Config{MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1: got an answer, want none")
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /readyz HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(conn); strings.Contains(string(answer), "200") {
		t.Errorf("without TLS: got %s", answer)
	}
}

func TestAServiceWithoutItsCertificateDoesNotStart(t *testing.T) {
	t.Parallel()
	files := pairIn(t)
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	r := launch(t, func(context.Context) (App, error) { return App{}, nil }, func(c *Config) { c.TLS = files })
	if err := r.wait(t); err == nil || !strings.Contains(err.Error(), "look at the certificate") {
		t.Errorf("got %v, want what is missing", err)
	}
}

func TestACertificateThatChangesIsReadAgain(t *testing.T) {
	t.Parallel()
	files, now, log := pairIn(t), time.Unix(1, 0), &logs{}
	all, err := newCertificates(files, zerolog.New(log), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	shows := func(when string, want int64) {
		t.Helper()
		pair, err := all.get(nil)
		if err != nil || pair.Leaf.SerialNumber.Int64() != want {
			t.Errorf("%s: got %v, %v, want %d", when, pair.Leaf.SerialNumber, err, want)
		}
	}
	shows("at first", 1)
	writePair(t, files, 2)
	shows("a moment after a change", 1)
	now = now.Add(certificateEvery)
	shows("a while after a change", 2)
	if err := os.WriteFile(files.Key, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(certificateEvery)
	shows("while one file cannot be used", 2)
	writePair(t, files, 3)
	now = now.Add(certificateEvery)
	shows("when both can", 3)
	if len(log.lines(t, "certificate read again")) != 2 || len(log.lines(t, "changed certificate cannot be used; the one of before is")) != 1 {
		t.Errorf("log: got\n%s", log.b.String())
	}
}
