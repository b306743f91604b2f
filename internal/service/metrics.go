package service

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"runtime"
	rtmetrics "runtime/metrics"
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
)

// metrics counts requests, and writes what /metrics shows. It is our own,
// because the usual client library brings protobuf along and makes the program
// an eighth larger, for a format that is a few lines of text. The names are
// those that the library would use.
type metrics struct {
	service string
	build   buildinfo.Info
	now     func() time.Time
	// bounds are the upper bounds of the buckets of a histogram, in seconds.
	bounds []float64

	// more is what the application adds; it returns nil while there is nothing.
	more func() func(context.Context, *Exposition) error

	mu       sync.Mutex
	requests map[requestLabels]uint64
	duration map[routeLabels]*histogram
}

type routeLabels struct{ route, method string }

type requestLabels struct {
	routeLabels
	code int
}

type histogram struct {
	// buckets count what is at most the bound of the same index, and above
	// that of the index before; the last is for all that is above every bound.
	buckets []uint64
	sum     float64
}

func newMetrics(c Config) *metrics {
	return &metrics{
		service: c.Name, build: c.Build, now: c.Now,
		bounds:   []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		requests: make(map[requestLabels]uint64), duration: make(map[routeLabels]*histogram),
	}
}

// observe counts a request that has been answered. Its labels have few values,
// whatever is asked for: the route is the pattern, not the path.
func (m *metrics) observe(r *http.Request, code int, took time.Duration) {
	labels := routeLabels{r.Pattern, r.Method}
	if labels.route == "" {
		labels.route = "none"
	}
	switch labels.method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
	default:
		labels.method = "other"
	}
	seconds := took.Seconds()
	bucket, _ := slices.BinarySearch(m.bounds, seconds)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[requestLabels{labels, code}]++
	h := m.duration[labels]
	if h == nil {
		h = &histogram{buckets: make([]uint64, len(m.bounds)+1)}
		m.duration[labels] = h
	}
	h.buckets[bucket]++
	h.sum += seconds
}

// ServeHTTP answers a scrape.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e Exposition
	e.Family("tallyman_build_info", gauge, "The build that is running; the value is always 1.")
	e.sample("", 1, "service", m.service, "version", m.build.Version, "commit", m.build.Commit, "go", m.build.Go)
	m.writeRequests(&e)
	writeRuntime(&e)
	m.writeProcess(&e)
	m.writeMore(r.Context(), &e)
	w.Header().Set("Content-Type", ExpositionType)
	w.Header().Set("Cache-Control", "no-store")
	if _, err := w.Write(e.text); err != nil {
		zerolog.Ctx(r.Context()).Debug().Err(err).Msg("answer not written")
	}
}

func (m *metrics) writeRequests(e *Exposition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	byRoute := func(a, b *routeLabels) int {
		return cmp.Or(cmp.Compare(a.route, b.route), cmp.Compare(a.method, b.method))
	}
	e.Family("tallyman_http_requests_total", counter, "Requests answered, by the pattern of the route.")
	requests := slices.Collect(maps.Keys(m.requests))
	sort.Slice(requests, func(i, j int) bool {
		a, b := &requests[i], &requests[j]
		return cmp.Or(byRoute(&a.routeLabels, &b.routeLabels), cmp.Compare(a.code, b.code)) < 0
	})
	for _, l := range requests {
		e.sample("", float64(m.requests[l]), "route", l.route, "method", l.method, "code", strconv.Itoa(l.code))
	}
	e.Family("tallyman_http_request_duration_seconds", "histogram", "Time from a request's header to the end of its answer.")
	routes := slices.Collect(maps.Keys(m.duration))
	sort.Slice(routes, func(i, j int) bool { return byRoute(&routes[i], &routes[j]) < 0 })
	for _, l := range routes {
		h, total := m.duration[l], uint64(0)
		for i, n := range h.buckets {
			total += n
			bound := "+Inf"
			if i < len(m.bounds) {
				bound = number(m.bounds[i])
			}
			e.sample("_bucket", float64(total), "route", l.route, "method", l.method, "le", bound)
		}
		e.sample("_sum", h.sum, "route", l.route, "method", l.method)
		e.sample("_count", float64(total), "route", l.route, "method", l.method)
	}
}

// writeMore adds the application's metrics, all or none of them: half of a family would
// be read as the rest being gone.
func (m *metrics) writeMore(ctx context.Context, e *Exposition) {
	if m.more == nil {
		return
	}
	write := m.more()
	if write == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var own Exposition
	if err := write(ctx, &own); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("metrics of the application left out")
		return
	}
	e.text = append(e.text, own.text...)
}

// writeRuntime writes what package runtime knows without stopping the world.
func writeRuntime(e *Exposition) {
	e.Family("go_info", gauge, "The version of Go that built the program; the value is always 1.")
	e.sample("", 1, "version", runtime.Version())
	for _, m := range []struct{ name, kind, help, source string }{
		{"go_goroutines", gauge, "Goroutines that exist.", "/sched/goroutines:goroutines"},
		{"go_gc_cycles_total", counter, "Garbage collections that have ended.", "/gc/cycles/total:gc-cycles"},
		{"go_memstats_heap_alloc_bytes", gauge, "Memory taken by objects, dead ones not yet swept included.", "/memory/classes/heap/objects:bytes"},
		{"go_memstats_sys_bytes", gauge, "Memory that the Go runtime has mapped.", "/memory/classes/total:bytes"},
	} {
		samples := []rtmetrics.Sample{{Name: m.source}}
		rtmetrics.Read(samples)
		// A later runtime may lack one; then nothing is said, rather than 0.
		if v := samples[0].Value; v.Kind() == rtmetrics.KindUint64 {
			e.Family(m.name, m.kind, m.help)
			e.sample("", float64(v.Uint64()))
		}
	}
}

// writeProcess writes what the kernel knows of this process, where it tells.
func (m *metrics) writeProcess(e *Exposition) {
	p, ok := readProcess()
	if !ok {
		return
	}
	e.Family("process_start_time_seconds", gauge, "When the process began, in seconds since the Unix epoch.")
	e.sample("", float64(m.now().Add(-p.uptime).UnixMilli())/1000)
	e.Family("process_cpu_seconds_total", counter, "Processor time that was used, user and system.")
	e.sample("", p.cpu.Seconds())
	e.Family("process_resident_memory_bytes", gauge, "Memory of the process that is not swapped out.")
	e.sample("", float64(p.resident))
}
