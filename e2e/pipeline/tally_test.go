package pipeline_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tallyman-io/tallyman/e2e/workbench"
	"github.com/tallyman-io/tallyman/internal/release"
)

// patience is how long the worker may take to see what was done. A registry that asked
// to be left alone is left alone for a minute.
const patience = 3 * time.Minute

// harm is something that befalls papers after the release, and what the worker has to
// make of it.
type harm struct {
	name string
	// does it; it is undone when the test ends.
	does func(t *testing.T)
	// kind and subject are those of a piece of evidence that gets this state; state is
	// told of it in the line's figures.
	kind    release.PaperKind
	subject release.Digest
	state   release.State
	// whole says that the image as a whole gets the state, too.
	whole bool
	// result is that of the rule, and of the verdict.
	result release.Result
	rule   string
	// everywhere says that all images are harmed, not the one alone.
	everywhere bool
}

// tallied has the released worker look at what line 1 released, and goes on harming
// papers and registry while it looks.
func (s *suite) tallied(t *testing.T) {
	advisories, err := s.bench.Advisories(s.repository)
	must(t, err)
	worker, err := s.bench.Worker(t.Context(), filepath.Join(s.clone.Dir, "dist"),
		workbench.Watching{Repositories: s.images(), PublicKey: s.publicKey, Advisories: advisories})
	must(t, err)
	// The lines that follow count and cut the requests of the release alone.
	t.Cleanup(func() { must(t, worker.Stop()) })
	console, err := s.bench.Console(t.Context(), filepath.Join(s.clone.Dir, "dist"))
	must(t, err)
	t.Cleanup(func() { must(t, console.Stop()) })
	tally, err := s.bench.Tally(t.Context())
	must(t, err)

	all, took := await(t, tally, "everything verified and passed", s.wellTallied)
	s.figures["11"] = fmt.Sprintf("%d releases of %d to %d packages verified in %s", len(all), fewest(all), most(all), took)
	command := s.newAuditor(t, filepath.Join(s.clone.Dir, "dist"), advisories)
	command.agrees(t, console, all, true)
	for _, image := range s.images() {
		s.lists(t, command, image)
	}
	image := s.images()[0]
	for _, h := range s.harms(image) {
		harmed, restored := false, time.Duration(0)
		t.Run(h.name, func(t *testing.T) {
			h.does(t)
			all, took := await(t, tally, string(h.state)+", and "+string(h.result), func(all []workbench.Judged) bool { return s.harmed(all, image, &h) })
			command.agrees(t, console, all, !h.everywhere)
			s.figures["11"] += fmt.Sprintf("; %s after %s", h.state, took)
			harmed = true
		})
		if !harmed {
			continue
		}
		t.Run(h.name+", restored", func(t *testing.T) {
			_, restored = await(t, tally, "everything verified and passed again", s.wellTallied)
			s.figures["11"] += fmt.Sprintf(", restored after %s", restored)
		})
	}
}

// harms are what befalls the second version of an image.
func (s *suite) harms(image string) []harm {
	facts := s.released[second][image]
	index, platform := facts.Image.Digest, facts.Image.Platforms[0].Digest
	everySignature := func(do func(t *testing.T, image string, digest release.Digest, suffix string)) func(*testing.T) {
		return func(t *testing.T) {
			do(t, image, index, ".sig")
			for _, p := range facts.Image.Platforms {
				do(t, image, p.Digest, ".sig")
			}
		}
	}
	return []harm{
		{
			name: "the attestations of one platform are changed", kind: release.PaperSBOM, subject: platform,
			state: release.StateInvalid, result: release.ResultFail, rule: "sbom",
			does: func(t *testing.T) { s.tamper(t, image, platform, ".att") },
		},
		{
			name: "the signatures are changed", kind: release.PaperSignature, subject: index, whole: true,
			state: release.StateInvalid, result: release.ResultFail, rule: "signed", does: everySignature(s.tamper),
		},
		{
			name: "the registry throttles", kind: release.PaperSignature, subject: index, whole: true, everywhere: true,
			state: release.StateUnknown, result: release.ResultUnknown, rule: "signed",
			does: func(t *testing.T) {
				s.turnstile.Decide(func(workbench.Request) workbench.Verdict {
					return workbench.Verdict{Status: http.StatusTooManyRequests, RetryAfter: "1"}
				})
				t.Cleanup(func() { s.turnstile.Decide(nil) })
			},
		},
		{
			name: "the signatures are removed", kind: release.PaperSignature, subject: index, whole: true,
			state: release.StateAbsent, result: release.ResultFail, rule: "signed", does: everySignature(remove),
		},
	}
}

