// Demo releases two tagged versions of this repository with the real
// .goreleaser.yaml into a registry on loopback, starts worker and web on what
// it released, and shows both. It ends with Ctrl-C, or by itself with
// DEMO_ONCE=1.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Getenv("DEMO_ONCE") != "", os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
