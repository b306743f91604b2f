package webload_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// balancer hands requests to one of two webs, in turn, and to the other where the first
// takes no connection, as a load balancer does.
type balancer struct {
	hosts [2]string
	next  atomic.Uint64
	away  atomic.Int64 // requests that the first web did not take
}

// RoundTrip sends a request that has no body.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	turn := b.next.Add(1)
	var failed error
	for i := range b.hosts {
		try := r.Clone(r.Context())
		try.URL.Host = b.hosts[(int(turn%2)+i)%2]
		response, err := http.DefaultTransport.RoundTrip(try)
		if err == nil && response.StatusCode != http.StatusServiceUnavailable {
			return response, nil
		}
		b.away.Add(1)
		if err == nil {
			err = errors.Join(errors.New(response.Status), response.Body.Close())
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

func TestWebsRestartUnderLoadWithoutAFailedRequest(t *testing.T) {
	database := storetest.Postgres(t)
	f := fill(t, database, 100)
	token := makeToken(t, database)
	var webs [2]*web
	b := new(balancer)
	for i := range webs {
		address := freeAddress(t)
		webs[i], b.hosts[i] = startWebAt(t, database, token, address), address
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: b.hosts[0]}) },
		Transport: b,
	})
	t.Cleanup(front.Close)

	const takes, rate = 12 * time.Second, 100
	routes := f.routes(t, database)
	var targets []vegeta.Target
	for _, r := range routes {
		targets = append(targets, r.targets(front.URL, token)[0])
	}
	attacker := vegeta.NewAttacker(vegeta.Timeout(10*time.Second), vegeta.Redirects(vegeta.NoFollow))
	results := attacker.Attack(vegeta.NewStaticTargeter(targets...), vegeta.Rate{Freq: rate, Per: time.Second}, takes, "restart")
	measured := make(chan *vegeta.Metrics)
	go func() {
		var m vegeta.Metrics
		for r := range results {
			m.Add(r)
		}
		m.Close()
		measured <- &m
	}()
	restarts := 0
	for began := time.Now(); time.Since(began) < takes-2*time.Second; restarts++ {
		i := restarts % 2
		webs[i].stop()
		webs[i] = startWebAt(t, database, token, b.hosts[i])
	}
	m := <-measured
	t.Logf("%d restarts, %d requests at %d/s, %d of them taken by the other web; p99 %s", restarts, m.Requests, rate, b.away.Load(), ms(m.Latencies.P99))
	if m.Success < 1 {
		t.Errorf("got %v and %v, want every request answered well", m.StatusCodes, m.Errors)
	}
	if restarts < 2 {
		t.Errorf("got %d restarts in %s, want each web restarted", restarts, takes)
	}
}