// remove takes a paper of a digest away, as somebody with push rights could, and puts it
// back when the test ends.
func remove(t *testing.T, image string, digest release.Digest, suffix string) {
	t.Helper()
	tag, err := name.NewTag(image + ":" + strings.Replace(string(digest), ":", "-", 1) + suffix)
	must(t, err)
	paper, err := remote.Image(tag, remote.WithContext(t.Context()))
	must(t, err)
	t.Cleanup(func() { must(t, remote.Write(tag, paper)) })
	must(t, remote.Delete(tag, remote.WithContext(t.Context())))
}

// wellTallied reports whether both versions of every image are there, every paper is
// verified, what they ship and what is known of it is known, and all of them pass.
func (s *suite) wellTallied(all []workbench.Judged) bool {
	well := make(map[string]bool)
	for i := range all {
		j := &all[i]
		if !isWell(j) {
			return false
		}
		for _, version := range j.Versions {
			well[j.Repository+":"+version] = true
		}
	}
	for _, image := range s.images() {
		if !well[image+":"+first] || !well[image+":"+second] {
			return false
		}
	}
	return true
}

func isWell(j *workbench.Judged) bool {
	for _, kind := range []release.PaperKind{release.PaperSignature, release.PaperSBOM, release.PaperProvenance} {
		for _, piece := range j.Evidence {
			if piece.Kind == kind && piece.State != release.StateVerified {
				return false
			}
		}
	}
	return j.Now.Known && j.Now.Packages > 0 && j.Now.Unknown == 0 && j.Now.Findings() > 0 && // some of the made-up advisories apply
		j.AtRelease != nil && j.Last != nil && j.Last.Result == release.ResultPass
}

// harmed reports whether the harm is seen where it was done, and nowhere else.
func (s *suite) harmed(all []workbench.Judged, image string, h *harm) bool {
	seen := 0
	for i := range all {
		j := &all[i]
		hit := h.everywhere || j.Repository == image && j.Digest == s.released[second][image].Image.Digest
		switch {
		case !hit && !isWell(j), hit && !isHarmed(j, h):
			return false
		case hit:
			seen++
		}
	}
	return seen > 0
}

func isHarmed(j *workbench.Judged, h *harm) bool {
	subject := h.subject
	if h.everywhere {
		subject = j.Digest
	}
	piece, ok := release.Examination{Digest: j.Digest, Evidence: j.Evidence}.Of(h.kind, subject)
	if !ok || piece.State != h.state || piece.Reason == "" || h.whole && j.States[h.kind] != h.state || j.Last.Result != h.result {
		return false
	}
	for _, reason := range j.Last.Reasons {
		if reason.Rule == h.rule {
			return reason.Result == h.result && reason.Message != ""
		}
	}
	return false
}

// await waits until the releases are as wanted, and shows them when they do not get so.
func await(t *testing.T, tally *workbench.Tally, what string, wanted func([]workbench.Judged) bool) ([]workbench.Judged, time.Duration) {
	t.Helper()
	start := time.Now()
	all, err := tally.Await(t.Context(), patience, wanted)
	if err != nil {
		var shown strings.Builder
		must(t, workbench.WriteTally(&shown, all))
		t.Fatalf("wait for %s: %v\n%s", what, err, &shown)
	}
	return all, time.Since(start).Round(100 * time.Millisecond)
}

func fewest(all []workbench.Judged) int {
	n := all[0].Now.Packages
	for i := range all {
		n = min(n, all[i].Now.Packages)
	}
	return n
}

func most(all []workbench.Judged) (n int) {
	for i := range all {
		n = max(n, all[i].Now.Packages)
	}
	return n
}
