package tool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func script(t *testing.T, dir, name, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestBoxPrefersThePinnedTool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script(t, dir, "sh", `echo pinned "$ADDED"`)
	out, err := Box{Dir: dir, Env: []string{"ADDED=env"}}.Run(t.Context(), "sh")
	if err != nil || string(out) != "pinned env\n" {
		t.Errorf("got %q, %v; want the pinned tool with its environment", out, err)
	}
	if out, err := (Box{Dir: t.TempDir()}).Run(t.Context(), "sh", "-c", "echo path"); err != nil || string(out) != "path\n" {
		t.Errorf("got %q, %v; want the one on PATH", out, err)
	}
}

func TestRunSaysWhatFailed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script(t, dir, "fails", "echo out; echo why >&2; exit 7")
	var failure *Failure
	out, err := Box{Dir: dir}.Run(t.Context(), "fails")
	if !errors.As(err, &failure) || failure.Code != 7 || !strings.Contains(err.Error(), "fails: exit status 7: why") || string(out) != "out\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := (Box{Dir: dir}).Run(t.Context(), "no-such-tool"); err == nil || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("an absent tool: got %v, want an error that names `make tools`", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Box{}.Run(ctx, "sleep", "60")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 20*time.Second {
		t.Errorf("got %v after %s, want the context's end", err, time.Since(start))
	}
}
