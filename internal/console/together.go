package console

import (
	"cmp"
	"sync"
)

// together does reads of the store at the same time, so that a page waits for the longest
// of them alone, and returns the first error in their order. It returns when all have
// ended; a panic of one is that of the caller.
func together(reads ...func() error) error {
	errs, panics := make([]error, len(reads)), make([]any, len(reads))
	var all sync.WaitGroup
	for i, read := range reads {
		all.Go(func() {
			defer func() { panics[i] = recover() }()
			errs[i] = read()
		})
	}
	all.Wait()
	if p := cmp.Or(panics...); p != nil {
		panic(p)
	}
	return cmp.Or(errs...)
}
