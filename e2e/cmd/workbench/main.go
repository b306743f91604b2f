// Workbench runs one command in the repository's root with a builder for two
// platforms at hand, and ends the builder afterwards:
//
//	go run ./cmd/workbench goreleaser release --snapshot --clean
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
