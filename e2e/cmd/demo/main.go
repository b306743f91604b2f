// Demo releases two tagged versions of this repository with the real
// .goreleaser.yaml into a registry on loopback, starts worker and web on what
// it released, and shows both. It ends with Ctrl-C, or by itself with
// DEMO_ONCE=1.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Getenv("DEMO_ONCE") != "", os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo:", err) //nolint:errcheck // nowhere left to say so
		os.Exit(1)
	}
}
