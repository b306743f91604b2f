package service

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit in which /proc counts time; USER_HZ is 100 on every platform
// that Go runs on.
const tick = time.Second / 100

// readProcess asks the kernel about this process.
func readProcess() (process, bool) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return process{}, false
	}
	// The second field is the program's name in brackets and may hold anything.
	// The third is the first behind it; see proc_pid_stat(5).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const utime, stime, starttime, rss = 14 - 3, 15 - 3, 22 - 3, 24 - 3
	var values [4]int64
	for i, index := range []int{utime, stime, starttime, rss} {
		if index >= len(fields) {
			return process{}, false
		}
		if values[i], err = strconv.ParseInt(string(fields[index]), 10, 64); err != nil {
			return process{}, false
		}
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return process{}, false
	}
	p := process{
		uptime:   time.Duration(now.Nano()) - time.Duration(values[2])*tick,
		cpu:      time.Duration(values[0]+values[1]) * tick,
		resident: values[3] * int64(os.Getpagesize()),
	}
	return p, p.uptime >= 0
}
