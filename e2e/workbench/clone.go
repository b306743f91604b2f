package workbench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tallyman-io/tallyman/internal/tool"
)

// Clone is a scratch clone of the repository, to tag and release from.
type Clone struct {
	// Dir is the clone's folder.
	Dir string
	git tool.Box
}

// Clone makes a scratch clone in a folder of the bench. What the checkout has
// uncommitted becomes one more commit there, so that what is released is what
// is at hand. Its commits have fixed authors and times: two clones of one
// checkout give the same commits.
func (b *Bench) Clone(ctx context.Context, name string) (*Clone, error) {
	dir := filepath.Join(b.Dir, name)
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("clone: %w", err)
	}
	c := &Clone{Dir: dir, git: tool.Box{Env: []string{
		"GIT_AUTHOR_NAME=Tallyman", "GIT_AUTHOR_EMAIL=tallyman@example.invalid", "GIT_COMMITTER_NAME=Tallyman", "GIT_COMMITTER_EMAIL=tallyman@example.invalid",
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
	}}}
	source := tool.Box{}
	if _, err := source.Run(ctx, "git", "clone", "--quiet", "--no-hardlinks", "--no-tags", b.repository, dir); err != nil {
		return nil, fmt.Errorf("clone: %w", err)
	}
	if err := b.overlay(ctx, c); err != nil {
		return nil, fmt.Errorf("clone: %w", err)
	}
	return c, b.lendTools(c)
}

// overlay copies what git does not ignore from the working tree into the clone
// and commits the difference, if there is one.
func (b *Bench) overlay(ctx context.Context, c *Clone) error {
	listed, err := tool.Box{}.Run(ctx, "git", "-C", b.repository, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	if err != nil {
		return err
	}
	var present bytes.Buffer
	for name := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(b.repository, name)); err == nil {
			present.WriteString(name + "\x00")
		}
	}
	if _, err := c.Git(ctx, "rm", "-rfq", "--ignore-unmatch", "."); err != nil {
		return err
	}
	copying := exec.CommandContext(ctx, "sh", "-c", `tar -C "$0" --null -T - -cf - | tar -C "$1" -xf -`, b.repository, c.Dir)
	copying.Stdin = &present
	if out, err := copying.CombinedOutput(); err != nil {
		return fmt.Errorf("copy the working tree: %w: %s", err, out)
	}
	if _, err := c.Git(ctx, "add", "-A"); err != nil {
		return err
	}
	if changed, err := c.Git(ctx, "status", "--porcelain"); err != nil || changed == "" {
		return err
	}
	return c.Commit(ctx, "chore: the working tree as it is", "2026-01-01T00:00:00Z")
}

// lendTools links the checkout's pinned tools into the clone, stamps and all, so
// that it need not build them again.
func (b *Bench) lendTools(c *Clone) error {
	for _, kind := range []string{"bin", "stamp"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, ".tools", kind), 0o755); err != nil {
			return err
		}
		for _, name := range []string{"goreleaser", "cosign", "syft", "govulncheck", "buildx", "buildkitd", "buildctl", "runc", "crane"} {
			if err := os.Symlink(filepath.Join(b.repository, ".tools", kind, name), filepath.Join(c.Dir, ".tools", kind, name)); err != nil {
				return fmt.Errorf("lend %s: %w", name, err)
			}
		}
	}
	return nil
}

// Git runs git in the clone and returns its trimmed output.
func (c *Clone) Git(ctx context.Context, args ...string) (string, error) {
	out, err := c.git.Run(ctx, "git", append([]string{"-C", c.Dir}, args...)...)
	return strings.TrimSpace(string(out)), err
}

// Commit commits everything in the clone, at a time in RFC 3339.
func (c *Clone) Commit(ctx context.Context, message, at string) error {
	git := c.git
	git.Env = append(git.Env, "GIT_AUTHOR_DATE="+at, "GIT_COMMITTER_DATE="+at)
	if _, err := git.Run(ctx, "git", "-C", c.Dir, "add", "-A"); err != nil {
		return err
	}
	_, err := git.Run(ctx, "git", "-C", c.Dir, "commit", "--quiet", "--allow-empty", "--message", message)
	return err
}

// Tag tags the clone's HEAD.
func (c *Clone) Tag(ctx context.Context, tag string) error {
	_, err := c.Git(ctx, "tag", tag)
	return err
}

// Head is the commit that is checked out.
func (c *Clone) Head(ctx context.Context) (string, error) { return c.Git(ctx, "rev-parse", "HEAD") }

// Adopt makes the clone a copy of another: it fetches its commits and tags and
// checks one out.
func (c *Clone) Adopt(ctx context.Context, other *Clone, ref string) error {
	for _, args := range [][]string{
		{"fetch", "--quiet", "--tags", "--force", other.Dir, "HEAD"},
		{"checkout", "--quiet", "--force", ref},
	} {
		if _, err := c.Git(ctx, args...); err != nil {
			return fmt.Errorf("adopt %s of %s: %w", ref, other.Dir, err)
		}
	}
	return nil
}
