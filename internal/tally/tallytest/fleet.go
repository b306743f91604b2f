package tallytest

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/notify"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally"
)

// Fleet is a tally of many releases: what a company has that has released for years.
type Fleet struct {
	*storetest.Fleet
	// Repositories share the releases evenly.
	Repositories []string
	Releases     int
	// Start is when the first release was made; they are a day apart.
	Start time.Time
	// Told is how far it is, when not nil.
	Told func(done int)
}

// NewFleet returns a fleet of releases with each so many packages, in so many
// repositories.
func NewFleet(repositories, releases, each int, start time.Time) *Fleet {
	f := &Fleet{Fleet: storetest.NewFleet(1, 3000, each), Releases: releases, Start: start}
	for i := range repositories {
		f.Repositories = append(f.Repositories, fmt.Sprintf("registry.example/team%d/service%d", i%5, i))
	}
	return f
}

// Image returns the image of the release of a number, and its version.
func (f *Fleet) Image(number int) (release.Image, string) {
	repository := f.Repositories[number%len(f.Repositories)]
	at := f.Start.Add(time.Duration(number) * time.Hour)
	image, _ := f.Fleet.Image(repository, number, at)
	image.Revision = fmt.Sprintf("%040x", number)
	image.Platforms = nil
	for i, architecture := range []string{"amd64", "arm64"} {
		image.Platforms = append(image.Platforms, release.Platform{
			OS: "linux", Architecture: architecture, Digest: storetest.DigestOf(architecture + string(image.Digest)),
			CompressedSize: int64(8_000_000 + 1000*number + 100_000*i),
			Layers: []release.Layer{
				{Digest: storetest.DigestOf("base"), MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Size: 700_000},
				{Digest: storetest.DigestOf("layer" + string(image.Digest)), MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Size: int64(7_300_000 + 1000*number)},
			},
		})
	}
	return image, fmt.Sprintf("v1.%d.0", number/len(f.Repositories))
}

// Advisories are n records of modules that the fleet ships, every tenth critical,
// published in the course of its years.
func (f *Fleet) Advisories(n int) [][]byte {
	const critical, medium = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:N/AC:H/PR:L/UI:N/S:U/C:L/I:L/A:L"
	records := make([][]byte, n)
	for i := range n {
		score := []string{critical, medium, medium, "", medium, "", medium, medium, "", ""}[i%10]
		at := f.Start.Add(time.Duration(f.Releases*i/n) * time.Hour)
		records[i] = storetest.Advisory(fmt.Sprintf("GO-2026-%04d", i), f.Modules[1+i*13%(len(f.Modules)-1)], fmt.Sprintf("1.%d.0", 1+i%12), at, score)
	}
	return records
}

// Keep writes the fleet down in a store, with verdicts by the built-in policy. Papers
// are not verified: they are made out to be.
func (f *Fleet) Keep(ctx context.Context, s *store.Store, advisories int) error {
	queue := new(Tasks)
	l, err := store.NewLedger(s, queue)
	if err != nil {
		return fmt.Errorf("keep a fleet: %w", err)
	}
	judge, err := policy.Default(0)
	if err != nil {
		return fmt.Errorf("keep a fleet: %w", err)
	}
	messenger, err := notify.New(notify.Config{})
	if err != nil {
		return fmt.Errorf("keep a fleet: %w", err)
	}
	now := f.Start.Add(time.Duration(f.Releases+1) * time.Hour)
	t := tally.New(tally.Config{Ledger: l, Policy: judge, Messenger: messenger, Log: zerolog.Nop(), Now: func() time.Time { return now }})
	steps := []func() error{
		func() error { return f.see(ctx, s, now) },
		func() error { return f.ingest(ctx, l) },
		func() error { return f.publish(ctx, l, advisories, now) },
		func() error { return f.judge(ctx, t, queue) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("keep a fleet: %w", err)
		}
	}
	return nil
}

