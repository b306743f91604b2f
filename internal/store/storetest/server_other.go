//go:build !linux

package storetest

// startServer knows how to start a server on Linux only.
func startServer() (serverURL string, stop func(), missing string) {
	return "", nil, "set " + EnvPostgres
}
