package webload_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// program is the file of web.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tallyweb")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	program = filepath.Join(dir, "web")
	build := exec.Command("go", "build", "-trimpath", "-tags=nopgxregisterdefaulttypes,grpcnotrace", "-gcflags=github.com/tallyman-io/tallyman/internal/...=-l", "-ldflags=-s -w", "-o", program, "./cmd/web") //nolint:noctx // go test has a limit
	build.Dir, build.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build web: %v\n%s", err, out)
		return 1
	}
	return storetest.Run(m)
}
