// Package offline_test runs the auditor's command where there is no network: in a
// namespace without an interface, under strace.
package offline_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// program is the command's file.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tallyoffline")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	program = filepath.Join(dir, "tallyman")
	build := exec.Command("go", "build", "-trimpath", "-tags=nopgxregisterdefaulttypes,grpcnotrace", "-o", program, "./cmd/tallyman") //nolint:noctx // go test has a limit
	build.Dir, build.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build tallyman: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// isolated runs the command in a network namespace of its own, where not even loopback
// is up, and returns what it did with the network.
func isolated(t *testing.T, args ...string) (code int, output, network string) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	all := append([]string{"-n", "strace", "-f", "-e", "trace=%network", "-o", trace, program}, args...)
	cmd := exec.CommandContext(t.Context(), "unshare", all...)
	out, err := cmd.CombinedOutput()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return cmd.ProcessState.ExitCode(), string(out), string(b)
}

// needIsolation skips where a namespace or strace cannot be had. In CI that is a failure.
func needIsolation(t *testing.T) {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	for _, command := range []string{"unshare", "strace"} {
		if _, err := exec.LookPath(command); err != nil {
			missing("needs %s", command)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", "-n", "strace", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		missing("needs root, to have a network namespace and to trace in it: %v: %s", err, out)
	}
}

// sockets are system calls that reach for a network. A call to a name service by a Unix
// socket would be one as well.
var sockets = regexp.MustCompile(`(?m)^.*\b(socket|connect|sendto|bind)\(.*$`)

func TestPapersAreVerifiedWithoutANetwork(t *testing.T) {
	needIsolation(t)
	server := registrytest.New(t)
	index := server.Push(t, "acme/web", registrytest.Index(t, 7, "0123456789abcdef", "linux/amd64", "linux/arm64"), "v1.0.0")
	key := evidencetest.NewKey(t)
	key.Sign(t, server.Repository("acme/web"), release.Digest(index))
	key.Attest(t, server.Repository("acme/web"), release.Digest(index),
		evidencetest.Attestation{Type: evidencetest.SPDX, Predicate: []byte(`{"spdxVersion":"SPDX-2.3","packages":[]}`)})
	dir := t.TempDir()
	public, dossier, layout := filepath.Join(dir, "release.pub"), filepath.Join(dir, "web.dossier"), filepath.Join(dir, "web.tar")
	if err := os.WriteFile(public, key.PEM(t), 0o600); err != nil {
		t.Fatal(err)
	}
	create := exec.CommandContext(t.Context(), program, "dossier", "create", "-o", dossier, "--key", public, server.Repository("acme/web")+":v1.0.0")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	unpack(t, dossier, layout)
	flipped := filepath.Join(dir, "flipped.dossier")
	b, err := os.ReadFile(dossier)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/3] ^= 1
	if err := os.WriteFile(flipped, b, 0o600); err != nil {
		t.Fatal(err)
	}

	for name, tt := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a dossier, with a key":        {[]string{"dossier", "verify", dossier, "--key", public, "--require", "signature,sbom"}, 0, "signed by key release.pub"},
		"a dossier, with its own keys": {[]string{"dossier", "verify", dossier}, 0, "worth no more than the dossier"},
		"a dossier that is damaged":    {[]string{"dossier", "verify", flipped, "--key", public}, 1, "damaged: blobs/sha256/"},
		"the layout out of a dossier":  {[]string{"verify", "--offline", "--key", public, "--require", "signature,sbom", layout}, 0, "signed by key release.pub"},
	} {
		t.Run(name, func(t *testing.T) {
			code, output, network := isolated(t, tt.args...)
			if code != tt.code || !strings.Contains(output, tt.says) {
				t.Errorf("got %d, want %d, with %q in\n%s", code, tt.code, tt.says, output)
			}
			if calls := sockets.FindAllString(network, -1); calls != nil {
				t.Errorf("reached for the network:\n%s", strings.Join(calls, "\n"))
			}
		})
	}
	// The trace would show it: the registry cannot be reached there.
	code, output, network := isolated(t, "verify", server.Repository("acme/web")+":v1.0.0", "--key", public)
	if code != 3 || sockets.FindString(network) == "" {
		t.Errorf("an image in a registry: got %d, want 3 and a socket in the trace\n%s%s", code, output, network)
	}
}

// unpack takes the layout out, as `zstd -d` does.
func unpack(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := zstd.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	plain, err := io.ReadAll(decoder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tar.NewReader(bytes.NewReader(plain)).Next(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, plain, 0o600); err != nil {
		t.Fatal(err)
	}
}
