package reproduce

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/e2e/workbench"
)

// nobody is the user and group who owns nothing (Debian policy, section 9.2.2).
const nobody = 65534

// somebody is the other person: nobody where we are root, ourselves elsewhere.
type somebody struct {
	who   string
	uid   int // -1 for ourselves
	home  string
	tools string // of his own
	env   []string
	bin   string // the tallyman command
}

// newSomebody gives somebody else a home, a BuildKit, and copies of the caches that he
// may write to.
func newSomebody(t *testing.T, s *suite) *somebody {
	t.Helper()
	bench := newBench(t, s.repository, "somebody")
	must(t, bench.BuildKit(t.Context()))
	who := &somebody{who: "the same user", uid: -1, home: filepath.Join(bench.Dir, "home of somebody else"), bin: filepath.Join(bench.Dir, "tallyman")}
	who.tools = filepath.Join(who.home, "tools")
	must(t, os.Mkdir(who.home, 0o755))
	copyFile(t, filepath.Join(s.clone.Dir, ".tools", "bin", "tallyman"), who.bin)
	writeFile(t, filepath.Join(who.home, ".gitconfig"), "[core]\n\tabbrev = 40\n\tautocrlf = input\n[user]\n\tname = Somebody Else\n")
	who.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + who.home, "TZ=Pacific/Auckland", "LANG=tr_TR.UTF-8", "LC_ALL=C",
		"GOCACHE=" + goEnv(t, "GOCACHE"), "GOMODCACHE=" + goEnv(t, "GOMODCACHE"), "GOFLAGS=-race", "GOPROXY=" + goEnv(t, "GOPROXY"),
		"TALLYMAN_REGISTRY=nowhere.invalid/x", "GITHUB_REPOSITORY=somebody/else", "SOURCE_DATE_EPOCH=1",
	}
	for _, kv := range slices.Concat(bench.Env(), s.bench.Env()) {
		key, _, _ := strings.Cut(kv, "=")
		// The base is an input of the build, not something that it makes.
		if key == "TALLYMAN_BASE" || strings.HasPrefix(key, "BUILDX_") && !slices.ContainsFunc(who.env, func(e string) bool { return strings.HasPrefix(e, key+"=") }) {
			who.env = append(who.env, kv)
		}
	}
	if os.Geteuid() == 0 {
		who.become(t, s, bench)
	}
	return who
}

// become makes somebody the user nobody.
func (w *somebody) become(t *testing.T, s *suite, bench *workbench.Bench) {
	t.Helper()
	for _, cache := range []string{"GOCACHE", "GOMODCACHE"} {
		over, err := overlay(t, goEnv(t, cache), filepath.Join(bench.Dir, strings.ToLower(cache)))
		if err != nil {
			t.Logf("reproducing as the same user: %v", err)
			return
		}
		w.env = append(w.env, cache+"="+over)
	}
	w.who, w.uid = "nobody", nobody
	owner := fmt.Sprintf("%d:%d", nobody, nobody)
	sh(t, "chown", "-R", owner, w.home, filepath.Join(bench.Dir, "buildx"))
	// The layout of the base image is read by whoever builds on it.
	if base := filepath.Join(s.bench.Dir, "base"); exists(base) {
		sh(t, "chmod", "-R", "a+rX", base)
	}
	// Where BuildKit is a daemon of ours, others may speak with it.
	if socket := filepath.Join(bench.Dir, "buildkitd.sock"); exists(socket) {
		must(t, os.Chmod(socket, 0o666))
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// overlay is a copy of a cache that all may write to, made without copying.
func overlay(t *testing.T, lower, dir string) (string, error) {
	t.Helper()
	upper, work, merged := filepath.Join(dir, "upper"), filepath.Join(dir, "work"), filepath.Join(dir, "merged")
	for _, d := range []string{upper, work, merged} {
		must(t, os.MkdirAll(d, 0o755))
	}
	options := "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work
	if err := syscall.Mount("overlay", merged, "overlay", 0, options); err != nil {
		return "", fmt.Errorf("%w over %s: %w", errNoMount, lower, err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(merged, syscall.MNT_DETACH)) })
	// Its folders are written to; and what was written under another umask is there, and
	// not to be read.
	sh(t, "find", merged, "-maxdepth", "1", "-type", "d", "-exec", "chmod", "a+rwx", "{}", "+")
	sh(t, "find", merged, "-type", "f", "!", "-perm", "-o+r", "-exec", "chmod", "a+r", "{}", "+")
	return merged, nil
}

// sh runs a command that has to succeed.
func sh(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// command runs a command as somebody, under a umask that lets nobody else read.
func (w *somebody) command(ctx context.Context, dir string, args ...string) (code int, stdout, stderr string) {
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", `umask 077; exec "$0" "$@"`}, args...)...)
	cmd.Dir, cmd.Env = dir, w.env
	if w.uid >= 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(w.uid), Gid: uint32(w.uid)}} //nolint:gosec // a constant
	}
	return finish(cmd)
}

