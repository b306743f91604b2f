package service

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func TestExpositionIsWhatPrometheusReads(t *testing.T) {
	t.Parallel()
	const odd = "a\\b\"c\nd{é}\xff"
	var e Exposition
	e.Family("a_total", counter, "Help.")
	e.sample("", 3, "odd", odd, "plain", "x")
	e.Family("b", gauge, "Help.")
	e.sample("", 0.1)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(e.text)))
	if err != nil {
		t.Fatalf("not the text format: %v\n%s", err, e.text)
	}
	if got := families["a_total"].GetMetric()[0]; got.GetCounter().GetValue() != 3 || got.GetLabel()[0].GetValue() != strings.ToValidUTF8(odd, "�") {
		t.Errorf("a_total: got %v", got)
	}
	if got := families["b"].GetMetric()[0].GetGauge().GetValue(); got != 0.1 {
		t.Errorf("b: got %v, want 0.1", got)
	}
}

func TestMetricsAreWhatPrometheusReads(t *testing.T) {
	t.Parallel()
	h, _ := prepared(t)
	record(t, h, "/release/a")
	w := record(t, h, "/metrics")
	if got := w.Header().Get("Content-Type"); got != ExpositionType || w.Code != http.StatusOK {
		t.Errorf("metrics: got %d %s, want 200 %s", w.Code, got, ExpositionType)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]string)
	for name, f := range families {
		kinds[name] = f.GetType().String()
	}
	want := map[string]string{
		"tallyman_build_info": "GAUGE", "tallyman_http_requests_total": "COUNTER", "tallyman_http_request_duration_seconds": "HISTOGRAM",
		"go_info": "GAUGE", "go_goroutines": "GAUGE", "go_gc_cycles_total": "COUNTER",
		"go_memstats_heap_alloc_bytes": "GAUGE", "go_memstats_sys_bytes": "GAUGE",
	}
	if _, ok := readProcess(); ok {
		want["process_start_time_seconds"], want["process_cpu_seconds_total"] = "GAUGE", "COUNTER"
		want["process_resident_memory_bytes"] = "GAUGE"
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("families (-want +got):\n%s", diff)
	}
	checkHistogram(t, families["tallyman_http_request_duration_seconds"])
}

// checkHistogram expects one request of a millisecond.
func checkHistogram(t *testing.T, f *dto.MetricFamily) {
	t.Helper()
	const buckets = 13 + 1 // the last is +Inf
	h := f.GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 1 || h.GetSampleSum() != 0.001 || len(h.GetBucket()) != buckets {
		t.Errorf("histogram: got %v, want one request of 1 ms in %d buckets", h, buckets)
	}
	for _, b := range h.GetBucket() {
		if b.GetCumulativeCount() != 1 {
			t.Errorf("bucket up to %v: got %d, want 1", b.GetUpperBound(), b.GetCumulativeCount())
		}
	}
}

func TestMetricsOfTheApplicationAreShownWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{{"whole", nil, true}, {"left out when they fail", errors.New("no store"), false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := launch(t, func(context.Context) (App, error) {
				return App{Metrics: func(_ context.Context, e *Exposition) error {
					e.Family("app_things", "gauge", "Help.")
					e.Sample(3, "name", "a")
					return tt.err
				}}, nil
			})
			r.until(t, "/readyz", http.StatusOK)
			body := r.until(t, "/metrics", http.StatusOK)
			if got := strings.Contains(body, "\napp_things{name=\"a\"} 3\n"); got != tt.want || !strings.Contains(body, "tallyman_build_info{") {
				t.Errorf("shown: got %v, want %v, beside the others:\n%s", got, tt.want, body)
			}
		})
	}
}
