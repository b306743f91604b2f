package service

import "time"

// process is what the kernel knows of this process.
type process struct {
	uptime time.Duration
	// cpu is the processor time that was used, user and system.
	cpu time.Duration
	// resident is the memory that is not swapped out, in bytes.
	resident int64
}

// Uptime is how long this process has been running, from its exec. The kernel
// counts starts in steps of 10 ms and rounds down, so it is up to 10 ms too
// much and never too little. It is false where the kernel does not tell.
func Uptime() (time.Duration, bool) {
	p, ok := readProcess()
	return p.uptime, ok
}
