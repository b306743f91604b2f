package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/e2e/workbench"
)

type demo struct {
	bench      *workbench.Bench
	repository string
	versions   []string // what is released, the newer one from a later commit
	out        io.Writer
	log        *os.File
	registry   string // host:port
	publicKey  string
	clone      *workbench.Clone
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, once bool, stdout, stderr io.Writer) int {
	if err := perform(ctx, once, stdout, stderr); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "demo:", err) //nolint:errcheck // nowhere left to say so
		return 1
	}
	return 0
}

func perform(ctx context.Context, once bool, stdout, stderr io.Writer) (err error) {
	repository, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	dir := filepath.Join(repository, ".demo")
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear the last demo: %w", err)
	}
	bench, err := workbench.New(dir, repository, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bench.Close()) }()
	d := &demo{bench: bench, repository: repository, versions: []string{"v1.0.0", "v1.1.0"}, out: stdout}
	if err := d.prepare(ctx, repository); err != nil {
		return err
	}
	defer d.log.Close() //nolint:errcheck // a log
	if err := d.release(ctx); err != nil {
		return err
	}
	return d.show(ctx, once)
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) } //nolint:errcheck // progress

func (d *demo) prepare(ctx context.Context, repository string) (err error) {
	if d.log, err = os.Create(filepath.Join(d.bench.Dir, "release.log")); err != nil {
		return err
	}
	if err := d.bench.BuildKit(ctx); err != nil {
		return err
	}
	if d.registry, _, err = d.bench.Registry(ctx); err != nil {
		return err
	}
	d.bench.Setenv("TALLYMAN_REGISTRY", d.registry+"/tallyman")
	base, err := d.bench.Base(ctx, repository)
	if err != nil {
		return err
	}
	d.say("%s", base)
	if d.publicKey, err = d.bench.Key(ctx); err != nil {
		return err
	}
	d.clone, err = d.bench.Clone(ctx, "clone")
	return err
}

// The first version ships a module more than the second. An advisory of the demo that was
// published between the two makes it critical.
const (
	shippedFile = "internal/buildinfo/demo.go"
	shipped     = "package buildinfo\n\nimport _ \"github.com/google/go-cmp/cmp\" // for the demo: the next version ships without it\n"
)

// releaseDays are when the versions are released: the advisory that makes the first of them
// critical came between the two.
func releaseDays() []time.Time {
	return []time.Time{time.Date(2026, 2, 8, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 15, 0, 0, 0, 0, time.UTC)}
}

// gate has the gate count with the advisories that were published by a day.
func (d *demo) gate(ctx context.Context, day time.Time) (env string, err error) {
	file, err := d.bench.AdvisoryDatabase(ctx, d.repository, day, time.Now())
	return "TALLYMAN_DB=" + file, err
}

// change commits what makes a version another than the one before.
func (d *demo) change(ctx context.Context, i int, version string) error {
	file := filepath.Join(d.clone.Dir, filepath.FromSlash(shippedFile))
	var err error
	if i == 0 {
		err = os.WriteFile(file, []byte(shipped), 0o600)
	} else {
		err = os.Remove(file)
	}
	if err != nil {
		return err
	}
	return d.clone.Commit(ctx, "fix: what "+version+" ships", releaseDays()[i].Format(time.RFC3339))
}

func (d *demo) release(ctx context.Context) error {
	for i, version := range d.versions {
		if err := d.change(ctx, i, version); err != nil {
			return fmt.Errorf("make version %s: %w", version, err)
		}
		if err := d.clone.Tag(ctx, version); err != nil {
			return err
		}
		known, err := d.gate(ctx, releaseDays()[i])
		if err != nil {
			return fmt.Errorf("advisories as of the release of %s: %w", version, err)
		}
		start := time.Now()
		d.say("releasing %s to %s …", version, d.registry)
		if err := d.bench.GoReleaser(ctx, d.clone.Dir, d.log, []string{known}, "release", "--clean").Run(); err != nil {
			return fmt.Errorf("release %s: %w; the log is %s", version, err, d.log.Name())
		}
		d.say("released %s in %s", version, time.Since(start).Round(time.Second))
	}
	return nil
}

// images are the repositories that the release made.
func (d *demo) images() []string {
	return []string{d.registry + "/tallyman/web", d.registry + "/tallyman/worker", d.registry + "/tallyman/tallyman"}
}

// patience is how long the worker may take to tally what was released.
const patience = 2 * time.Minute

// showTally waits until everything is judged by what the advisories say, and shows it.
func (d *demo) showTally(ctx context.Context) error {
	d.say("")
	d.say("advisories: a few made-up ones, which the repository carries for this (e2e/advisories)")
	tally, err := d.bench.Tally(ctx)
	if err != nil {
		return err
	}
	releases, err := tally.Await(ctx, patience, func(all []workbench.Judged) bool {
		judged := 0
		for i := range all {
			if all[i].Now.Known && all[i].AtRelease != nil {
				judged++
			}
		}
		return judged == len(d.images())*len(d.versions)
	})
	if err != nil {
		return fmt.Errorf("tally the releases: %w; the log is %s", err, filepath.Join(d.bench.Dir, "worker.log"))
	}
	return workbench.WriteTally(d.out, releases)
}

func (d *demo) show(ctx context.Context, once bool) error {
	var all []workbench.Facts
	for _, image := range d.images() {
		for _, version := range d.versions {
			facts, err := d.bench.Inspect(ctx, d.publicKey, image, version)
			if err != nil {
				return err
			}
			all = append(all, facts)
		}
	}
	d.say("")
	if err := workbench.WriteTable(d.out, all); err != nil {
		return err
	}
	feed, err := d.bench.Advisories(d.repository)
	if err != nil {
		return err
	}
	console, err := d.bench.Services(ctx, filepath.Join(d.clone.Dir, "dist"),
		workbench.Watching{Repositories: d.images(), PublicKey: d.publicKey, Advisories: feed})
	if err != nil {
		return err
	}
	if err := d.showTally(ctx); err != nil {
		return err
	}
	d.say("")
	d.say("console     http://%s/", console.Address)
	d.say("sign in     %s", console.Token)
	d.say("registry    %s", d.registry)
	d.say("public key  %s", d.publicKey)
	d.say("verify      cosign verify --key %s --insecure-ignore-tlog=true %s:%s", d.publicKey, d.images()[0], d.versions[len(d.versions)-1])
	if once {
		return nil
	}
	d.say("%s", strings.Repeat("-", 60))
	d.say("Ctrl-C ends the demo.")
	<-ctx.Done()
	return nil
}
