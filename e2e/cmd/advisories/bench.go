package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
)

// runs is how often each command is measured; the median counts.
const runs = 5

// result is one run of a process.
type result struct {
	took  time.Duration
	maxKB int64
	code  int
}

func (r result) mib() float64 { return float64(r.maxKB) / 1024 }

// measure runs a command to its end. Its output goes to out, or nowhere.
func measure(ctx context.Context, out io.Writer, name string, args ...string) (result, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout = out
	var complaint strings.Builder
	cmd.Stderr = &complaint
	start := time.Now()
	err := cmd.Run()
	r := result{took: time.Since(start)}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return result{}, fmt.Errorf("%s: %w", name, err)
	}
	r.code = cmd.ProcessState.ExitCode()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.maxKB = usage.Maxrss
	}
	if r.code != 0 && r.code != 1 && r.code != 3 {
		return r, fmt.Errorf("%s %s: exit status %d: %s", name, strings.Join(args, " "), r.code, complaint.String())
	}
	return r, nil
}

// median measures a command several times: the median time and the highest peak.
func median(ctx context.Context, name string, args ...string) (result, error) {
	var took []time.Duration
	var worst result
	for range runs {
		r, err := measure(ctx, nil, name, args...)
		if err != nil {
			return result{}, err
		}
		took = append(took, r.took)
		worst.maxKB = max(worst.maxKB, r.maxKB)
	}
	slices.Sort(took)
	worst.took = took[len(took)/2]
	return worst, nil
}

// workload is one command line's documents, and what must hold of it.
type workload struct {
	name  string
	files []string
	times float64 // faster than osv-scanner
	mib   float64 // peak
}

// bench compares whole processes, on the same documents, uncompressed.
func (t *trial) bench(ctx context.Context) error {
	peer := os.Getenv("OSV_SCANNER")
	if peer != "" {
		if err := t.peerDatabase(); err != nil {
			return err
		}
	} else {
		t.printf("OSV_SCANNER names no osv-scanner: nothing to compare with\n")
	}
	loads, err := t.workloads()
	if err != nil {
		return err
	}
	missed := 0
	for _, load := range loads {
		ours, err := median(ctx, t.tallyman, append([]string{"scan", "--db", t.db, "--format", "json"}, load.files...)...)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%-28s tallyman %8s %6.1f MiB", load.name, ours.took.Round(1e5), ours.mib())
		good := ours.mib() < load.mib
		if peer != "" {
			theirs, err := t.peerMedian(ctx, peer, load.files)
			if err != nil {
				return err
			}
			faster := theirs.took.Seconds() / ours.took.Seconds()
			good = good && faster >= load.times
			line += fmt.Sprintf(" | osv-scanner %8s %6.1f MiB | %.1f times faster (want %.0f)", theirs.took.Round(1e5), theirs.mib(), faster, load.times)
		}
		if !good {
			missed++
			line += " MISSED"
		}
		t.printf("%s\n", line)
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d measurements missed their target", missed, len(loads))
	}
	return nil
}

// workloads unpacks the cases, and makes a hundred documents of those of images.
func (t *trial) workloads() ([]workload, error) {
	names, err := t.cases()
	if err != nil {
		return nil, err
	}
	file := make(map[string]string)
	var images []string
	for _, name := range names {
		if file[name], err = t.unpack(name); err != nil {
			return nil, err
		}
		if strings.HasPrefix(name, "img-") {
			images = append(images, file[name])
		}
	}
	var loads []workload
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "kubectl"), strings.HasPrefix(name, "gcloud"):
			loads = append(loads, workload{name, []string{file[name]}, 10, 48})
		case strings.HasPrefix(name, "all-src"):
			loads = append(loads, workload{name, []string{file[name]}, 10, 96})
		}
	}
	if len(images) > 0 {
		var hundred []string
		for i := range 100 {
			// Links, so that a hundred documents do not need a hundred places.
			link := filepath.Join(t.dir, fmt.Sprintf("%03d.spdx.json", i))
			if err := os.Symlink(images[i%len(images)], link); err != nil {
				return nil, err
			}
			hundred = append(hundred, link)
		}
		loads = append(loads, workload{"100 images, one process", hundred, 20, 200})
	}
	return loads, nil
}

// unpack streams: a child's peak begins with what its parent holds (getrusage(2)
// counts from before exec), so this process must stay small.
func (t *trial) unpack(name string) (path string, err error) {
	in, err := os.Open(filepath.Join(t.data, "sboms", name+".json.zst"))
	if err != nil {
		return "", err
	}
	defer in.Close() //nolint:errcheck // only read
	decoder, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return "", fmt.Errorf("zstd: %w", err)
	}
	defer decoder.Close()
	path = filepath.Join(t.dir, name+".json")
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, decoder); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return path, nil
}

// peerMedian measures osv-scanner, which takes each document with a flag.
func (t *trial) peerMedian(ctx context.Context, peer string, files []string) (result, error) {
	args := []string{"scan", "source", "--offline", "--format", "json", "--verbosity", "error"}
	for _, f := range files {
		args = append(args, "-L", f)
	}
	return median(ctx, peer, args...)
}

// peerDatabase lays the zips out as osv-scanner looks for them. It drops everything
// when an ecosystem has no zip, so the others get an empty one.
func (t *trial) peerDatabase() error {
	root := filepath.Join(t.dir, "osv-scanner")
	if err := os.Setenv("OSV_SCALIBR_LOCAL_DB_CACHE_DIRECTORY", root); err != nil {
		return err
	}
	others := []string{
		"Alpaquita", "Android", "BellSoft Hardened Containers", "Bioconductor", "Chainguard", "ConanCenter", "Docker Hardened Images", "GitHub Actions",
		"Linux", "Mageia", "MinimOS", "OSS-Fuzz", "Photon OS", "Red Hat", "SUSE", "openEuler", "openSUSE", "Echo", "Kubernetes", "VSCode",
	}
	found, err := filepath.Glob(filepath.Join(t.data, "osv", "*", "all.zip"))
	if err != nil {
		return err
	}
	for _, file := range found {
		dir := filepath.Join(root, "osv-scalibr", filepath.Base(filepath.Dir(file)))
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
		if err := os.Symlink(file, filepath.Join(dir, "all.zip")); err != nil {
			return err
		}
	}
	for _, name := range others {
		if err := emptyZip(filepath.Join(root, "osv-scalibr", name)); err != nil {
			return err
		}
	}
	return nil
}

func emptyZip(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "all.zip"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return zip.NewWriter(f).Close()
}
