package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Builder rebuilds a commit that was checked out.
type Builder struct {
	// Environ is the environment of the user, as os.Environ gives it. The build gets
	// what concerns the machine, and nothing that would change what is built.
	Environ []string
	// Root: the user may start BuildKit by hand.
	Root bool
	// Tools is a folder that pinned tools are taken from, and left in, so that they are
	// built once: bin/ and stamp/ as build/tools.sh makes them. Only those whose stamp
	// is that of the commit are used, which build/tools.sh itself decides. Without it
	// they are built anew.
	Tools string
	// Log is given what the build says.
	Log io.Writer
	// Say is given what happens, for people; it may be nil.
	Say func(format string, args ...any)
	Now func() time.Time
}

// Built is what a build left.
type Built struct {
	// Layout is the OCI image layout of the images, Dist the folder of the archives.
	Layout, Dist string
	// Tools is the folder of the commit's pinned tools.
	Tools             string
	Started, Finished time.Time
}

func (b *Builder) say(format string, args ...any) {
	if b.Say != nil {
		b.Say(format, args...)
	}
}

// Check says in one line what the machine lacks to rebuild, before anything is cloned.
func (b *Builder) Check(ctx context.Context) error {
	var missing []string
	for _, name := range []string{"git", "make", "go"} {
		if _, err := lookPath(b.Environ, name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("cannot rebuild: %s not found on PATH", strings.Join(missing, ", "))
	}
	if b.builder() == "" && !b.Root && !b.docker(ctx) {
		return fmt.Errorf("cannot rebuild: %w", errNoBuilder)
	}
	return nil
}

// builder is the buildx builder that the user chose.
func (b *Builder) builder() string { return value(b.Environ, "BUILDX_BUILDER") }

// docker reports whether there is a Docker daemon, and a client that builds with it.
func (b *Builder) docker(ctx context.Context) bool {
	for _, args := range [][]string{{"info"}, {"buildx", "version"}} {
		if _, err := run(ctx, "/", b.Environ, io.Discard, "docker", args...); err != nil {
			return false
		}
	}
	return true
}

// Build makes what the release of the claim published, with the repository's own
// `make snapshot` (docs/reproduce.md). Where BUILDX_BUILDER names a builder that is
// there, the same `goreleaser release --snapshot` uses it. An error tells the last
// lines that were said.
func (b *Builder) Build(ctx context.Context, claim Claim, dir string) (*Built, error) {
	env := b.environment(claim, dir)
	started := b.Now()
	if err := b.lend(dir); err != nil {
		return nil, fmt.Errorf("lend tools: %w", err)
	}
	steps := [][]string{{"make", "tools"}, {"make", "snapshot"}}
	if b.builder() != "" {
		steps = [][]string{{"make", "hooks"}, {"goreleaser", "release", "--snapshot", "--clean"}}
	}
	for _, step := range steps {
		b.say("%s …", strings.Join(step, " "))
		if _, err := run(ctx, dir, env, b.Log, step[0], step[1:]...); err != nil {
			return nil, fmt.Errorf("rebuild %s: %w", claim.Commit, err)
		}
	}
	if err := b.keep(dir); err != nil {
		b.say("the tools are not kept: %v", err)
	}
	return &Built{
		Layout: filepath.Join(dir, "rehearsal", "layout"), Dist: filepath.Join(dir, "dist"), Tools: filepath.Join(dir, ".tools", "bin"),
		Started: started, Finished: b.Now(),
	}, nil
}

// inputs are the variables of .goreleaser.yaml that a rebuild hands on: stand-ins where
// the network does not reach, and how the binary is made. A stand-in shows in the labels.
func inputs() []string {
	return []string{"TALLYMAN_BASE", "TALLYMAN_GOLANG", "TALLYMAN_MODULES", "TALLYMAN_BINARY_FROM"}
}

// environment is the user's, less what would make the build another one, or a release.
func (b *Builder) environment(claim Claim, dir string) []string {
	var env []string
	path := value(b.Environ, "PATH")
	for _, kv := range b.Environ {
		key, _, _ := strings.Cut(kv, "=")
		switch {
		case slices.Contains(inputs(), key):
		case strings.HasPrefix(key, "GITHUB_"), strings.HasPrefix(key, "ACTIONS_"), strings.HasPrefix(key, "TALLYMAN_"), strings.HasPrefix(key, "COSIGN_"),
			strings.HasPrefix(key, "SIGSTORE_"), strings.HasPrefix(key, "GORELEASER_"), strings.HasPrefix(key, "GIT_"), strings.HasPrefix(key, "SYFT_"),
			slices.Contains([]string{"GITLAB_TOKEN", "GITEA_TOKEN", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "GOFLAGS", "GOEXPERIMENT", "GOOS", "GOARCH", "SOURCE_DATE_EPOCH", "PATH"}, key):
			continue
		}
		env = append(env, kv)
	}
	if owner := claim.Owner(); owner != "" {
		env = append(env, "GITHUB_REPOSITORY="+owner)
	}
	dirs := []string{filepath.Join(dir, ".tools", "bin"), path}
	if b.builder() != "" {
		// GoReleaser calls `docker buildx`; the stand-in runs buildx and has no daemon,
		// so that no platform is loaded into one.
		dirs = slices.Insert(dirs, 0, filepath.Join(dir, "build", "shim"))
	}
	return append(env, "PATH="+strings.Join(dirs, ":"))
}

func value(environ []string, key string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if name, v, _ := strings.Cut(environ[i], "="); name == key {
			return v
		}
	}
	return ""
}

// lend copies the tools that were built before into the checkout. One without its stamp
// is not looked at.
func (b *Builder) lend(dir string) error {
	if b.Tools == "" {
		return nil
	}
	return copyTools(b.Tools, filepath.Join(dir, ".tools"))
}

// keep leaves the tools for the next time.
func (b *Builder) keep(dir string) error {
	if b.Tools == "" {
		return nil
	}
	return copyTools(filepath.Join(dir, ".tools"), b.Tools)
}

// copyTools copies the tools that have a stamp which the other side has not. A tool is
// put in place in one step, and its stamp after it, so that two who do this at once do
// not harm each other.
func copyTools(from, to string) error {
	stamps, err := os.ReadDir(filepath.Join(from, "stamp"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, kind := range []string{"bin", "stamp"} {
		if err := os.MkdirAll(filepath.Join(to, kind), 0o755); err != nil { //nolint:gosec // programs for everybody
			return err
		}
	}
	for _, entry := range stamps {
		name := entry.Name()
		if filepath.Ext(name) != "" {
			continue // how long it took to build
		}
		stamp, err := os.ReadFile(filepath.Join(from, "stamp", name))
		if err != nil {
			return err
		}
		if there, err := os.ReadFile(filepath.Join(to, "stamp", name)); err == nil && string(there) == string(stamp) {
			continue
		}
		if err := copyFile(filepath.Join(from, "bin", name), filepath.Join(to, "bin", name), 0o755); err != nil {
			return err
		}
		if err := copyFile(filepath.Join(from, "stamp", name), filepath.Join(to, "stamp", name), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string, mode os.FileMode) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read from
	out, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(out.Name()))
		}
	}()
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Chmod(mode), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}
