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
	"testing"
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
	c, err := newCluster("synchronous_commit=off")
	if err != nil {
		return "", nil, err.Error()
	}
	if err := c.start(); err != nil {
		c.remove()
		return "", nil, err.Error()
	}
	return c.url(), c.remove, ""
}

// cluster is a folder with the data of a server, and the server while it runs.
type cluster struct {
	dir      string
	postgres string
	cred     *syscall.Credential
	settings []string
	server   *server
}

func newCluster(settings ...string) (*cluster, error) {
	initdb, postgres, err := findPrograms()
	if err != nil {
		return nil, err
	}
	// Short, because the path of a socket may have 107 bytes.
	dir, err := os.MkdirTemp("", "tallypg")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	c := &cluster{dir: dir, postgres: postgres, settings: settings}
	if c.cred, err = unprivileged(dir); err == nil {
		err = initialise(initdb, c.data(), c.cred)
	}
	if err != nil {
		c.remove()
		return nil, err
	}
	return c, nil
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *cluster) url() string {
	u := url.URL{Scheme: "postgres", User: url.User(serverRole), Path: "/postgres", RawQuery: url.Values{"host": {c.dir}}.Encode()}
	return u.String()
}

// start starts the server and waits until it lets clients in.
func (c *cluster) start() error {
	s, err := launch(c.postgres, c.dir, c.data(), c.cred, c.settings...)
	if err != nil {
		return err
	}
	if err := s.await(c.url()); err != nil {
		s.end()
		return err
	}
	c.server = s
	return nil
}

func (c *cluster) remove() {
	if c.server != nil {
		c.server.end()
	}
	_ = os.RemoveAll(c.dir)
}

// Server is a PostgreSQL of a test's own, whose end it may bring about.
type Server struct{ cluster *cluster }

// NewServer starts a PostgreSQL that keeps what it has committed when it is stopped at
// once. Without the programs the test is skipped, or fails when CI is true.
func NewServer(t testing.TB) *Server {
	t.Helper()
	c, err := newCluster()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs PostgreSQL: %v", err)
		}
		t.Skipf("needs PostgreSQL: %v", err)
	}
	t.Cleanup(c.remove)
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	return &Server{c}
}

// URL is that of its only database.
func (s *Server) URL() string { return s.cluster.url() }

// Crash has the server drop all connections and end with no word (SIGQUIT, an "immediate
// shutdown"), so that it has to recover when it is started again.
func (s *Server) Crash() {
	_ = s.cluster.server.process.Signal(syscall.SIGQUIT)
	<-s.cluster.server.exited
}

// Start starts it again.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.cluster.start(); err != nil {
		t.Fatal(err)
	}
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
func launch(postgres, dir, data string, cred *syscall.Credential, settings ...string) (*server, error) {
	s := &server{log: filepath.Join(dir, "log"), exited: make(chan struct{})}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	args := []string{"-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(postgres, args...) //nolint:noctx // lives until end
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
