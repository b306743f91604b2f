// Package workflows_test holds the house rules for .github/workflows that actionlint does not know.
package workflows_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const root = "../.."

// workflow is the part of a workflow's schema that the rules look at,
// https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax.
type workflow struct {
	Permissions *map[string]string `json:"permissions"`
	Concurrency struct {
		Group            string `json:"group"`
		CancelInProgress any    `json:"cancel-in-progress"` // a boolean or an expression
	} `json:"concurrency"`
	Env  map[string]string `json:"env"`
	Jobs map[string]job    `json:"jobs"`
}

type job struct {
	Permissions *map[string]string `json:"permissions"`
	Timeout     int                `json:"timeout-minutes"`
	Environment string             `json:"environment"`
	Needs       any                `json:"needs"` // a name or a list of names
	Steps       []step             `json:"steps"`
}

type step struct {
	Uses string         `json:"uses"`
	With map[string]any `json:"with"`
	Run  string         `json:"run"`
}

// texts gives the workflows' sources by file name.
func texts(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	sources := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources[filepath.Base(file)] = string(text)
	}
	return sources
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	parsed := map[string]workflow{}
	for name, text := range texts(t) {
		var w workflow
		if err := yaml.Unmarshal([]byte(text), &w); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		parsed[name] = w
	}
	return parsed
}

var (
	usesLine   = regexp.MustCompile(`(?m)^\s*(?:- )?uses: *(.*)$`)
	pinnedUses = regexp.MustCompile(`^([\w.-]+/[\w.-]+)[\w./-]*@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$`)
	imagePin   = regexp.MustCompile(`([a-z0-9./-]+:[\w.-]+)@(sha256:[0-9a-f]{64})`)
)

func TestActionsArePinnedByCommitAndAlike(t *testing.T) {
	t.Parallel()
	pins := map[string]string{}
	for name, text := range texts(t) {
		for _, line := range usesLine.FindAllStringSubmatch(text, -1) {
			m := pinnedUses.FindStringSubmatch(line[1])
			if m == nil {
				t.Errorf("%s: %q is not pinned as OWNER/NAME@COMMIT # vX.Y.Z", name, line[1])
				continue
			}
			action, pin := m[1], m[2]+" # "+m[3]
			if before, ok := pins[action]; ok && before != pin {
				t.Errorf("%s: %s is pinned to %s, elsewhere to %s", name, action, pin, before)
			}
			pins[action] = pin
		}
	}
	if len(pins) == 0 {
		t.Error("no action found")
	}
}

func TestImagesArePinnedAlikeEverywhere(t *testing.T) {
	t.Parallel()
	sources := texts(t)
	for _, pattern := range []string{"build/Dockerfile.*", "deploy/compose/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sources[file] = string(text)
		}
	}
	pins := map[string]string{}
	for name, text := range sources {
		for _, m := range imagePin.FindAllStringSubmatch(text, -1) {
			if before, ok := pins[m[1]]; ok && before != m[2] {
				t.Errorf("%s: %s is pinned to %s, elsewhere to %s", name, m[1], m[2], before)
			}
			pins[m[1]] = m[2]
		}
	}
	var golang string
	for image := range pins {
		if version, ok := strings.CutPrefix(image, "golang:"); ok {
			golang, _, _ = strings.Cut(version, "-")
		}
	}
	for name, w := range workflows(t) {
		if got, ok := w.Env["GO_VERSION"]; ok && got != golang {
			t.Errorf("%s: GO_VERSION is %s, the Dockerfiles build with %s", name, got, golang)
		}
	}
	pipeline, err := os.ReadFile(filepath.Join(root, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "- GOTOOLCHAIN=go" + golang + "\n"; golang == "" || !strings.Contains(string(pipeline), want) {
		t.Errorf(".goreleaser.yaml: %q is missing; the Dockerfiles build with %q", want, golang)
	}
}

func TestRightsAreGivenByJob(t *testing.T) {
	t.Parallel()
	for name, w := range workflows(t) {
		if w.Permissions == nil || len(*w.Permissions) != 0 {
			t.Errorf("%s: want permissions: {} at the top", name)
		}
		if w.Concurrency.Group == "" {
			t.Errorf("%s: no concurrency group", name)
		}
		for id, j := range w.Jobs {
			if j.Permissions == nil {
				t.Errorf("%s: job %s does not state its permissions", name, id)
			}
			if j.Timeout == 0 {
				t.Errorf("%s: job %s has no timeout", name, id)
			}
			for _, s := range j.Steps {
				checkStep(t, name+": job "+id, s)
			}
		}
	}
}

func checkStep(t *testing.T, where string, s step) {
	t.Helper()
	if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
		t.Errorf("%s: checkout leaves its token behind", where)
	}
	if strings.Contains(s.Run, "${{") {
		t.Errorf("%s: an expression in a script: pass it through env", where)
	}
}

func TestReleaseSignsInOneJobAndVerifiesInAnotherBeforeItShows(t *testing.T) {
	t.Parallel()
	release := workflows(t)["release.yml"]
	if release.Concurrency.CancelInProgress != false {
		t.Error("a release can be cancelled half-way")
	}
	for id, j := range release.Jobs {
		var write []string
		for scope, level := range *j.Permissions {
			if level == "write" {
				write = append(write, scope)
			}
		}
		if id == "verify" && len(write) > 0 {
			t.Errorf("verify may write %q, want nothing", write)
		}
		if _, signs := (*j.Permissions)["id-token"]; signs != (id == "release") {
			t.Errorf("job %s: id-token is %v, want it in release alone", id, signs)
		}
		for _, s := range j.Steps {
			if strings.HasPrefix(s.Uses, "actions/setup-go@") && s.With["cache"] != false {
				t.Errorf("job %s: setup-go restores a cache that other workflows wrote", id)
			}
		}
	}
	var order []string
	for _, s := range release.Jobs["release"].Steps {
		if s.Run == "make advisories" || s.Run == "make release" {
			order = append(order, s.Run)
		}
	}
	if got := strings.Join(order, ", "); got != "make advisories, make release" {
		t.Errorf("job release runs %q, want the gate's advisories to be fetched before it releases", got)
	}
	if release.Jobs["verify"].Needs != "release" || release.Jobs["publish"].Needs != "verify" {
		t.Error("want release, then verify, then publish")
	}
	if release.Jobs["release"].Environment == "" {
		t.Error("the job release has no environment to guard it")
	}
}
