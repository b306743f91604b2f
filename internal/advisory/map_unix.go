//go:build unix

package advisory

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile makes a file's content addressable without reading it. An import never
// writes into a file that is open: it puts another one in its place.
func mapFile(f *os.File, size int64) ([]byte, func() error, error) {
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	// Look-ups are scattered: reading ahead would fetch what nobody asks for.
	unix.Madvise(data, unix.MADV_RANDOM) //nolint:errcheck // advice
	return data, func() error { return os.NewSyscallError("munmap", unix.Munmap(data)) }, nil
}
