package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// db runs a task of the database to its end.
func db(t *testing.T, url string, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code = run(t.Context(), command.Process{
		Args: append([]string{"db"}, args...), Environ: []string{"TALLYMAN_DATABASE_URL=" + url},
		Stdout: &out, Stderr: &out, Began: time.Now(),
	})
	return code, out.String()
}

func filled(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{Queue: jobschema.River{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	f := storetest.NewFleet(1, 10, 5)
	seen := release.Sighting{Tags: map[string]release.Digest{}}
	for n := range 30 {
		image, version := f.Image("registry.example/app", n, time.Unix(1e9, 0))
		seen.Images = append(seen.Images, image)
		seen.Tags[version] = image.Digest
	}
	if _, err := s.RecordLook(t.Context(), release.Look{Repository: "registry.example/app", At: time.Unix(1e9, 0), Outcome: release.OutcomeComplete}, seen); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheDatabaseIsCheckedRebuiltBackedUpAndRestored(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := filled(t, url)
		file := filepath.Join(t.TempDir(), "tally.backup")
		steps := []struct {
			args []string
			code int
			want string
		}{
			{[]string{"check"}, 0, "the database has no problems\n"},
			{[]string{"backup", file}, 0, "backed up: 121 rows\n"},
			{[]string{"backup", file}, 1, file + ": file already exists (--force overwrites it)"},
			{[]string{"backup", "--force", file}, 0, "backed up: 121 rows\n"},
			{[]string{"restore", file}, 1, "expected a database without rows, found 1 in repository, 30 in image"},
			{[]string{"rebuild"}, 0, "put right: 0\n"},
			{[]string{"backup"}, 2, "accepts 1 arg(s), received 0"},
			{[]string{"chekc"}, 2, `(did you mean check?)`},
		}
		for _, step := range steps {
			if code, out := db(t, url, step.args...); code != step.code || !strings.Contains(out, step.want) {
				t.Errorf("%s: got exit code %d and output\n%s\nwant %d and %q", step.args, code, out, step.code, step.want)
			}
		}
		damage(t, s)
		code, out := db(t, url, "check")
		for _, want := range []string{"release registry.example/app:v1.", ": expected sha256:", "\nrelease: 10 more\n", "the database has problems: 30"} {
			if code != command.ExitFailed || !strings.Contains(out, want) {
				t.Errorf("check of a damaged database: got exit code %d, want 1 and %q in\n%s", code, want, out)
			}
		}
		if code, out := db(t, url, "rebuild"); code != 0 || out != "put right: 30\n" {
			t.Errorf("rebuild: got exit code %d and output\n%s", code, out)
		}
		if code, out := db(t, url, "check"); code != 0 {
			t.Errorf("check after rebuild: got exit code %d and output\n%s", code, out)
		}
		other := storetest.SQLite(t)
		for _, args := range [][]string{{"restore", file}, {"check"}} {
			if code, out := db(t, other, args...); code != 0 {
				t.Errorf("%s elsewhere: got exit code %d and output\n%s", args, code, out)
			}
		}
	})
}

// damage has all releases be of one image.
func damage(t *testing.T, s *store.Store) {
	t.Helper()
	if db, ok := s.SQLite(); ok {
		if _, err := db.ExecContext(t.Context(), `UPDATE release SET digest = (SELECT max(digest) FROM image), first_seen = 5`); err != nil {
			t.Fatal(err)
		}
		return
	}
	pool, _ := s.Postgres()
	if _, err := pool.Exec(t.Context(), `UPDATE release SET digest = (SELECT max(digest) FROM image), first_seen = 5`); err != nil {
		t.Fatal(err)
	}
}

func TestTheTasksOfTheDatabaseCreateNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := "sqlite:" + filepath.Join(dir, "t.db")
	for _, args := range [][]string{{"check"}, {"backup", filepath.Join(dir, "b")}, {"restore", filepath.Join(dir, "b")}, {"restore", os.Args[0]}} {
		code, out := db(t, url, args...)
		if code != command.ExitFailed {
			t.Errorf("%s: got exit code %d, want 1, and output\n%s", args, code, out)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 0 {
		t.Errorf("got %v, want no file", files)
	}
}

func TestCheckNamesABrokenPageOfAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	t.Run("fill", func(t *testing.T) { filled(t, "sqlite:"+path) }) // and close
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	at := bytes.LastIndex(content, []byte("v1.17.0"))
	if at < page {
		t.Fatal("the file has no tag v1.17.0")
	}
	content[at/page*page] = 0xff // what kind of page it is
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out := db(t, "sqlite:"+path, "check")
	if code != command.ExitFailed || !strings.Contains(out, "file "+path+": expected an intact SQLite database, found ") ||
		!strings.Contains(out, "the database has problems: ") {
		t.Errorf("got exit code %d and output\n%s", code, out)
	}
}
