package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Limits of what the worker may need to take in all feeds.
const (
	syncWithin = 30 * time.Second
	syncMiB    = 200
	// syncPatience is when it is given up.
	syncPatience = 5 * time.Minute
)

// sync has the worker take in all feeds of the data, into SQLite.
func (t *trial) sync(ctx context.Context) error {
	zips, err := filepath.Glob(filepath.Join(t.data, "osv", "*", "all.zip"))
	if err != nil {
		return err
	}
	var ecosystems []string
	for _, zip := range zips {
		ecosystems = append(ecosystems, filepath.Base(filepath.Dir(zip)))
	}
	source, err := filepath.Abs(filepath.Join(t.data, "osv"))
	if err != nil {
		return err
	}
	listen, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, syncPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(t.tallyman), "worker"), "run",
		"--database-url", "sqlite:"+filepath.Join(t.dir, "worker.db"), "--listen", listen, "--log-format", "json")
	cmd.Env = append(os.Environ(), "TALLYMAN_ADVISORIES_SOURCE=file://"+source, "TALLYMAN_ADVISORIES_ECOSYSTEMS="+strings.Join(ecosystems, ","))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	log, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	missing := slices.Clone(ecosystems)
	lines := bufio.NewScanner(log)
	for len(missing) > 0 && lines.Scan() {
		var line struct {
			Message   string `json:"message"`
			Ecosystem string `json:"ecosystem"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "advisories fetched" {
			missing = slices.DeleteFunc(missing, func(e string) bool { return e == line.Ecosystem })
		}
	}
	took := time.Since(start)
	stopped := cmd.Process.Signal(syscall.SIGTERM)
	for lines.Scan() { // to its end, so that the worker can write
	}
	if err := errors.Join(stopped, cmd.Wait()); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	if len(missing) > 0 {
		return fmt.Errorf("worker: ended without the advisories of %s", strings.Join(missing, ", "))
	}
	peak := 0.0
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = float64(usage.Maxrss) / 1024
	}
	t.printf("worker takes in %d feeds: %s, peak %.0f MiB\n", len(ecosystems), took.Round(1e8), peak)
	if took > syncWithin || peak > syncMiB {
		return fmt.Errorf("worker: expected at most %s and %d MiB", syncWithin, syncMiB)
	}
	return nil
}

// freeAddress is one that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
