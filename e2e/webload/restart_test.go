package webload_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// balancer hands each request to one of two webs, in turn, that said lately that it is
// ready, as a load balancer does. It tries nothing twice: what is not answered has failed.
type balancer struct {
	hosts [2]string
	ready [2]atomic.Bool
	next  atomic.Uint64
	away  atomic.Int64 // requests whose turn was that of the other web
}

func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	turn := b.next.Add(1) % 2
	if !b.ready[turn].Load() && b.ready[1-turn].Load() {
		b.away.Add(1)
		turn = 1 - turn
	}
	sent := r.Clone(r.Context())
	sent.URL.Host = b.hosts[turn]
	return http.DefaultTransport.RoundTrip(sent)
}

// watch asks each web now and then whether it is ready, until its context ends.
func (b *balancer) watch(ctx context.Context) {
	var both sync.WaitGroup
	for i, host := range b.hosts {
		both.Go(func() {
			tick := time.NewTicker(notices / 20)
			defer tick.Stop()
			for {
				b.ready[i].Store(ready(ctx, "http://"+host))
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	both.Wait()
}

// notices is how long the balancer is given to notice that a web is going.
const notices = 2 * time.Second

func TestWebsRestartUnderLoadWithoutAFailedRequest(t *testing.T) {
	database := storetest.Postgres(t)
	f := fill(t, database, 100)
	token := makeToken(t, database)
	delay := "TALLYMAN_SHUTDOWN_DELAY=" + notices.String()
	var webs [2]*web
	b := new(balancer)
	for i := range webs {
		address := freeAddress(t)
		webs[i], b.hosts[i] = startWebAt(t, database, token, address, delay), address
		b.ready[i].Store(true)
	}
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		b.watch(ctx)
	}()
	defer func() {
		stop()
		<-watched
	}()
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: b.hosts[0]}) },
		Transport: b,
	})
	t.Cleanup(front.Close)

	const takes, rate = 30 * time.Second, 50
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
	for began := time.Now(); time.Since(began) < takes-2*notices; restarts++ {
		i := restarts % 2
		webs[i].stop()
		webs[i] = startWebAt(t, database, token, b.hosts[i], delay)
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
