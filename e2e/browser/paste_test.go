package browser_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// pastedTakes bounds what a person pastes into a shell.
const pastedTakes = 5 * time.Minute

// snippet is a text on a page that is there to be pasted.
type snippet struct{ ID, Note, Text string }

// snippets are those of a page whose ids begin alike.
func snippets(t *testing.T, b *tab, prefix string) []snippet {
	t.Helper()
	var all []snippet
	b.do(t, chromedp.Evaluate(`[...document.querySelectorAll('pre[id^="`+prefix+`"]')].map(p => ({id: p.id, text: p.textContent,
		note: (p.parentElement.previousElementSibling || {textContent: ""}).textContent}))`, &all))
	return all
}

// shell is where a person pastes: a folder, and the tools that the snippets name.
type shell struct{ dir, path string }

// newShell makes a folder with the public key under each name that the snippets have for it.
func newShell(t *testing.T, key []byte, tools string, all []snippet) *shell {
	t.Helper()
	s := &shell{dir: t.TempDir(), path: tools}
	for _, one := range all {
		for _, m := range regexp.MustCompile(`--key (\S+)`).FindAllStringSubmatch(one.Text, -1) {
			if err := os.WriteFile(filepath.Join(s.dir, m[1]), key, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// run pastes a text, and returns what it printed and how it ended.
func (s *shell) run(t *testing.T, text string) (out, errs string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pastedTakes)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-eo", "pipefail", "-c", text)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PATH="+s.path+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+s.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("paste %q: %v", text, err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// tools are the pinned ones, and the tallyman of this source.
func tools(t *testing.T) string {
	t.Helper()
	pinned, err := filepath.Abs(filepath.Join("..", "..", ".tools", "bin"))
	if err != nil {
		t.Fatal(err)
	}
	own := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", own+string(filepath.Separator), "./cmd/tallyman")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build tallyman: %v\n%s", err, out)
	}
	return own + string(os.PathListSeparator) + pinned
}

// hasToPrint is what a note says that a command prints.
var hasToPrint = regexp.MustCompile(`Has to print (\S+?)[.,]`)

// paste runs everything that a release page says to verify it with, as it stands there.
func paste(t *testing.T, b *tab, d *demo, newer, path string) {
	t.Helper()
	b.visit(t, newer)
	all := snippets(t, b, "verify-")
	key, err := os.ReadFile(d.key)
	if err != nil {
		t.Fatal(err)
	}
	here, elsewhere := newShell(t, key, path, all), newShell(t, anotherKey(t), path, all)
	ran := map[string]bool{}
	for _, s := range all {
		kind, _, _ := strings.Cut(strings.TrimPrefix(s.ID, "verify-"), "-")
		ran[kind] = true
		out, errs, code := here.run(t, s.Text)
		if code != 0 {
			t.Errorf("%s: ends with %d, want 0\n%s\n%s", s.ID, code, s.Text, errs)
			continue
		}
		if want := hasToPrint.FindStringSubmatch(s.Note); want != nil && !strings.HasPrefix(out, want[1]) {
			t.Errorf("%s: printed %q, want %s", s.ID, out, want[1])
		}
		if !strings.Contains(s.Text, "--key") {
			continue
		}
		// What ends with 0 whoever signed verifies nothing.
		if _, _, code := elsewhere.run(t, s.Text); code == 0 {
			t.Errorf("%s: ends with 0 with the key of somebody else", s.ID)
		}
	}
	for _, kind := range []string{"digest", "signature", "attestations", "tallyman", "sbom"} {
		if !ran[kind] {
			t.Errorf("there is nothing to verify the %s with: got %v", kind, ran)
		}
	}
}

// reproduce runs the commands that reproduce a release up to where they would build: with
// a build that is not there, or one that only says what came out.
func reproduce(t *testing.T, b *tab, d *demo, newer, path string) {
	t.Helper()
	b.visit(t, newer)
	all := snippets(t, b, "reproduce-")
	key, err := os.ReadFile(d.key)
	if err != nil {
		t.Fatal(err)
	}
	s := newShell(t, key, path, all)
	texts := map[string]string{}
	for _, one := range all {
		texts[one.ID] = one.Text
	}
	_, errs, code := s.run(t, texts["reproduce-image"]+" --rebuilt "+s.dir)
	if code != 3 || !strings.Contains(errs, "make snapshot") {
		t.Errorf("reproduce by digest: ends with %d, want 3, because nothing was built there\n%s\n%s", code, texts["reproduce-image"], errs)
	}
	want := []string{"TALLYMAN_REGISTRY=" + d.registry + "/tallyman ", "tallyman reproduce " + newVersion, "--key "}
	for _, part := range want {
		if !strings.Contains(texts["reproduce-release"], part) {
			t.Errorf("reproduce-release: got %q, want %q in it", texts["reproduce-release"], part)
		}
	}
	digest := b.text(t, ".title code.digest")
	byHand(t, d, path, texts["reproduce-tag"], digest, "")
	byHand(t, d, path, texts["reproduce-source"], digest, "source")
}

// byHand pastes what clones a release and builds it there, with the clone that was released
// for the project's repository. The build itself takes minutes and is what e2e/reproduce
// is for: make notes here how it was called, and says that a digest came out.
func byHand(t *testing.T, d *demo, path, text, digest, from string) {
	t.Helper()
	source := regexp.MustCompile(`git clone (https://\S+) `).FindStringSubmatch(text)
	if source == nil {
		t.Errorf("got %q, want it to clone the source", text)
		return
	}
	for _, built := range []string{digest, "sha256:" + strings.Repeat("0", 64)} {
		own := t.TempDir()
		s := &shell{dir: t.TempDir(), path: own + string(os.PathListSeparator) + path}
		for file, content := range map[string]string{
			// The key lies beside the clone: see e2e/cmd/demo.
			filepath.Join(s.dir, ".gitconfig"): "[url \"" + filepath.Join(filepath.Dir(d.key), "clone") + "\"]\n\tinsteadOf = " + source[1] + "\n",
			filepath.Join(own, "make"): "#!/bin/sh\nset -e\ntest -f go.mod\ngit describe --exact-match --tags\n" +
				"echo \"from=$TALLYMAN_BINARY_FROM make $*\"\nmkdir -p rehearsal\necho \"x/web " + built + "\" >rehearsal/digests.txt\n",
		} {
			if err := os.WriteFile(file, []byte(content), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		out, errs, code := s.run(t, text)
		if want := newVersion + "\nfrom=" + from + " make snapshot\n"; !strings.Contains(out, want) {
			t.Errorf("paste %q: printed %q, want %q\n%s", text, out, want, errs)
		}
		if (code == 0) != (built == digest) {
			t.Errorf("paste %q: ends with %d where %s was built, and %s is that of the release\n%s", text, code, built, digest, errs)
		}
	}
}

// anotherKey is the public key of somebody else.
func anotherKey(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
