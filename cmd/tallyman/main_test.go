package main

import (
	"os"
	"testing"
)

// TestMain runs the tests where whoever runs them has no advisory database.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tallyman-test-*")
	if err != nil {
		panic(err)
	}
	for name, value := range map[string]string{"XDG_CACHE_HOME": dir, "HOME": dir} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	if err := os.Unsetenv(databaseVariable); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}
