package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	serverRole   = "tallyman"
	startTimeout = time.Minute
	stopTimeout  = 20 * time.Second
)

// startServer starts PostgreSQL on a socket in a temporary folder, open to nobody
// over the network. It returns the URL of the server and how to end it, or why
// there is none.
func startServer() (serverURL string, stop func(), missing string) {
	initdb, postgres, err := findPrograms()
	if err != nil {
		return "", nil, err.Error()
	}
	// Short, because the path of a socket may have 107 bytes.
	dir, err := os.MkdirTemp("", "tallypg")
	if err != nil {
		return "", nil, fmt.Sprintf("make a folder: %v", err)
	}
	remove := func() { _ = os.RemoveAll(dir) }
	cred, err := unprivileged(dir)
	if err != nil {
		remove()
		return "", nil, err.Error()
	}
	data := filepath.Join(dir, "data")
	if err := initialise(initdb, data, cred); err != nil {
		remove()
		return "", nil, err.Error()
	}
	server, err := launch(postgres, dir, data, cred)
	if err != nil {
		remove()
		return "", nil, err.Error()
	}
	stop = func() {
		server.end()
		remove()
	}
	u := url.URL{Scheme: "postgres", User: url.User(serverRole), Path: "/postgres", RawQuery: url.Values{"host": {dir}}.Encode()}
	if err := server.await(u.String()); err != nil {
		stop()
		return "", nil, err.Error()
	}
	return u.String(), stop, ""
}

// findPrograms looks on PATH, and where Debian keeps what it leaves off PATH; the
// highest version wins.
func findPrograms() (initdb, postgres string, err error) {
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", "", fmt.Errorf("look for PostgreSQL: %w", err)
	}
	for i := len(folders) - 1; i >= 0; i-- {
		initdb, postgres = filepath.Join(folders[i], "initdb"), filepath.Join(folders[i], "postgres")
		if isProgram(initdb) && isProgram(postgres) {
			return initdb, postgres, nil
		}
	}
	initdb, err = exec.LookPath("initdb")
	if err == nil {
		postgres, err = exec.LookPath("postgres")
	}
	if err != nil {
		return "", "", fmt.Errorf("set %s, or install the programs initdb and postgres", EnvPostgres)
	}
	return initdb, postgres, nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// unprivileged gives the folder to a user that is not root, as whom PostgreSQL
// refuses to run. It returns nil when this process is not root itself.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	var errs error
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			return nil, fmt.Errorf("give the folder to user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errs
}

func initialise(initdb, data string, cred *syscall.Credential) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, initdb, "--pgdata", data, "--username", serverRole, "--auth", "trust",
		"--encoding", "UTF8", "--no-locale", "--no-sync")
	cmd.Dir = filepath.Dir(data)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", initdb, err, strings.TrimSpace(string(out)))
	}
	return nil
}

type server struct {
	process *os.Process
	log     string
	exited  chan struct{}
}

// launch starts the server so that it ends with this process, however that ends.
// The kernel ties that to the thread which starts it, so one goroutine keeps that
// thread until the server has exited.
func launch(postgres, dir, data string, cred *syscall.Credential) (*server, error) {
	s := &server{log: filepath.Join(dir, "log"), exited: make(chan struct{})}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, fmt.Errorf("create the log: %w", err)
	}
	cmd := exec.Command(postgres, "-D", data, "-k", dir, "-c", "listen_addresses=", //nolint:noctx // lives until end
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off", "-c", "max_connections=200")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGQUIT}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		defer close(s.exited)
		defer func() { _ = log.Close() }()
		err := cmd.Start()
		s.process = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ends is in its log
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", postgres, err)
	}
	return s, nil
}

// await waits until the server lets clients in.
func (s *server) await(url string) error {
	const pause = 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, url)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.exited:
			log, _ := os.ReadFile(s.log)
			return fmt.Errorf("the server ended at once: %s", strings.TrimSpace(string(log)))
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(pause):
		}
	}
}

// end asks for a fast shutdown (SIGINT), and does not wait for ever.
func (s *server) end() {
	_ = s.process.Signal(syscall.SIGINT)
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		_ = s.process.Kill()
		<-s.exited
	}
}
