package reproduce

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// makeSnapshot has the command start a BuildKit of its own, or use Docker, as the
// Makefile does.
func (s *suite) makeSnapshot(t *testing.T) {
	env := []string{"TALLYMAN_REGISTRY=" + s.registry, "BUILDX_BUILDER="}
	for _, kv := range s.bench.Env() {
		if strings.HasPrefix(kv, "TALLYMAN_BASE=") {
			env = append(env, kv)
		}
	}
	start := time.Now()
	code, stdout, stderr := s.root(t.Context(), s.clone.Dir, env, "reproduce", version, "--key", s.publicKey, "--archives", s.archives(t), "--tools", s.somebody.tools)
	if code != 0 || !strings.HasSuffix(stdout, "identical\n") || !strings.Contains(stderr, "make snapshot") {
		t.Errorf("with make snapshot: got exit %d, want 0\n%s\n%s", code, stdout, stderr)
	}
	s.figures = append(s.figures, fmt.Sprintf("%s\t\tto reproduce with make snapshot", time.Since(start).Round(time.Second)))
}

// next releases another commit, and has somebody else reproduce that: the tag of the
// first is not in his way.
func (s *suite) next(t *testing.T) {
	const version = "v1.1.0"
	must(t, os.WriteFile(filepath.Join(s.clone.Dir, "next.md"), []byte("# "+version+"\n"), 0o600))
	must(t, s.clone.Commit(t.Context(), "docs: say what "+version+" is", "2026-02-02T02:02:02Z"))
	must(t, s.clone.Tag(t.Context(), version))
	s.goreleaser(t, nil, "release", "--clean")
	start := time.Now()
	code, stdout, stderr := s.somebody.tallyman(t.Context(), slices.Concat([]string{"reproduce"}, s.tagged(version),
		[]string{"--key", s.publicKey, "--source", s.clone.Dir, "--tools", s.somebody.tools})...)
	took := time.Since(start)
	if code != 0 || !strings.HasSuffix(stdout, "identical\n") {
		t.Errorf("reproduce %s: got exit %d, want 0\n%s\n%s", version, code, stdout, stderr)
	}
	inTime(t, took)
	s.figures = append(s.figures, fmt.Sprintf("%s\t\tto reproduce %s as %s", took.Round(time.Second), version, s.somebody.who))
}
