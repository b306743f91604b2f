package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/e2e/workbench"
	"github.com/tallyman-io/tallyman/internal/release"
)

func (s *suite) tagToImages(t *testing.T) {
	s.tag(t, first, "", "")
	took := s.releaseAndInspect(t, first)
	s.checkOrder(t, s.turnstile.Journal(), first)
	s.tag(t, second, "second.md", "2026-02-02T02:02:02Z")
	took2 := s.releaseAndInspect(t, second)
	s.inspect(t, first) // whose moving tags have moved on

	want := map[string][]string{
		first:  {"sha-" + s.commits[first], "v1.0", first},
		second: {"latest", "sha-" + s.commits[second], "v1", "v1.1", second},
	}
	for version, tags := range want {
		for image, facts := range s.released[version] {
			slices.Sort(tags)
			if diff := cmp.Diff(tags, facts.Tags); diff != "" {
				t.Errorf("tags of %s %s (-want +got):\n%s", image, version, diff)
			}
			var platforms []string
			for _, platform := range facts.Image.Platforms {
				platforms = append(platforms, platform.String())
			}
			if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
				t.Errorf("platforms of %s %s (-want +got):\n%s", image, version, diff)
			}
			if facts.Image.Revision != s.commits[version] {
				t.Errorf("revision of %s %s: got %q, want %q", image, version, facts.Image.Revision, s.commits[version])
			}
		}
	}
	s.figures["1"] = fmt.Sprintf("releases took %s and %s", took.Round(time.Second), took2.Round(time.Second))
}

func (s *suite) releaseAndInspect(t *testing.T, version string) time.Duration {
	t.Helper()
	start := time.Now()
	if out, err := s.release(t.Context()); err != nil {
		t.Fatalf("release %s: %v\n%s", version, err, out)
	}
	took := time.Since(start)
	s.inspect(t, version)
	return took
}

func (s *suite) inspect(t *testing.T, version string) {
	t.Helper()
	s.released[version] = map[string]workbench.Facts{}
	for _, image := range s.images() {
		facts, err := s.bench.Inspect(t.Context(), s.publicKey, image, version)
		must(t, err)
		s.released[version][image] = facts
	}
}

// checkOrder asserts that no version tag was put before the last paper, and
// that the image itself was pushed under its commit alone.
func (s *suite) checkOrder(t *testing.T, journal []workbench.Put, version string) {
	t.Helper()
	for _, image := range s.images() {
		repository := image[strings.IndexByte(image, '/')+1:]
		var kinds []string
		for _, put := range journal {
			if put.Repository != repository {
				continue
			}
			if _, err := release.ParseDigest(put.Reference); err == nil {
				continue // a platform manifest, or a paper by digest
			}
			kind := string(release.KindOfTag(put.Reference))
			if len(kinds) == 0 || kinds[len(kinds)-1] != kind {
				kinds = append(kinds, kind)
			}
		}
		want := []string{"commit", "paper", "version", "moving"}
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Errorf("order of the tags put on %s for %s (-want +got):\n%s", repository, version, diff)
		}
	}
}

func (s *suite) retag(t *testing.T) {
	s.checkout(t, first)
	must(t, s.clone.Commit(t.Context(), "fix: something else", "2026-03-03T03:03:03Z"))
	_, err := s.clone.Git(t.Context(), "tag", "--force", first)
	must(t, err)
	before := s.released[first]
	out, err := s.release(t.Context())
	if err == nil {
		t.Fatalf("release of a moved tag: got success, want a refusal\n%s", out)
	}
	for _, part := range []string{"is already released", s.commits[first], "tag a new one"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("refusal: %q is not in\n%s", part, out)
		}
	}
	s.inspect(t, first)
	for image, facts := range s.released[first] {
		if facts.Image.Digest != before[image].Image.Digest {
			t.Errorf("%s:%s: got %s after the refusal, want %s as before", image, first, facts.Image.Digest, before[image].Image.Digest)
		}
	}
	_, err = s.clone.Git(t.Context(), "tag", "--force", first, s.commits[first])
	must(t, err)
	t.Run("nor is a digest sealed that was not rehearsed", func(t *testing.T) {
		image := s.images()[0]
		code, said := s.step(t.Context(), "seal", "--version", first, "--commit", s.commits[first], "--source", "https://example.com/x",
			image+"@"+string(s.released[first][image].Image.Digest))
		if code != 1 || !strings.Contains(said, "was published as") {
			t.Errorf("seal of another digest: got exit status %d, %q; want 1 and a refusal", code, said)
		}
	})
}

func (s *suite) claimNoVersion(t *testing.T) {
	for _, c := range []struct {
		name   string
		dirty  bool
		ref    string
		refuse string
		want   string
	}{
		{"dirty tree at the tag", true, second, "git is in a dirty state", "1.1.1-dev.g%s.dirty"},
		{"commit after the tag", false, "after", "git tag " + second + " was not made against commit", "1.1.1-dev.g%s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.checkout(t, second)
			switch {
			case c.dirty:
				writeFile(t, s.clone.Dir, "dirty.md", "not committed")
				t.Cleanup(func() { s.clean(t) })
			default:
				must(t, s.clone.Commit(t.Context(), "fix: after the tag", "2026-03-01T00:00:00Z"))
			}
			out, err := s.release(t.Context())
			if err == nil || !strings.Contains(out.String(), c.refuse) {
				t.Errorf("release: got %v, want a failure that says %q\n%s", err, c.refuse, out)
			}
			short, err := s.clone.Git(t.Context(), "rev-parse", "--short", "HEAD")
			must(t, err)
			if got, want := s.snapshotVersion(t), fmt.Sprintf(c.want, short); got != want {
				t.Errorf("version of a snapshot: got %q, want %q", got, want)
			}
		})
	}
}