func (w *somebody) tallyman(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	return w.command(ctx, w.home, append([]string{w.bin}, args...)...)
}

// buildTools builds the pinned tools of a checkout into somebody's own folder.
func (w *somebody) buildTools(ctx context.Context, repository string) error {
	build := filepath.Join(w.home, "tool source")
	script := `mkdir -p "$1/.tools" "$2" && cp -R "$0/build" "$0/tools" "$0/go.mod" "$1" && cd "$1" && GOFLAGS= build/tools.sh goreleaser cosign syft buildx && cp -R .tools/. "$2"`
	if code, stdout, stderr := w.command(ctx, w.home, "/bin/sh", "-c", script, repository, build, w.tools); code != 0 {
		return fmt.Errorf("build the tools: exit %d: %s%s", code, stdout, stderr)
	}
	return nil
}

// key makes a signing key for somebody, once.
func (w *somebody) key(t *testing.T) (private, public string) {
	t.Helper()
	prefix := filepath.Join(w.home, "rebuilder")
	if !exists(prefix + ".pub") {
		w.env = append(w.env, "COSIGN_PASSWORD=")
		if code, stdout, stderr := w.command(t.Context(), w.home, cosignOf(t), "generate-key-pair", "--output-key-prefix", prefix); code != 0 {
			t.Fatalf("make a key: exit %d: %s%s", code, stdout, stderr)
		}
	}
	return prefix + ".key", prefix + ".pub"
}

func cosignOf(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../.tools/bin/cosign")
	must(t, err)
	return path
}

// root runs the command as the one who released.
func (s *suite) root(ctx context.Context, dir string, env []string, args ...string) (code int, stdout, stderr string) {
	cmd := exec.CommandContext(ctx, s.somebody.bin, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	return finish(cmd)
}

func finish(cmd *exec.Cmd) (code int, stdout, stderr string) {
	var out, errOut output
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.WaitDelay = time.Minute
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, out.String(), errOut.String()
	case errors.As(err, &exit):
		return exit.ExitCode(), out.String(), errOut.String()
	default:
		return -1, out.String(), errOut.String() + err.Error()
	}
}

// shimmed is the PATH on which `docker` is the stand-in, as the pipeline has it for the
// rehearsal.
func (s *suite) shimmed() string {
	return strings.Join([]string{filepath.Join(s.clone.Dir, "build", "shim"), s.bench.Tools.Dir, os.Getenv("PATH")}, ":")
}

// goVersion asks a toolchain for its version, which downloads it.
func (s *suite) goVersion(ctx context.Context, toolchain string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "version")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain, "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// output collects what a command prints.
type output struct {
	mu  sync.Mutex
	all strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, content, 0o755))
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	must(t, os.WriteFile(name, []byte(content), 0o600))
}
