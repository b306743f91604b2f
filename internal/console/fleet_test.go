package console_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// Every link of every page of a real store leads to a page, from the overview on.
func TestEveryLinkLeadsToAPage(t *testing.T) {
	t.Parallel()
	clock := func() time.Time { return now }
	db, err := store.Open(t.Context(), storetest.SQLite(t), store.Options{MaxConnections: 4, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	fleet := tallytest.NewFleet(3, 18, 60, now.Add(-20*time.Hour))
	if err := fleet.Keep(t.Context(), db, 200); err != nil {
		t.Fatal(err)
	}
	h := as(operator(), handler(t, db, &bytes.Buffer{}, func(c *console.Config) { c.Ask = db.Ask }))
	kinds := crawl(t, h)
	for _, want := range []string{"/", "/components/", "/compare", "/search", "/advisories", "/advisories/", "/activity", "/activity/waves/", "/settings", "/documents/", "/docs/api"} {
		if kinds[want] == 0 {
			t.Errorf("no link led to %s: %v", want, kinds)
		}
	}
}

// crawl follows links until there are no new ones, of each kind of page only so many, and
// returns how many of each kind there were.
func crawl(t *testing.T, h http.Handler) map[string]int {
	t.Helper()
	const most = 60
	kinds, seen := map[string]int{}, map[string]bool{"/": true}
	for queue := []string{"/", "/search?q=registry.example", "/search?q=example.com/team1/module1", "/search?q=GO-2026-0000", "/search?q=sha256:0"}; len(queue) > 0; queue = queue[1:] {
		address := queue[0]
		path, _, _ := strings.Cut(address, "?")
		kind := path
		for _, prefix := range []string{"/components/", "/advisories/", "/activity/waves/", "/documents/"} {
			if strings.HasPrefix(path, prefix) {
				kind = prefix
			}
		}
		if kinds[kind]++; kinds[kind] > most {
			continue
		}
		w := get(t, h, address)
		if w.Code != http.StatusOK {
			t.Errorf("%s: got status %d", address, w.Code)
			continue
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			continue
		}
		for _, n := range parse(t, w.Body.String()).all("a") {
			href, _, _ := strings.Cut(attr(n, "href"), "#")
			// Others serve these.
			if strings.HasPrefix(href, "/") && !seen[href] && !strings.HasPrefix(href, "/settings/") && !strings.HasPrefix(href, "/api/") {
				seen[href] = true
				queue = append(queue, href)
			}
		}
	}
	return kinds
}
