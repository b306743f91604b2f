package rebuild_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/rebuild"
)

// repository is a git repository with two commits; the tag v1.2.3 names the first.
type repository struct {
	t             *testing.T
	dir           string
	first, second string
}

func newRepository(t *testing.T, files map[string]string) *repository {
	t.Helper()
	r := &repository{t: t, dir: t.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	for name, content := range files {
		path := filepath.Join(r.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.git("add", "-A")
	r.git("commit", "--quiet", "-m", "one")
	r.first = r.git("rev-parse", "HEAD")
	r.git("tag", "v1.2.3")
	r.git("commit", "--quiet", "--allow-empty", "-m", "two")
	r.second = r.git("rev-parse", "HEAD")
	return r
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", append([]string{"-C", r.dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.invalid",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.invalid")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repository) claim() rebuild.Claim {
	return rebuild.Claim{Source: sourceURL, Tag: "v1.2.3", Commit: r.first, Image: "web", Signer: "key a"}
}

func TestTheCommitIsCheckedOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*repository)
		claim  func(rebuild.Claim) rebuild.Claim
		notes  string
		fails  string
	}{
		{"under its tag", nil, nil, "", ""},
		{"though the tag has moved", func(r *repository) { r.git("tag", "--force", "v1.2.3", r.second) }, nil, "names SECOND now; the provenance says FIRST", ""},
		{"though the tag is gone", func(r *repository) { r.git("tag", "--delete", "v1.2.3") }, nil, "has no tag v1.2.3 now", ""},
		{"though hooks and settings are there", func(r *repository) {
			r.git("config", "core.autocrlf", "true")
		}, nil, "", ""},
		{"not when it is not there", nil, func(c rebuild.Claim) rebuild.Claim {
			c.Commit = strings.Repeat("ab", 20)
			return c
		}, "", "expected commit abab"},
		{"not when neither is there", nil, func(c rebuild.Claim) rebuild.Claim {
			c.Commit, c.Tag = strings.Repeat("ab", 20), "v9.9.9"
			return c
		}, "", "expected tag v9.9.9 or commit abab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, map[string]string{"a.txt": "content\n"})
			if c.change != nil {
				c.change(r)
			}
			claim := r.claim()
			if c.claim != nil {
				claim = c.claim(claim)
			}
			dir := filepath.Join(t.TempDir(), "a folder")
			notes, err := rebuild.Checkout(t.Context(), claim, r.dir, dir, os.Environ())
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("got %v, want %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(filepath.Join(dir, "a.txt"))
			if err != nil || string(content) != "content\n" {
				t.Errorf("got %q, %v, want the content", content, err)
			}
			want := strings.NewReplacer("FIRST", r.first, "SECOND", r.second).Replace(c.notes)
			if got := strings.Join(notes, "; "); want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("notes: got %q, want %q", got, want)
			}
			r.dir = dir
			if diff := cmp.Diff("v1.2.3", r.git("tag")); diff != "" || r.git("rev-parse", "v1.2.3") != r.first || r.git("status", "--porcelain") != "" {
				t.Errorf("expected a clean checkout of %s with one tag, found\n%s", r.first, r.git("log", "--decorate", "-3"))
			}
			if _, err := rebuild.TagCommit(t.Context(), dir, "v1.2.3", os.Environ()); err != nil {
				t.Error(err)
			}
			if _, err := rebuild.TagCommit(t.Context(), dir, "v1.2.4", os.Environ()); err == nil {
				t.Error("a tag that is not there: got no error")
			}
		})
	}
}

func TestOnlyFoldersAndSafeURLsAreClonedFrom(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	claim := rebuild.Claim{Tag: "v1.2.3", Commit: commit}
	for _, from := range []string{"ssh://host/x", "git://host/x", "ext::sh -c x", "https://me:secret@host/x", file, filepath.Join(file, "none"), "--upload-pack=x"} {
		_, err := rebuild.Checkout(t.Context(), claim, from, filepath.Join(t.TempDir(), "x"), os.Environ())
		if err == nil || !strings.Contains(err.Error(), "clone ") {
			t.Errorf("%s: got %v, want a refusal", from, err)
		}
	}
}