func (f *Fleet) see(ctx context.Context, s *store.Store, now time.Time) error {
	if err := s.Watch(ctx, f.Repositories, 24*365*time.Hour); err != nil {
		return err
	}
	const atOnce = 500
	for from := 0; from < f.Releases; from += atOnce {
		seen := make(map[string]*release.Sighting)
		for n := from; n < min(from+atOnce, f.Releases); n++ {
			image, version := f.Image(n)
			of := seen[image.Repository]
			if of == nil {
				of = &release.Sighting{Tags: make(map[string]release.Digest)}
				seen[image.Repository] = of
			}
			of.Images, of.Tags[version] = append(of.Images, image), image.Digest
		}
		for repository, of := range seen {
			// Each look adds to what is there: only the last one saw everything.
			look := release.Look{Repository: repository, At: f.Start.Add(time.Duration(from) * time.Hour), Outcome: release.OutcomeUnknown, Reason: "more to come"}
			if _, err := s.RecordLook(ctx, look, *of); err != nil {
				return err
			}
		}
	}
	for _, repository := range f.Repositories {
		all := release.Sighting{Tags: make(map[string]release.Digest)}
		for n := range f.Releases {
			if image, version := f.Image(n); image.Repository == repository {
				all.Tags[version] = image.Digest
			}
		}
		if _, err := s.RecordLook(ctx, release.Look{Repository: repository, At: now, Outcome: release.OutcomeComplete}, all); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) ingest(ctx context.Context, l *store.Ledger) error {
	for n := range f.Releases {
		found, err := f.examined(n)
		if err != nil {
			return err
		}
		if err := l.RecordExamination(ctx, found); err != nil {
			return err
		}
		if f.Told != nil && n%500 == 499 {
			f.Told(n + 1)
		}
	}
	return nil
}

func (f *Fleet) examined(number int) (ledger.Examined, error) {
	image, version := f.Image(number)
	raw := storetest.SPDX(image.Repository+" "+version, f.Packages(number))
	document, packages, err := sbom.ReadAll(bytes.NewReader(raw))
	if err != nil {
		return ledger.Examined{}, err
	}
	at := image.Created
	found := ledger.Examined{
		Examination: release.Examination{Repository: image.Repository, Digest: image.Digest, At: at},
		Facts:       `{"signers":{"signature":{"keys":["release.pub"]},"sbom":{"keys":["release.pub"]},"provenance":{"keys":["release.pub"]}}}`,
		Build: &release.Build{
			Builder: "https://example.com/builder", Type: "https://example.com/build", Started: at, Finished: at.Add(time.Duration(40+number%30) * time.Second),
			Source: "https://example.com/" + image.Repository + "@refs/tags/" + version, Commit: image.Revision, Base: "registry.example/base@" + string(storetest.DigestOf("base")),
			Tools: map[string]string{"go": "1.26.3"}, Signer: "key release.pub",
		},
	}
	manifests := []release.Platform{{Digest: image.Digest}}
	for _, p := range append(manifests, image.Platforms...) {
		on := p.String()
		if p.Digest == image.Digest {
			on = "index"
		} else {
			found.Documents = append(found.Documents, release.Document{
				Subject: p.Digest, Kind: release.PaperSBOM, Digest: storetest.DigestOf(string(raw)), Content: raw, Verified: true, Signer: "key release.pub",
				SBOM: &release.SBOM{Format: string(document.Format), Version: document.Version, Packages: packages, Unidentified: document.Unidentified},
			})
		}
		for _, kind := range release.PaperKinds() {
			e := release.Evidence{Kind: kind, Subject: p.Digest, On: on, State: release.StateAbsent, Reason: "no place has one"}
			if kind == release.PaperSignature || kind == release.PaperSBOM || kind == release.PaperProvenance {
				e.State, e.Reason = release.StateVerified, "signed by key release.pub"
				e.Papers = []release.Paper{{
					Kind: kind, State: release.StateVerified, LogIndex: -1, Found: []release.Layout{release.LayoutReferrers}, Manifest: storetest.DigestOf("m" + on + image.Revision),
					Blob: storetest.DigestOf("b" + on + image.Revision), Signer: release.Signer{Key: "release.pub"}, SignedAt: at,
				}}
			}
			found.Examination.Evidence = append(found.Examination.Evidence, e)
		}
	}
	return found, nil
}

func (f *Fleet) publish(ctx context.Context, l *store.Ledger, advisories int, now time.Time) error {
	all := f.Advisories(advisories)
	for i := 0; i < len(all); i += 100 {
		changes := ledger.Changes{Feed: ledger.Feed{Ecosystem: "Go", Source: "https://example.com/osv", State: "{}", Records: len(all), TriedAt: now, SyncedAt: now, Newest: now}}
		for _, raw := range all[i:min(i+100, len(all))] {
			record, err := advisory.Parse(raw)
			if err != nil {
				return err
			}
			changes.Records = append(changes.Records, ledger.Published{Raw: raw, Record: record})
		}
		if _, err := l.Sync(ctx, changes); err != nil {
			return err
		}
	}
	return nil
}

// judge judges all waves.
func (f *Fleet) judge(ctx context.Context, t *tally.Tally, queue *Tasks) error {
	for {
		task, ok := queue.take()
		if !ok {
			return nil
		}
		if task.Step != release.StepJudge {
			continue
		}
		if err := t.Judge(ctx, task.Wave); err != nil {
			return err
		}
	}
}
