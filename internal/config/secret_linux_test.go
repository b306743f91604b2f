package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// unprivileged makes the calling goroutine's thread one of uid 65532, as the
// services run, when it is root's. The thread ends with the goroutine.
func unprivileged(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const uid = 65532
	runtime.LockOSThread() // and never unlock
	// The raw call changes this thread alone; syscall.Setresuid changes all.
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		t.Fatalf("setresuid: %v", errno)
	}
}

func TestSecretFileThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	path := file(t, "url", "sqlite:/x")
	// The folders may be passed through; the file may not be read.
	folder := filepath.Dir(path)
	for name, mode := range map[string]os.FileMode{filepath.Dir(folder): 0o755, folder: 0o755, path: 0} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	loaded := make(chan error)
	go func() {
		defer close(loaded)
		unprivileged(t)
		_, err := ForWeb().Load(Input{Environ: []string{"TALLYMAN_DATABASE_URL_FILE=" + path}})
		loaded <- err
	}()
	ms := mistakes(t, <-loaded)
	if len(ms) != 1 || !strings.Contains(ms[0].Problem, "permission denied (mode ----------, this process has uid ") {
		t.Errorf("mistakes: got\n%s\nwant permission denied with mode and uid", ms)
	}
}
