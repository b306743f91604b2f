package tally_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// askForDossier asks, has the worker take the request, and runs what that leads to.
func askForDossier(t *testing.T, b *tallytest.Bench, digest release.Digest) []error {
	t.Helper()
	if err := b.Store.Ask(t.Context(), account.Request{Step: release.StepDossier, Repository: b.Repository, Digest: digest, By: "ann"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Tally.TakeRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b.Settle(t)
}

func dossierOf(t *testing.T, b *tallytest.Bench, digest release.Digest) account.Dossier {
	t.Helper()
	d, err := b.Store.Dossier(t.Context(), b.Repository, digest)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// download writes the kept file of a dossier to a file of the test.
func download(t *testing.T, b *tallytest.Bench, d account.Dossier) string {
	t.Helper()
	var content []byte
	for number := 0; int64(len(content)) < d.Size; number++ {
		part, err := b.Store.DossierPart(t.Context(), d.ID, number)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, part...)
	}
	sum := sha256.Sum256(content)
	if got := release.Digest("sha256:" + hex.EncodeToString(sum[:])); got != d.File || int64(len(content)) != d.Size {
		t.Errorf("file: got %s of %d bytes, want %s of %d", got, len(content), d.File, d.Size)
	}
	path := filepath.Join(t.TempDir(), "web.dossier")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestADossierThatIsAskedForIsMadeOfThePapersAndVerifies(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tallytest.New(t, url, tallytest.Options{Connections: 4})
		b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/b", "2.0.0", b.Now(), criticalVector))
		index, platforms := b.Release(t, 1, "v1.0.0", "v1.0.0-again")
		b.Seal(t, index, platforms, "pkg:golang/example.com/a@v1.5.0")
		if err := b.Tally.Register(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		b.Look(t)
		for _, err := range again(t, b) {
			t.Fatal(err)
		}
		if d := dossierOf(t, b, index); d != (account.Dossier{State: account.DossierNone}) {
			t.Errorf("before: got %+v, want none", d)
		}
		for _, err := range askForDossier(t, b, index) {
			t.Fatal(err)
		}
		d := dossierOf(t, b, index)
		if d.State != account.DossierReady || d.AskedBy != "ann" || d.Outdated || !d.ExpiresAt.Equal(b.Now().Add(account.DossierKept)) {
			t.Fatalf("after: got %+v, want it ready for a day", d)
		}
		if asked, err := b.Store.Asked(t.Context(), b.Repository, index); err != nil || !asked.At.IsZero() {
			t.Errorf("a look: got %+v, %v, want none that was asked for", asked, err)
		}
		verifyDossier(t, b, index, d)
		checkProgress(t, b, index)
		// As long as it is kept, it is not made again.
		b.Advance(time.Hour)
		for _, err := range askForDossier(t, b, index) {
			t.Error(err)
		}
		if same := dossierOf(t, b, index); same != d {
			t.Errorf("asked for again: got %+v, want %+v", same, d)
		}
	})
}

// verifyDossier does what `tallyman dossier verify` does with what was downloaded.
func verifyDossier(t *testing.T, b *tallytest.Bench, index release.Digest, d account.Dossier) {
	t.Helper()
	f, err := dossier.Open(download(t, b, d), dossier.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	checked, err := f.Check(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := checked.Manifest
	if checked.Digest != d.Digest || m.Contents != dossier.ContentsPapers || len(m.Images) != 1 || m.Images[0].Digest != index ||
		!slices.Equal(m.Images[0].Tags, []string{"v1.0.0", "v1.0.0-again"}) {
		t.Errorf("got dossier %s of %s: %+v, want %s of the papers of %s", checked.Digest, m.Contents, m.Images, d.Digest, index)
	}
	if a := m.Advisories; a == nil || a.Records != 1 || !strings.HasPrefix(a.Digest, "sha256:") || a.Newest == nil || a.AgeSeconds == nil {
		t.Errorf("advisory data: got %+v, want those of one record", a)
	}
	examinations, err := f.Examine(t.Context(), m, evidence.Trust{Keys: []evidence.Key{{Name: "release.pub", PEM: b.Key.PEM(t)}}}, b.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []release.PaperKind{release.PaperSignature, release.PaperSBOM} {
		if state, reason := examinations[0].State(kind); state != release.StateVerified {
			t.Errorf("%s: got %s: %s, want verified", kind, state, reason)
		}
	}
}

func checkProgress(t *testing.T, b *tallytest.Bench, index release.Digest) {
	t.Helper()
	all, err := b.Store.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Step == release.StepDossier && p.Subject == b.Repository+"@"+string(index) {
			if !p.Ended || p.Failure != "" || !strings.HasSuffix(p.Note, "bytes") {
				t.Errorf("progress: got %+v, want it ended well", p)
			}
			return
		}
	}
	t.Errorf("no progress of the dossier in %+v", all)
}

func TestADossierThatCannotBeMadeSaysWhyAndMayBeAskedForAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tallytest.New(t, url, tallytest.Options{Connections: 4})
		index, platforms := b.Release(t, 1, "v1.0.0")
		b.Seal(t, index, platforms)
		if err := b.Tally.Register(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		b.Look(t)
		b.Server.Fail(registrytest.Status(403))
		errs := askForDossier(t, b, index)
		var final *tally.FinalError
		if len(errs) != 1 || !errors.As(errs[0], &final) {
			t.Fatalf("got %v, want one error that says it was given up", errs)
		}
		d := dossierOf(t, b, index)
		if d.State != account.DossierFailed || !strings.Contains(d.Failure, "403") && !strings.Contains(d.Failure, "denied") {
			t.Errorf("got %+v, want it failed, and that the registry refused", d)
		}
		b.Server.Fail(nil)
		for _, err := range askForDossier(t, b, index) {
			t.Error(err)
		}
		if d := dossierOf(t, b, index); d.State != account.DossierReady {
			t.Errorf("asked for again: got %+v, want it ready", d)
		}
	})
}

func TestADossierOfAStoppedWorkerIsLeftForTheNext(t *testing.T) {
	t.Parallel()
	b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{})
	index, _ := b.Release(t, 1, "v1.0.0")
	if err := b.Tally.Register(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	b.Look(t)
	if err := b.Store.Ask(t.Context(), account.Request{Step: release.StepDossier, Repository: b.Repository, Digest: index}); err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	var final *tally.FinalError
	if err := b.Tally.Dossier(stopped, b.Repository, index); err == nil || errors.As(err, &final) {
		t.Errorf("stopped: got %v, want an error that gives nothing up", err)
	}
	if d := dossierOf(t, b, index); d.State != account.DossierMaking {
		t.Errorf("stopped: got %+v, want it in the making", d)
	}
	if err := b.Tally.Dossier(t.Context(), b.Repository, index); err != nil {
		t.Error(err)
	}
	if d := dossierOf(t, b, index); d.State != account.DossierReady {
		t.Errorf("got %+v, want it ready", d)
	}
}

func TestDossiersExpireAndAreOutdatedByNewEvidence(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tallytest.New(t, url, tallytest.Options{Connections: 4})
		index, platforms := b.Release(t, 1, "v1.0.0")
		if err := b.Tally.Register(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		b.Look(t)
		for _, err := range askForDossier(t, b, index) {
			t.Fatal(err)
		}
		first := dossierOf(t, b, index)
		b.Advance(2 * time.Hour)
		b.Seal(t, index, platforms)
		for _, err := range again(t, b) {
			t.Fatal(err)
		}
		if d := dossierOf(t, b, index); !d.Outdated || d.State != account.DossierReady || d.ID != first.ID {
			t.Errorf("after new papers: got %+v, want the first, outdated", d)
		}
		for _, err := range askForDossier(t, b, index) {
			t.Fatal(err)
		}
		second := dossierOf(t, b, index)
		if second.Outdated || second.ID == first.ID || second.Digest == first.Digest {
			t.Errorf("asked for again: got %+v, want another than %+v", second, first)
		}
		if _, err := b.Store.DossierPart(t.Context(), first.ID, 0); err != nil {
			t.Errorf("the first, for who reads it: %v", err)
		}
		b.Advance(account.DossierKept)
		if d := dossierOf(t, b, index); d.State != account.DossierNone {
			t.Errorf("after a day: got %+v, want none", d)
		}
		b.Advance(2 * time.Hour)
		for _, err := range again(t, b) {
			t.Fatal(err)
		}
		for _, id := range []int64{first.ID, second.ID} {
			if _, err := b.Store.DossierPart(t.Context(), id, 0); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("dossier %d: got %v, want it removed", id, err)
			}
		}
	})
}

func TestADossierThatNobodyMakesIsTakenForLost(t *testing.T) {
	t.Parallel()
	b := tallytest.New(t, storetest.SQLite(t), tallytest.Options{})
	index, _ := b.Release(t, 1, "v1.0.0")
	if err := b.Tally.Register(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	b.Look(t)
	ask := func() {
		if err := b.Store.Ask(t.Context(), account.Request{Step: release.StepDossier, Repository: b.Repository, Digest: index}); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	first := dossierOf(t, b, index)
	b.Advance(account.DossierLost)
	if d := dossierOf(t, b, index); d.State != account.DossierFailed || !strings.Contains(d.Failure, "no worker made it") {
		t.Errorf("got %+v, want it failed", d)
	}
	ask()
	if d := dossierOf(t, b, index); d.State != account.DossierMaking || d.ID == first.ID {
		t.Errorf("asked for again: got %+v, want another in the making", d)
	}
}
