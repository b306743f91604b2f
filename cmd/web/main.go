// Command web serves the console: what each release shipped, and what its papers
// say.
package main

import (
	"context"
	"os"

	"github.com/tallyman-io/tallyman/internal/command"
)

func main() {
	os.Exit(run(context.Background(), command.OS()))
}
