// Package sigstoretest runs a private Sigstore for tests.
package sigstoretest

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The commands of the servers, as go.mod pins them. The command of the timestamp
// authority is not among them: see [Deployment.startTimestamps].
const (
	fulcio    = "github.com/sigstore/fulcio"
	rekor     = "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix"
	tesseract = "github.com/transparency-dev/tesseract/cmd/tesseract/posix"
)

// rekorOrigin is the name that Rekor signs its checkpoints with.
const rekorOrigin = "rekor.sigstore.test"

// Deployment is a private Sigstore: Fulcio, its certificate log, Rekor 2, a
// timestamp authority, and the OIDC issuer that Fulcio believes. The servers
// listen on loopback, except for Fulcio's metrics, whose address cannot be
// chosen, but for the port.
type Deployment struct {
	Issuer *Issuer
	// Timestamps has the key of the timestamp authority.
	Timestamps Authority
	// Roots is what the servers published, for whoever verifies.
	Roots Roots
	// SigningConfig is the file that tells cosign where the servers are.
	SigningConfig string

	dir  string
	ends []func()
}

// Start starts a deployment, which ends with the test, or before by
// [Deployment.Stop]. The commands are built first if Go's cache has none.
func Start(t testing.TB, cosign Cosign) *Deployment {
	t.Helper()
	d := &Deployment{dir: t.TempDir()}
	t.Cleanup(d.Stop)
	d.Issuer = newIssuer(t)
	certificates := NewAuthority(t, x509.ExtKeyUsageCodeSigning)
	d.Timestamps = NewAuthority(t, x509.ExtKeyUsageTimeStamping)
	d.Roots.RekorOrigin = rekorOrigin

	logURL := d.startCertificateLog(t, certificates)
	fulcioURL := d.startFulcio(t, certificates, logURL)
	rekorURL := d.startRekor(t)
	stampURL := d.startTimestamps(t)

	d.Roots.FulcioChain = d.write(t, "fulcio.pem", trustBundle(t, fulcioURL+"/api/v2/trustBundle"))
	d.Roots.TimestampChain = d.write(t, "timestamp.pem", get(t, stampURL+"/api/v1/timestamp/certchain"))
	d.SigningConfig = filepath.Join(d.dir, "signing_config.json")
	cosign.Run(t, "signing-config", "create", "--out", d.SigningConfig,
		"--fulcio", service(fulcioURL, 1), "--oidc-provider", service(d.Issuer.People, 1),
		"--rekor", service(rekorURL, 2), "--rekor-config", "ANY",
		"--tsa", service(stampURL+"/api/v1/timestamp", 1), "--tsa-config", "ANY")
	return d
}

// Stop ends the servers.
func (d *Deployment) Stop() {
	for _, end := range d.ends {
		end()
	}
	d.ends = nil
}

func (d *Deployment) startCertificateLog(t testing.TB, accepted Authority) string {
	t.Helper()
	key := newECKey(t)
	d.Roots.CertificateLogKey = d.write(t, "ctlog.pub", publicPEM(t, key.Public()))
	address := freeAddress(t)
	d.run(t, command{
		name: "tesseract", path: GoTool(t, ".", tesseract), ready: "http://" + address + "/ct/v1/get-roots",
		args: []string{
			"--http_endpoint", address, "--origin", "ctlog.sigstore.test", "--storage_dir", filepath.Join(d.dir, "ctlog"),
			"--private_key", d.write(t, "ctlog.key", sec1PEM(t, key)), "--roots_pem_file", d.write(t, "ctlog-roots.pem", accepted.ChainPEM()),
			"--checkpoint_interval", "100ms", "--batch_max_age", "50ms",
		},
		// Its metrics are sent to nobody.
		env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"},
	})
	return "http://" + address
}

func (d *Deployment) startFulcio(t testing.TB, ca Authority, certificateLog string) string {
	t.Helper()
	host, port := freeHostPort(t)
	_, grpc := freeHostPort(t)
	_, metrics := freeHostPort(t)
	d.run(t, command{
		name: "fulcio", path: GoTool(t, ".", fulcio), ready: "http://" + host + ":" + port + "/healthz",
		args: []string{
			"serve", "--host", host, "--port", port, "--grpc-host", host, "--grpc-port", grpc, "--metrics-port", metrics,
			"--legacy-unix-domain-socket", filepath.Join(d.dir, "fulcio.sock"),
			"--config-path", d.write(t, "fulcio.yaml", d.Issuer.fulcioConfig()), "--ct-log-url", certificateLog,
			"--ca", "fileca", "--fileca-cert", d.write(t, "ca.pem", ca.ChainPEM()), "--fileca-watch=false",
			"--fileca-key", d.write(t, "ca.key", pkcs8PEM(t, ca.Key)), "--fileca-key-passwd", "",
		},
	})
	return "http://" + host + ":" + port
}

func (d *Deployment) startRekor(t testing.TB) string {
	t.Helper()
	key := newEd25519Key(t)
	d.Roots.RekorKey = d.write(t, "rekor.pub", publicPEM(t, key.Public()))
	host, port := freeHostPort(t)
	_, grpc := freeHostPort(t)
	_, metrics := freeHostPort(t)
	d.run(t, command{
		name: "rekor", path: GoTool(t, ".", rekor), ready: "http://" + host + ":" + port + "/healthz",
		args: []string{
			"serve", "--http-address", host, "--http-port", port, "--grpc-address", host, "--grpc-port", grpc,
			"--http-metrics-port", metrics, "--hostname", rekorOrigin, "--storage-dir", filepath.Join(d.dir, "rekor"),
			"--signer-filepath", d.write(t, "rekor.key", pkcs8PEM(t, key)),
			"--checkpoint-interval", "100ms", "--batch-max-age", "50ms",
		},
	})
	return "http://" + host + ":" + port
}

func (d *Deployment) write(t testing.TB, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(d.dir, name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func service(url string, version int) string {
	return fmt.Sprintf("url=%s,api-version=%d,start-time=%s,operator=sigstore.test", url, version, started())
}

// started is since when the services of a deployment count: before it made any
// certificate.
func started() string { return time.Now().Add(-2 * time.Hour).UTC().Format(time.RFC3339) }

// trustBundle returns the one chain that Fulcio publishes, in PEM.
func trustBundle(t testing.TB, url string) []byte {
	t.Helper()
	var bundle struct {
		Chains []struct{ Certificates []string }
	}
	if err := json.Unmarshal(get(t, url), &bundle); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	if len(bundle.Chains) != 1 {
		t.Fatalf("%s: got %d chains, want 1", url, len(bundle.Chains))
	}
	chain := []byte(strings.Join(bundle.Chains[0].Certificates, "\n"))
	if block, _ := pem.Decode(chain); block == nil {
		t.Fatalf("%s: got %q, want certificates in PEM", url, chain)
	}
	return chain
}

func get(t testing.TB, url string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Timeout: ready}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %s: %s: %v", url, response.Status, body, err)
	}
	return body
}
