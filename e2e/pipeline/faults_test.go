package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/e2e/workbench"
	"github.com/tallyman-io/tallyman/internal/release"
)

// killed kills the same release at four points, one after the other: each run
// goes on from what the one before left. The last run is left alone.
func (s *suite) killed(t *testing.T) {
	s.checkout(t, first)
	s.tag(t, third, "third.md", "2026-02-03T03:03:03Z")
	web := s.repositoryOf("web")
	papers := func(suffix string, n int) func(workbench.Put) bool {
		seen := 0
		return func(put workbench.Put) bool {
			if put.Repository == web && strings.HasSuffix(put.Reference, suffix) {
				seen++
			}
			return seen == n
		}
	}
	points := []struct {
		name string
		at   func(workbench.Put) bool
	}{
		{"after push", func(put workbench.Put) bool {
			return put.Repository == web && put.Reference == "sha-"+s.commits[third]
		}},
		{"after sign", papers(".sig", 3)},
		{"mid-attest", papers(".att", 4)},
	}
	for _, point := range points {
		t.Run(point.name, func(t *testing.T) { s.killWhen(t, point.at) })
	}
	t.Run("before promote", func(t *testing.T) {
		s.killAtRequest(t, func(r workbench.Request) bool {
			return r.Method == http.MethodPut && r.Kind == "manifests" && r.Reference == third
		})
	})
	out, err := s.release(t.Context())
	if err != nil {
		t.Fatalf("release %s after it was killed four times: %v\n%s", third, err, out)
	}
	for _, earlier := range []string{"was signed by an earlier run", "was attested by an earlier run"} {
		if !strings.Contains(out.String(), earlier) {
			t.Errorf("release %s: %q is not in\n%s", third, earlier, out)
		}
	}
	s.inspect(t, third)
	s.wantReleasedDigests(t, s.clone.Dir, third)
	for image, facts := range s.released[third] {
		want := []string{"sha-" + s.commits[third], "v1.0", third}
		if diff := cmp.Diff(want, facts.Tags); diff != "" {
			t.Errorf("tags of %s %s, of the older line (-want +got):\n%s", image, third, diff)
		}
		if before := s.released[first][image].Papers; facts.Papers != before {
			t.Errorf("papers of %s %s: got %d, want %d as a release that was not killed: none missing, none twice", image, third, facts.Papers, before)
		}
	}
	s.figures["5"] = "killed 4 times, completed; the older line took v1.0, not v1 or latest"
}

// killWhen runs the release and kills it when a manifest was stored that at
// accepts.
func (s *suite) killWhen(t *testing.T, at func(workbench.Put) bool) {
	t.Helper()
	var log output
	cmd := s.bench.GoReleaser(t.Context(), s.clone.Dir, &log, nil, "release", "--clean")
	killed := make(chan struct{})
	s.turnstile.After(func(put workbench.Put) {
		select {
		case <-killed:
		default:
			if at(put) {
				close(killed) // first: the process may be gone before Kill returns
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			}
		}
	})
	defer s.turnstile.After(nil)
	s.wantKilled(t, cmd, killed, &log)
}

