package workbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Registry starts an OCI registry on a free port of loopback, with its blobs on
// disk. It returns its host:port and the turnstile in front of it.
func (b *Bench) Registry(ctx context.Context) (string, *Turnstile, error) {
	blobs := b.Blobs()
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return "", nil, fmt.Errorf("start the registry: %w", err)
	}
	turnstile := NewTurnstile(registry.New(
		registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)),
		registry.WithReferrersSupport(true),
		registry.Logger(log.New(io.Discard, "", 0)),
	))
	address, err := b.serve(ctx, turnstile)
	return address, turnstile, err
}

// Blobs is the folder that the registry keeps its blobs in.
func (b *Bench) Blobs() string { return filepath.Join(b.Dir, "blobs") }

// serve serves handler on a free port of loopback until the bench is closed.
func (b *Bench) serve(ctx context.Context, handler http.Handler) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen on loopback: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	b.onClose(func() error {
		closed := server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			return errors.Join(closed, err)
		}
		return closed
	})
	return listener.Addr().String(), nil
}
