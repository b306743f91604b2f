package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// diff is the list of packages of a comparison under a summary of an id.
func (d document) diff(id string) document {
	d.t.Helper()
	for _, details := range d.all("details.diff") {
		if found := (document{d.t, details}); attr(found.all("summary")[0], "id") == id {
			return found
		}
	}
	d.t.Fatalf("no list %s", id)
	return document{}
}

func TestEachListOfPackagesThatDifferIsPagedByItself(t *testing.T) {
	t.Parallel()
	m := harbour()
	lists := map[string]*account.List[account.PackageChange]{
		"changed": &m.comparison.Packages.Changed, "added": &m.comparison.Packages.Added, "removed": &m.comparison.Packages.Removed,
	}
	for id, list := range lists {
		list.Items = nil
		for i := range 60 {
			list.Items = append(list.Items, account.PackageChange{Package: fmt.Sprintf("pkg:golang/example.com/%s%02d", id, i), From: []string{"v1.0.0"}})
		}
	}
	for id := range lists {
		seen, path := map[string]bool{}, comparePath
		for path != "" {
			list := page(t, m, path).diff(id)
			if got, want := list.one(".pager p"), fmt.Sprintf("%d of 60 packages", min(25, 60-len(seen))); got != want {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
			if title := list.one("summary"); !strings.HasSuffix(title, ": 60") {
				t.Errorf("%s: got %q, want all to be counted", path, title)
			}
			for _, row := range list.texts("tbody tr") {
				seen[row] = true
			}
			path, _, _ = strings.Cut(list.links()["next"], "#")
		}
		if len(seen) != 60 {
			t.Errorf("%s: got %d on all pages, want 60", id, len(seen))
		}
	}
	to := page(t, m, comparePath+"&added-after=25&removed-after=50").diff("added").links()
	if !strings.Contains(to["next"], "added-after=50") || !strings.Contains(to["next"], "removed-after=50") || !strings.HasSuffix(to["next"], "#added") {
		t.Errorf("got next packages %s, want those that were removed to stay where they are", to["next"])
	}
	if strings.Contains(to["first"], "added-after") || !strings.Contains(to["first"], "removed-after=50") {
		t.Errorf("got first packages %s, want those that were removed to stay where they are", to["first"])
	}
	if none := page(t, m, comparePath+"&added-after=60").diff("added"); none.one(".pager p") != "0 of 60 packages" || none.links()["first"] == "" {
		t.Errorf("after the last: got %q, want a way back", text(none.root))
	}
	if w := get(t, handler(t, m, nil), comparePath+"&changed-after=x"); w.Code != http.StatusBadRequest {
		t.Errorf("cursor of nobody: got %d, want %d", w.Code, http.StatusBadRequest)
	}
}

func TestEveryComponentIsOfferedForComparing(t *testing.T) {
	t.Parallel()
	m := &memory{}
	for i := range 250 {
		m.components = append(m.components, account.Component{Component: release.Component{Repository: fmt.Sprintf("ghcr.io/acme/%03d", 249-i)}})
	}
	var seen []string
	for path := "/compare"; path != ""; {
		d := page(t, m, path)
		if says := d.one(".pager p"); !strings.HasSuffix(says, " of 250 components") {
			t.Errorf("%s: got %q", path, says)
		}
		if first := d.links()["first"]; (first == "") != (path == "/compare") {
			t.Errorf("%s: the first page is said to be %q", path, first)
		}
		seen = append(seen, d.texts(".choices a")...)
		path = d.links()["next"]
	}
	for i, name := range seen {
		if want := fmt.Sprintf("ghcr.io/acme/%03d", i); name != want {
			t.Fatalf("got %s in place %d, want %s", name, i, want)
		}
	}
	if len(seen) != 250 {
		t.Errorf("got %d components on all pages, want 250", len(seen))
	}
	// One that is no longer there is a place all the same.
	if got := page(t, m, "/compare?after=ghcr.io/acme/100-x").texts(".choices a")[0]; got != "ghcr.io/acme/101" {
		t.Errorf("after one that is gone: got %s", got)
	}
	if d := page(t, m, "/compare?after=z"); d.links()["first"] != "/compare" {
		t.Error("after the last: got no way back")
	}
}

func TestAllRepositoriesCanBeReachedOnTheSettings(t *testing.T) {
	t.Parallel()
	m := harbour()
	m.components = nil
	for n := range 150 {
		m.components = append(m.components, account.Component{Component: release.Component{Repository: fmt.Sprintf("ghcr.io/acme/%03d", n)}})
	}
	address, seen := "/settings", map[string]bool{}
	for address != "" {
		d := page(t, m, address)
		for _, name := range d.texts(".breaks a") {
			seen[name] = true
		}
		address = d.links()["next"]
	}
	if len(seen) != 150 {
		t.Errorf("got %d repositories, want all 150", len(seen))
	}
	if got := page(t, m, "/settings?watched-after=z").one(".nothing"); !strings.Contains(got, "Nothing of this list is left here.") {
		t.Errorf("behind the end: got %q", got)
	}
}
