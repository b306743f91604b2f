// Package browser drives the console in Chromium, on what the demo makes: every page, as
// people use it, in light and dark, wide and narrow, with and without scripts.
package browser_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// demoTakes is how long the demo may take to release and tally, with its tools built.
const demoTakes = 20 * time.Minute

// demo is a demo that runs.
type demo struct {
	console  string // URL
	token    string
	registry string // host:port
	key      string // file
}

// startDemo runs the demo as make demo does, and ends it with the test. With
// TALLYMAN_DEMO_SAID, a file with what a demo said that runs already, it takes that one.
func startDemo(t *testing.T) *demo {
	t.Helper()
	if file := os.Getenv("TALLYMAN_DEMO_SAID"); file != "" {
		said, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := listen(bufio.NewScanner(bytes.NewReader(said)), new(output))
		if d == nil {
			t.Fatalf("%s does not say how to reach the console", file)
		}
		return d
	}
	program := filepath.Join(t.TempDir(), "demo")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/demo")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the demo: %v\n%s", err, out)
	}
	run := exec.Command(program) //nolint:noctx // it is asked to end, and cleans up
	run.Dir = ".."
	var log output
	run.Stderr = &log
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan *demo, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		said <- listen(bufio.NewScanner(out), &log)
		_ = run.Wait() // it is told to end, and says so
	}()
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGINT) // it may have ended
		select {
		case <-ended:
		case <-time.After(time.Minute):
			_ = run.Process.Kill()
			t.Errorf("the demo did not end when asked to\n%s", log.String())
		}
	})
	select {
	case d := <-said:
		if d == nil {
			t.Fatalf("the demo ended before it showed its console\n%s", log.String())
		}
		// What it says later nobody reads, so that it must not have to wait for a reader.
		return d
	case <-time.After(demoTakes):
		t.Fatalf("the demo took longer than %s\n%s", demoTakes, log.String())
		return nil
	}
}

// listen reads what the demo says until it has said how to reach it, nil when it ends
// before.
func listen(lines *bufio.Scanner, log *output) *demo {
	d := new(demo)
	for lines.Scan() {
		fmt.Fprintln(log, lines.Text())
		name, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), "  ")
		value = strings.TrimSpace(value)
		switch name {
		case "console":
			d.console = strings.TrimSuffix(value, "/")
		case "sign in":
			d.token = value
		case "registry":
			d.registry = value
		case "public key":
			d.key = value
		case "verify":
			return d
		}
	}
	return nil
}

// output is what processes say.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps p.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String is everything that was said.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// shots is the folder for screenshots: TALLYMAN_SHOTS, or one that goes away.
func shots(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TALLYMAN_SHOTS")
	if dir == "" {
		return t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	return dir
}
