// Hello is a small program with one module that is not its own.
package main

import (
	"os"

	"golang.org/x/sync/errgroup"
)

var text = "a text of the program: y"

func main() {
	var group errgroup.Group
	group.Go(func() error {
		_, err := os.Stdout.WriteString(text + "\n")
		return err
	})
	if group.Wait() != nil {
		os.Exit(1)
	}
}
