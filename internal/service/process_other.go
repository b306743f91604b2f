//go:build !linux

package service

// readProcess has no /proc to read.
func readProcess() (process, bool) { return process{}, false }
