package rebuild

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Checkout puts the commit of a claim into a new folder dir, with its tag and no other.
// from is the URL or folder to clone from; the claim's own when empty. Notes tell what
// an auditor should know of it, such as a tag that names another commit by now.
//
// The commit's name fixes its content, wherever it is fetched from. Hooks, filters and
// configuration of the user are not used.
func Checkout(ctx context.Context, claim Claim, from, dir string, environ []string) (notes []string, err error) {
	if from == "" {
		from = claim.Source
	}
	url, err := sourceURL(from)
	if err != nil {
		return nil, fmt.Errorf("clone %s: %w", printable(from), err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // source, for whoever may read the folder above
		return nil, fmt.Errorf("clone: %w", err)
	}
	// A folder of another user is read all the same: the commit's name says what is
	// expected of it. The git at the other end takes this from a file alone.
	config := dir + ".gitconfig"
	if err := os.WriteFile(config, []byte("[safe]\n\tdirectory = *\n"), 0o600); err != nil {
		return nil, fmt.Errorf("clone: %w", err)
	}
	g := &git{dir: dir, env: gitEnvironment(environ, config)}
	format := "sha1"
	if len(claim.Commit) == 64 {
		format = "sha256"
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--object-format=" + format, "--template="},
		{"config", "remote.origin.url", url},
	} {
		if _, err := g.run(ctx, args...); err != nil {
			return nil, fmt.Errorf("clone: %w", err)
		}
	}
	if notes, err = g.fetch(ctx, claim, printable(from)); err != nil {
		return nil, fmt.Errorf("clone %s: %w", printable(from), err)
	}
	for _, args := range [][]string{
		{"tag", claim.Tag, claim.Commit},
		{"checkout", "--quiet", "--detach", claim.Commit},
	} {
		if _, err := g.run(ctx, args...); err != nil {
			return nil, fmt.Errorf("check out %s: %w", claim.Commit, err)
		}
	}
	head, err := g.run(ctx, "rev-parse", "HEAD^{commit}")
	if err != nil {
		return nil, fmt.Errorf("check out %s: %w", claim.Commit, err)
	}
	if head != claim.Commit {
		return nil, fmt.Errorf("check out: expected commit %s, found %s", claim.Commit, head)
	}
	return notes, nil
}

// sourceURL is an argument of --source as git is given it: https and file URLs, and
// folders.
func sourceURL(from string) (string, error) {
	if strings.Contains(from, "://") {
		return from, checkURL(from)
	}
	abs, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("expected a folder or an https or file URL, found %s", info.Mode().Type())
	}
	return "file://" + filepath.ToSlash(abs), nil
}

type git struct {
	dir string
	env []string
}

// gitEnvironment lets git neither ask, nor use another transport, nor be configured but
// by a file.
func gitEnvironment(environ []string, config string) []string {
	var env []string
	for _, kv := range environ {
		if !strings.HasPrefix(kv, "GIT_") {
			env = append(env, kv)
		}
	}
	return append(env, "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=https:file", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+config, "LC_ALL=C")
}

func (g *git) run(ctx context.Context, args ...string) (string, error) {
	return run(ctx, g.dir, g.env, io.Discard, "git", args...)
}

// fetch gets the commit: by its tag or, where that names another or is gone, by itself.
func (g *git) fetch(ctx context.Context, claim Claim, from string) ([]string, error) {
	var note []string
	_, tagErr := g.run(ctx, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", "refs/tags/"+claim.Tag)
	if tagErr == nil {
		found, err := g.run(ctx, "rev-parse", "FETCH_HEAD^{commit}")
		if err != nil {
			return nil, err
		}
		if found == claim.Commit {
			return nil, nil
		}
		note = []string{fmt.Sprintf("the tag %s of %s names %s now; the provenance says %s", claim.Tag, from, found, claim.Commit)}
	} else {
		note = []string{fmt.Sprintf("%s has no tag %s now", from, claim.Tag)}
	}
	if _, err := g.run(ctx, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", claim.Commit); err != nil {
		if tagErr != nil {
			return nil, fmt.Errorf("expected tag %s or commit %s, found neither: %w", claim.Tag, claim.Commit, tagErr)
		}
		return nil, fmt.Errorf("expected commit %s, found that %s: %w", claim.Commit, note[0], err)
	}
	return note, nil
}

// TagCommit is the commit that a tag of a clone names, for a release that is asked for
// by its tag.
func TagCommit(ctx context.Context, dir, tag string, environ []string) (string, error) {
	g := &git{dir: dir, env: environ}
	commit, err := g.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", "refs/tags/"+tag+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("expected the tag %s in %s, found none: %w", tag, dir, err)
	}
	return commit, nil
}
