package browser_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// recorded serves the pages of the console as its own tests keep them, with its script and
// styles. What is asked for while somebody types is answered as the term says: a search
// that waits is answered when the channel is closed.
func recorded(t *testing.T, wait chan struct{}) string {
	t.Helper()
	answer := func(w http.ResponseWriter, r *http.Request, file string) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'")
		http.ServeFileFS(w, r, os.DirFS(filepath.Join("..", "..", "internal", "console")), file)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/{name}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, "static/"+strings.Replace(r.PathValue("name"), ".HASH", "", 1))
	})
	mux.HandleFunc("GET /refused/{status}/{page}", func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(r.PathValue("status"))
		if err != nil {
			status = http.StatusTeapot
		}
		answer(&refusing{w, status}, r, "testdata/"+r.PathValue("page")+".golden.html")
	})
	mux.HandleFunc("GET /{page}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, "testdata/"+r.PathValue("page")+".golden.html")
	})
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, r *http.Request) {
		page := "search"
		if r.FormValue("part") == "results" {
			page = "search-fragment"
		}
		switch q := r.FormValue("q"); q {
		case "cut":
			panic(http.ErrAbortHandler)
		case "401", "429", "503":
			http.Error(w, `<p class="taken">Found: 7 releases.</p>`, map[string]int{"401": 401, "429": 429, "503": 503}[q])
			return
		case "a sign-in page":
			page = "settings"
		case "wait":
			select {
			case <-wait:
			case <-r.Context().Done(): // a test that failed closes its tab only
			}
		}
		answer(w, r, "testdata/"+page+".golden.html")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// searched is what a page shows of a search while somebody types.
type searched struct{ Heading, Title, At, Status, Results, Busy string }

// typeTerm types a term, and returns what is shown once busy is what it is wanted to be.
func typeTerm(t *testing.T, b *tab, term, busy string) searched {
	t.Helper()
	text, err := json.Marshal(term)
	if err != nil {
		t.Fatal(err)
	}
	var got searched
	b.do(t, chromedp.Evaluate(`{ const q = document.getElementById("q"); q.value = `+string(text)+`; q.dispatchEvent(new Event("input")) }`, nil),
		chromedp.Poll(`document.querySelector("[aria-busy=`+busy+`]")`, nil),
		chromedp.Evaluate(`(() => { const results = document.querySelector("[aria-busy]"), status = results.parentNode.querySelector(":scope > [role=status]");
			return {Heading: document.querySelector("h1").textContent.trim(), Title: document.title, At: location.search, Busy: results.ariaBusy,
				Status: status.textContent, Results: results.checkVisibility() ? results.innerText : ""} })()`, &got))
	return got
}

func TestSearchAsYouType(t *testing.T) {
	wait := make(chan struct{})
	b := newTab(t, openBrowser(t), recorded(t, wait))
	const first, found, failed = "CVE-2026-41122", "Found: 2 releases.", "Unknown The search failed. Press Enter to ask again."

	t.Run("on a page of its own", func(t *testing.T) {
		b.visit(t, "/search?q="+first)
		for _, c := range []struct{ term, says string }{
			{"curl", found}, {"401", failed}, {"openssl <b>", found}, {"429", failed}, {"503", failed}, {"cut", failed}, {"a sign-in page", failed}, {first, found},
		} {
			got := typeTerm(t, b, c.term, "false")
			at := "?" + url.Values{"q": {c.term}}.Encode()
			if got.Heading != "Search for "+c.term || got.Title != "Search for "+c.term+" · Tallyman" || got.At != at {
				t.Errorf("%s: got heading %q, title %q and address %q", c.term, got.Heading, got.Title, got.At)
			}
			if !strings.Contains(got.Status, c.says) || !strings.Contains(got.Results, c.says) || c.says == failed && strings.TrimSpace(got.Results) != failed {
				t.Errorf("%s: got %q announced and %q shown, want %q", c.term, got.Status, got.Results, c.says)
			}
			if c.says == found && !strings.Contains(got.Results, "Advisory data of 3 hours ago") {
				t.Errorf("%s: got no age of the advisory data in %q", c.term, got.Results)
			}
			if c.term == "503" {
				b.accessible(t, "a search that failed")
				b.shoot(t, shotName(shots(t), "search-failed", appearance{name: "light"}))
			}
		}
		b.mu.Lock()
		b.notes = nil // Chromium logs failures as errors
		b.mu.Unlock()
	})

	t.Run("what was found before is marked", func(t *testing.T) {
		const old = " Below is still “" + first + "”."
		got := typeTerm(t, b, "wait", "true")
		if got.Heading != "Search for "+first || got.Status != "Searching…"+old || !strings.Contains(got.Results, found) {
			t.Errorf("while it waits: got %+v", got)
		}
		b.shoot(t, shotName(shots(t), "search-waits", appearance{name: "light"}))
		if got = typeTerm(t, b, "w", "false"); got.Status != "Not searched for yet."+old {
			t.Errorf("of one letter: got %+v", got)
		}
		typeTerm(t, b, "wait", "true")
		close(wait)
		b.do(t, chromedp.Poll(`document.title.startsWith("Search for wait ")`, nil))
		b.clean(t, "search")
	})

	t.Run("on another page", func(t *testing.T) {
		b.visit(t, "/settings")
		got := typeTerm(t, b, "curl", "false")
		if got.Heading != "Settings" || got.At != "" || !strings.Contains(got.Status, found) || !strings.Contains(got.Results, "Advisory data of 3 hours ago") {
			t.Errorf("found: got %+v", got)
		}
		b.accessible(t, "what was found so far")
		b.clean(t, "settings")
		if got = typeTerm(t, b, "503", "false"); got.Status != failed || strings.TrimSpace(got.Results) != failed {
			t.Errorf("failed: got %+v", got)
		}
		if got = typeTerm(t, b, "", "false"); got.Results != "" {
			t.Errorf("of nothing: got %+v", got)
		}
	})
}
