package console

import (
	"context"
	"fmt"
	"net/http"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
)

// searchView is what a search found, and why.
type searchView struct {
	Term string
	// Kind says what the term was taken for.
	Kind string
	Hits []hit
	// Seen is the head of the column of releases; a page within another has no links there.
	Seen  column
	Pager pager
	// Advisory is what an id names, nil where it names none that is known.
	Advisory *advisoryLine
	Unknown  string
	// Parts is set on a page within another one.
	Fragment bool
	MoreURL  string
}

// hit is a release that was found.
type hit struct {
	Standing standing
	// Matches are why.
	Matches []string
}

// fragmentPart is how many are shown while somebody types.
const fragmentPart = 8

func (c *Console) search(ctx context.Context, _ *http.Request, p *page) (templ.Component, error) {
	v := &searchView{Term: p.q.text("q"), Fragment: p.q.values.Get("part") == "results"}
	p.Term, p.Title, p.Section, p.Fragment = v.Term, "Search", "/search", v.Fragment
	if v.Term == "" {
		return searchContent(p, v), nil
	}
	p.Title = "Search for " + v.Term
	limit := hitPart
	if v.Fragment {
		limit = fragmentPart
	}
	found, err := c.cfg.Store.Search(ctx, v.Term, p.q.inTime(limit, "seen"))
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	v.Kind, v.Unknown, v.MoreURL = searchKind(found.Kind), found.Unknown, searchURL(v.Term)
	v.Hits, v.Seen = newHits(found.Items, p), column{Label: "Release"}
	if !v.Fragment {
		v.Seen = p.q.inTimeColumn("Release", "seen")
	}
	v.Pager = pagerOf(p.q, len(found.Items), found.Next, found.Total, "release")
	if found.Advisory != nil {
		line := newAdvisoryLine(found.Advisory, p)
		v.Advisory = &line
	}
	return searchContent(p, v), nil
}

func newHits(all []account.Hit, p *page) []hit {
	var list []hit
	for i := range all {
		list = append(list, hit{Standing: newStanding(&all[i].Standing, p.at), Matches: all[i].Matches})
	}
	return list
}

// searchKind says what a term was taken for.
func searchKind(k account.SearchKind) string {
	switch k {
	case account.SearchDigest:
		return "the digest of an image or a platform"
	case account.SearchAdvisory:
		return "the id of an advisory"
	case account.SearchPackage:
		return "a package"
	case account.SearchRelease:
		return "a repository or a release"
	default:
		return "any of them"
	}
}
