// Package webload measures web as its users meet it: the real program, years of releases
// in its store, a public load tool (vegeta) in front.
package webload_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// What is promised for 10,000 releases of 400 packages on two cores.
const (
	calmRate, busyRate = 50, 200
	calmP99, busyP99   = 50 * time.Millisecond, 200 * time.Millisecond
	mostMemory         = 128 << 20
)

// size is how large the fleet is; TALLYMAN_BENCH_RELEASES makes it another.
func size(t *testing.T) int {
	t.Helper()
	text := os.Getenv("TALLYMAN_BENCH_RELEASES")
	if text == "" {
		return 10_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 100 {
		t.Fatalf("TALLYMAN_BENCH_RELEASES: expected a number from 100, found %q", text)
	}
	return n
}

func TestWebUnderLoad(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{"sqlite": func(t *testing.T) string { return storetest.SQLite(t) }, "postgres": storetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			// A fleet that an earlier run left, for who looks for what is slow.
			url := os.Getenv("TALLYMAN_BENCH_" + strings.ToUpper(name))
			if url == "" {
				url = database(t)
			}
			f := fill(t, url, size(t))
			web := startWeb(t, url)
			routes := f.routes(t, url)
			if only := os.Getenv("TALLYMAN_BENCH_ROUTES"); only != "" {
				routes = chosen(t, routes, strings.Split(only, ","))
			}
			report := &strings.Builder{}
			web.measure(t, report, "all of them together", routes)
			for _, r := range routes {
				if !r.further || os.Getenv("TALLYMAN_BENCH_ROUTES") != "" {
					web.measure(t, report, "alone", []route{r})
				}
			}
			memory := web.memory(t)
			t.Logf("%d releases, %s\n%sresident at most: %d MiB", f.Releases, name, columns(report), memory>>20)
			if memory > mostMemory {
				t.Errorf("resident memory: got %d MiB at most, want below %d MiB", memory>>20, mostMemory>>20)
			}
		})
	}
}

// chosen are the routes whose name has one of the parts.
func chosen(t *testing.T, routes []route, parts []string) []route {
	t.Helper()
	routes = slices.DeleteFunc(routes, func(r route) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(r.name, part) })
	})
	if len(routes) == 0 {
		t.Fatalf("TALLYMAN_BENCH_ROUTES: no route has one of %q in its name", parts)
	}
	return routes
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// fleet is what is in the store.
type fleet struct{ *tallytest.Fleet }

func fill(t *testing.T, url string, releases int) *fleet {
	t.Helper()
	f := &fleet{tallytest.NewFleet(20, releases, 400, time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC))}
	s, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if components, err := s.Components(t.Context()); err != nil || len(components) > 0 {
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	start := time.Now()
	if err := f.Keep(t.Context(), s, 1000); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d releases taken in and judged in %s", releases, time.Since(start).Round(time.Second))
	if pool, ok := s.Postgres(); ok {
		// What came in over years PostgreSQL has tidied up long ago. What came in within
		// minutes it would tidy up while web is measured, on the same processors.
		if _, err := pool.Exec(t.Context(), `VACUUM (ANALYZE)`); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// web is a web that runs.
type web struct {
	home  string
	token string
	pid   int
	stop  func()
}

func startWeb(t *testing.T, database string) *web {
	t.Helper()
	return startWebAt(t, database, makeToken(t, database), freeAddress(t))
}

// makeToken makes a token that may read everything, as who runs web does.
func makeToken(t *testing.T, database string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, "token", "make", "bench", "--role=operator", "--scopes=read,tokens", "--days=1")
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "TALLYMAN_DATABASE_URL=" + database}
	out, err := command.Output()
	if err != nil {
		t.Fatalf("make a token: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func startWebAt(t *testing.T, database, token, address string, settings ...string) *web {
	t.Helper()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "web.log"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "serve") //nolint:noctx // ended below
	command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "TALLYMAN_DATABASE_URL=" + database, "TALLYMAN_LISTEN=" + address,
		"TALLYMAN_LIMITS_REQUESTS=100000", "TALLYMAN_LOG_LEVEL=error",
	}, settings...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait() // how it ended is of no matter here
	}()
	w := &web{home: "http://" + address, token: token, pid: command.Process.Pid}
	w.stop = func() {
		_ = command.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = command.Process.Kill()
			<-ended
			t.Errorf("web did not end when asked to")
		}
	}
	t.Cleanup(func() {
		w.stop()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			if said, err := os.ReadFile(log.Name()); err == nil && len(said) > 0 {
				t.Logf("web said:\n%s", said)
			}
		}
	})
	w.awaitReady(t)
	return w
}

func (w *web) awaitReady(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ready(t.Context(), w.home) {
		select {
		case <-deadline:
			t.Fatalf("web is not ready at %s", w.home)
		case <-tick.C:
		}
	}
}

