// Command worker keeps the tally in the background: it looks at the configured
// repositories and notes what their releases ship.
package main

import (
	"context"
	"os"

	"github.com/tallyman-io/tallyman/internal/command"
)

func main() {
	os.Exit(run(context.Background(), command.OS()))
}
