// Package worker_test treats the worker as bad days do: it is killed, its database is
// taken away, others share its work. Whatever happens, the tally has to come out as if
// nothing had.
package worker_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

const (
	modules  = 60 // that releases choose from
	packages = 20 // of each release
	critical = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	low      = "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"
	// everyCritical is which advisories are critical: each fifth.
	everyCritical = 5
)

// paths are the repositories of a world.
var paths = []string{"acme/api", "acme/web", "acme/jobs", "acme/proxy"}

// world is what a worker looks at, and what it should make of that. It grows.
type world struct {
	registry *registrytest.Server
	key      evidencetest.Key
	feeds    string // folder
	inbox    *inbox
	fleet    *storetest.Fleet

	mu         sync.Mutex
	releases   []shipped
	advisories [][]byte
	severities map[string]string // of each module that an advisory names
}

type shipped struct {
	repository, version string
	modules             []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{
		registry: registrytest.New(t), key: evidencetest.NewKey(t), feeds: t.TempDir(), inbox: newInbox(t),
		fleet: storetest.NewFleet(1, modules, packages), severities: map[string]string{},
	}
}

func (w *world) repositories() []string {
	var all []string
	for _, p := range paths {
		all = append(all, w.registry.Repository(p))
	}
	return all
}

// ship releases an image of two platforms with all its papers. They come first: a
// release that is found before its papers is judged without them, and then again.
func (w *world) ship(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	number := len(w.releases)
	w.mu.Unlock()
	path := paths[number%len(paths)]
	repository, version := w.registry.Repository(path), fmt.Sprintf("v1.%d.0", number)
	contents := w.fleet.Packages(number)
	index := registrytest.Index(t, int64(number+1), "c0ffee", "linux/amd64", "linux/arm64")
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifest.Manifests {
		if m.Platform.OS == "linux" {
			w.key.Attest(t, repository, release.Digest(m.Digest.String()), evidencetest.Attestation{
				Type: evidencetest.SPDX, Predicate: storetest.SPDX(m.Digest.String(), contents),
			})
		}
	}
	w.key.Sign(t, repository, release.Digest(digest.String()))
	w.registry.Push(t, path, index, version)
	s := shipped{repository: repository, version: version}
	for _, p := range contents {
		s.modules = append(s.modules, p.Name)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.releases = append(w.releases, s)
}

// publish adds an advisory of the next module that has none to the feed; every version
// of the module is affected.
func (w *world) publish(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.advisories)
	if n < modules {
		module, vector, severity := w.fleet.Modules[modules-1-n], low, "low"
		if n%everyCritical == everyCritical-1 {
			vector, severity = critical, "critical"
		}
		w.severities[module] = severity
		w.advisories = append(w.advisories, storetest.Advisory(fmt.Sprintf("GO-2026-%04d", n), module, "99.0.0", time.Now(), vector))
	}
	tallytest.Publish(t, w.feeds, "Go", w.advisories...)
}

// verdict is what should be said of a release, or is.
type verdict struct {
	Result        release.Result
	Critical, Low int
}

func name(repository, version string) string { return repository + ":" + version }

// expected counts without any of the product's code.
func (w *world) expected() map[string]verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]verdict{}
	for _, r := range w.releases {
		v := verdict{Result: release.ResultPass}
		for _, module := range r.modules {
			switch w.severities[module] {
			case "critical":
				v.Critical++
				v.Result = release.ResultFail
			case "low":
				v.Low++
			}
		}
		all[name(r.repository, r.version)] = v
	}
	return all
}

// inbox takes messages, and remembers each as it came first.
type inbox struct {
	url string

	mu       sync.Mutex
	notices  map[string]release.Notice
	arrivals int
	mistakes []string
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	i := &inbox{notices: map[string]release.Notice{}}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

// ServeHTTP drops an id that it has seen, as docs/notify.md asks of a receiver.
func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var event struct {
		Data release.Notice `json:"data"`
	}
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest) // the sender died amid it
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.arrivals++
	id := r.Header.Get("webhook-id")
	if id != event.Data.ID {
		i.mistakes = append(i.mistakes, fmt.Sprintf("message %s says that it is %s", id, event.Data.ID))
	}
	if _, seen := i.notices[id]; !seen {
		i.notices[id] = event.Data
	}
}

// check looks whether anything was told twice: a first verdict of a release, or that a
// package has a finding.
func (i *inbox) check(t *testing.T) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, m := range i.mistakes {
		t.Error(m)
	}
	told := map[string][]string{}
	for id, n := range i.notices {
		for _, r := range n.Releases {
			if r.Before == "" {
				told["first verdict of "+name(r.Repository, r.Version)] = append(told["first verdict of "+name(r.Repository, r.Version)], id)
			}
		}
		for _, f := range n.Findings {
			for _, purl := range f.PURLs {
				what := fmt.Sprintf("%s %s in %s", f.Change, f.ID, purl)
				told[what] = append(told[what], id)
			}
		}
	}
	for what, ids := range told {
		if len(ids) > 1 {
			slices.Sort(ids)
			t.Errorf("told in %d messages (%s): %s", len(ids), strings.Join(ids, ", "), what)
		}
	}
}

// told returns how many messages there were, and how many deliveries.
func (i *inbox) told() (messages, arrivals int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.notices), i.arrivals
}