func ready(ctx context.Context, home string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, home+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := (&http.Client{Timeout: time.Second}).Do(request)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, response.Body)
	return errors.Join(err, response.Body.Close()) == nil && response.StatusCode == http.StatusOK
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// enough is how many requests it takes for a percentile: of a route alone so many that
// what holds up the whole machine for a tenth of a second, five requests at the calm rate,
// is not the hundredth part of them. Where many routes are asked in turn it meets different
// ones.
const enough, enoughEach = 1000, 300

// long is for how long routes are asked for in turn: until there is a percentile of each.
func long(routes []route, rate int) time.Duration {
	return time.Duration(max(enough, enoughEach*len(routes))/rate) * time.Second
}

// measure asks for routes in turn at each rate, after each was asked for, and reports of
// each.
func (w *web) measure(t *testing.T, report io.Writer, how string, routes []route) {
	t.Helper()
	w.attack(t, routes, calmRate, time.Duration(1+len(routes)/calmRate)*time.Second)
	calm, busy := w.undisturbed(t, routes, calmRate), w.undisturbed(t, routes, busyRate)
	fmt.Fprintf(report, "%s\t%d/s p50\tp99\t%d/s p50\tp99\tbytes\n", how, calmRate, busyRate)
	for _, r := range routes {
		calm, busy := calm[r.name], busy[r.name]
		fmt.Fprintf(report, "%s\t%s\t%s\t%s\t%s\t%.0f\n", r.name,
			ms(calm.Latencies.P50), ms(calm.Latencies.P99), ms(busy.Latencies.P50), ms(busy.Latencies.P99), calm.BytesIn.Mean)
		if calm.Latencies.P99 > calmP99 || busy.Latencies.P99 > busyP99 {
			t.Errorf("%s, %s: p99 of %s at %d/s and %s at %d/s, want below %s and %s", r.name, how, calm.Latencies.P99, calmRate, busy.Latencies.P99, busyRate, calmP99, busyP99)
		}
		if calm.Success < 1 || busy.Success < 1 {
			t.Errorf("%s, %s: not all answers were good: %v %v %v", r.name, how, calm.StatusCodes, busy.StatusCodes, slices.Concat(calm.Errors, busy.Errors))
		}
	}
}

// undisturbed asks for routes in turn at a rate, and does so again where the machine stood
// still for as much as half of the hundredth part that a percentile leaves out: it is not
// web that was measured then. The third time counts in any case.
func (w *web) undisturbed(t *testing.T, routes []route, rate int) map[string]*vegeta.Metrics {
	t.Helper()
	takes := long(routes, rate)
	for again := 2; ; again-- {
		end := watchMachine()
		measured := w.attack(t, routes, rate, takes)
		still := end()
		if still < takes/200 || again == 0 {
			return measured
		}
		t.Logf("%s and %d more at %d/s: the machine stood still for %s of %s; measured again", routes[0].name, len(routes)-1, rate, still, takes)
	}
}

// watchMachine watches how late a clock that is waited for strikes. What it returns ends
// that, and tells how late it was altogether. A web that is busy makes it some milliseconds
// late, which do not count: a process that waited is the next to run.
func watchMachine() func() time.Duration {
	const every, busy = 5 * time.Millisecond, 20 * time.Millisecond
	var still time.Duration
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			now := time.Now()
			if late := now.Sub(last) - every; late > busy {
				still += late
			}
			last = now
		}
	}()
	return func() time.Duration {
		close(done)
		<-ended
		return still
	}
}

// columns sets a report in columns.
func columns(report *strings.Builder) string {
	text := &strings.Builder{}
	table := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(table, report.String()); err != nil {
		return err.Error()
	}
	if err := table.Flush(); err != nil {
		return err.Error()
	}
	return text.String()
}

// targets are the requests of a route, in turn.
func (r route) targets(home, token string) []vegeta.Target {
	var all []vegeta.Target
	for _, path := range r.paths {
		all = append(all, vegeta.Target{Method: http.MethodGet, URL: home + path, Header: http.Header{"Authorization": {"Bearer " + token}}})
	}
	return all
}

// attack reads routes in turn at a rate, for a time, and measures each.
func (w *web) attack(t *testing.T, routes []route, rate int, takes time.Duration) map[string]*vegeta.Metrics {
	t.Helper()
	measured := make(map[string]*vegeta.Metrics)
	names := make(map[string]string) // by address
	of := make([][]vegeta.Target, len(routes))
	for i, r := range routes {
		of[i], measured[r.name] = r.targets(w.home, w.token), new(vegeta.Metrics)
		for _, target := range of[i] {
			names[target.URL] = r.name
		}
	}
	var targets []vegeta.Target
	for i := range things {
		for _, all := range of {
			targets = append(targets, all[i%len(all)])
		}
	}
	attacker := vegeta.NewAttacker(vegeta.Timeout(10*time.Second), vegeta.Redirects(vegeta.NoFollow))
	for result := range attacker.Attack(vegeta.NewStaticTargeter(targets...), vegeta.Rate{Freq: rate, Per: time.Second}, takes, "web") {
		measured[names[result.URL]].Add(result)
	}
	for _, m := range measured {
		m.Close()
	}
	return measured
}

// memory is the most that was resident, in bytes.
func (w *web) memory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM in the status of the process")
	return 0
}