// killAtRequest kills the release when it makes a request that at accepts; the
// request is not carried out.
func (s *suite) killAtRequest(t *testing.T, at func(workbench.Request) bool) {
	t.Helper()
	var log output
	cmd := s.bench.GoReleaser(t.Context(), s.clone.Dir, &log, nil, "release", "--clean")
	killed := make(chan struct{})
	s.turnstile.Decide(func(r workbench.Request) workbench.Verdict {
		if !at(r) {
			return workbench.Verdict{}
		}
		select {
		case <-killed:
		default:
			close(killed)
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		return workbench.Verdict{Cut: true}
	})
	defer s.turnstile.Decide(nil)
	s.wantKilled(t, cmd, killed, &log)
}

func (s *suite) wantKilled(t *testing.T, cmd *exec.Cmd, killed <-chan struct{}, log *output) {
	t.Helper()
	err := cmd.Run()
	select {
	case <-killed:
	default:
		t.Fatalf("the release ended before the point was reached: %v\n%s", err, log)
	}
	s.wantNotPromoted(t, third)
}

// wantNotPromoted asserts that no image has the version.
func (s *suite) wantNotPromoted(t *testing.T, version string) {
	t.Helper()
	for _, put := range versionTags(s.turnstile.Journal()) {
		if strings.HasSuffix(put, ":"+version) {
			t.Errorf("%s was put; want no version tag", put)
		}
	}
}

func (s *suite) repositoryOf(image string) string {
	return s.registry[strings.IndexByte(s.registry, '/')+1:] + "/" + image
}

// faulty is a tag of a commit of its own for the releases that meet faults.
func (s *suite) faulty(t *testing.T, version string) {
	t.Helper()
	s.checkout(t, second)
	s.tag(t, version, version+".md", "2026-04-04T04:04:04Z")
}

func (s *suite) passingFaults(t *testing.T) {
	const version = "v1.2.0-rc.1"
	s.faulty(t, version)
	met := map[string]int{}
	faults := []workbench.Verdict{
		{Status: http.StatusTooManyRequests, RetryAfter: "1"},
		{Status: http.StatusServiceUnavailable},
		{Cut: true},
	}
	s.turnstile.Decide(func(r workbench.Request) workbench.Verdict {
		// Each kind of request meets each fault once, then gets through.
		kind := r.Method + " " + r.Kind
		if r.Kind == "manifests" && r.Method == http.MethodPut {
			kind += " " + string(release.KindOfTag(r.Reference))
		}
		n := met[kind]
		met[kind]++
		if n%2 == 1 && n/2 < len(faults) {
			return faults[n/2]
		}
		return workbench.Verdict{}
	})
	start := time.Now()
	out, err := s.release(t.Context())
	s.turnstile.Decide(nil)
	if err != nil {
		t.Fatalf("release %s through passing faults: %v\n%s", version, err, out)
	}
	s.inspect(t, version)
	for image, facts := range s.released[version] {
		// A prerelease gets its own tag only.
		if diff := cmp.Diff([]string{"sha-" + s.commits[version], version}, facts.Tags); diff != "" {
			t.Errorf("tags of %s %s (-want +got):\n%s", image, version, diff)
		}
	}
	s.figures["6a"] = fmt.Sprintf("%d kinds of request, each throttled, broken and cut once; took %s", len(met), time.Since(start).Round(time.Second))
}

func (s *suite) lastingFaults(t *testing.T) {
	const version = "v1.3.0"
	s.faulty(t, version)
	always := func(match func(workbench.Request) bool, verdict workbench.Verdict) func(workbench.Request) workbench.Verdict {
		return func(r workbench.Request) workbench.Verdict {
			if match(r) {
				return verdict
			}
			return workbench.Verdict{}
		}
	}
	every := func(workbench.Request) bool { return true }
	for _, c := range []struct {
		name   string
		decide func(workbench.Request) workbench.Verdict
		says   string
	}{
		{"refused from the start", always(every, workbench.Verdict{Status: http.StatusUnauthorized}), "unauthorized (HTTP 401"},
		{"pushing refused", always(func(r workbench.Request) bool {
			return r.Kind == "blobs" && r.Method == http.MethodPost
		}, workbench.Verdict{Status: http.StatusUnauthorized}), "unauthorized: by the test"},
		{"papers break", always(func(r workbench.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.Reference, ".att")
		}, workbench.Verdict{Status: http.StatusServiceUnavailable}), "UNAVAILABLE: by the test"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.turnstile.Decide(c.decide)
			defer s.turnstile.Decide(nil)
			out, err := s.release(t.Context())
			var exit *exec.ExitError
			if !asExit(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("goreleaser: got %v, want exit status 1\n%s", err, out)
			}
			if !strings.Contains(out.String(), c.says) {
				t.Errorf("message: %q is not in\n%s", c.says, out)
			}
			s.wantNotPromoted(t, version)
		})
	}
	for _, c := range []struct {
		name    string
		verdict workbench.Verdict
		says    string
		code    int
	}{
		{"401", workbench.Verdict{Status: http.StatusUnauthorized}, "unauthorized (HTTP 401", 3},
		{"429", workbench.Verdict{Status: http.StatusTooManyRequests, RetryAfter: "1"}, "throttled (HTTP 429", 3},
		{"503", workbench.Verdict{Status: http.StatusServiceUnavailable, RetryAfter: "1"}, "unavailable (HTTP 503", 3},
	} {
		t.Run("the step's own exit code on "+c.name, func(t *testing.T) {
			s.turnstile.Decide(always(every, c.verdict))
			defer s.turnstile.Decide(nil)
			code, said := s.step(t.Context(), "check", "--version", "1.3.0", "--commit", s.commits[version], s.images()[0])
			if code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("tallyman release check: got exit status %d, %q; want %d and %q", code, said, c.code, c.says)
			}
		})
	}
	s.figures["6b"] = "exit 1 of goreleaser, 3 of the step; nothing promoted"
}

// step runs one `tallyman release` step in the clone.
func (s *suite) step(ctx context.Context, args ...string) (code int, said string) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.clone.Dir, ".tools", "bin", "tallyman"), append([]string{"release"}, args...)...)
	cmd.Dir = s.clone.Dir
	cmd.Env = append(cmd.Environ(), s.bench.Env()...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		return -1, err.Error()
	}
	return cmd.ProcessState.ExitCode(), out.String()
}
