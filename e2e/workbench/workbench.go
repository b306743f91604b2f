package workbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tallyman-io/tallyman/internal/tool"
)

// Bench is a place to release at.
type Bench struct {
	// Dir holds everything that the bench makes.
	Dir string
	// Tools finds the pinned commands.
	Tools tool.Box
	// Log is given what the started programs say.
	Log io.Writer

	repository string // the checkout whose tools and sources are used
	env        []string
	closes     []func() error
}

// New returns a bench in dir, which it makes. repository is the checkout whose
// pinned tools are used. The caller closes the bench.
func New(dir, repository string, log io.Writer) (*Bench, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return nil, fmt.Errorf("make the workbench: %w", err)
	}
	return &Bench{Dir: abs, Log: log, repository: repository, Tools: tool.Box{Dir: filepath.Join(repository, ".tools", "bin")}}, nil
}

// Env is what a release at this bench is given, as KEY=VALUE.
func (b *Bench) Env() []string { return append([]string(nil), b.env...) }

// Setenv adds to what a release at this bench is given.
func (b *Bench) Setenv(key, value string) { b.env = append(b.env, key+"="+value) }

// onClose registers what Close does, last first.
func (b *Bench) onClose(f func() error) { b.closes = append(b.closes, f) }

// Close ends everything that the bench started. It may be called twice.
func (b *Bench) Close() error {
	var errs []error
	for i := len(b.closes) - 1; i >= 0; i-- {
		errs = append(errs, b.closes[i]())
	}
	b.closes = nil
	return errors.Join(errs...)
}

// Key makes a throw-away signing key and returns the file of its public half.
func (b *Bench) Key(ctx context.Context) (public string, err error) {
	prefix := filepath.Join(b.Dir, "cosign")
	public = prefix + ".pub"
	b.Setenv("COSIGN_PASSWORD", "")
	b.Setenv("COSIGN_KEY", prefix+".key")
	if _, err := os.Stat(public); err == nil {
		return public, nil
	}
	tools := b.Tools
	tools.Env = append(tools.Env, "COSIGN_PASSWORD=")
	if _, err := tools.Run(ctx, "cosign", "generate-key-pair", "--output-key-prefix", prefix); err != nil {
		return "", fmt.Errorf("make a signing key: %w", err)
	}
	return public, nil
}
