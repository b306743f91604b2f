package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"

	"github.com/a-h/templ"
)

// settingsView is what may be seen of how this console and its worker are set up.
type settingsView struct {
	Watched []watched
	// WatchedPager leads through the repositories.
	WatchedPager pager
	Feeds        []feedLine
	Queue        queue
	Settings     []Setting
	// Setting and SetBy are the heads of the columns that they can be sorted by.
	Setting, SetBy column
}

// watched is a repository, and how often it is looked at.
type watched struct {
	Repository, URL string
	State           state
	Every           string
}

func (c *Console) settings(ctx context.Context, _ *http.Request, p *page) (templ.Component, error) {
	s := c.cfg.Store
	all, err := s.Components(ctx)
	if err != nil {
		return nil, fmt.Errorf("read components: %w", err)
	}
	data, err := s.AdvisoryData(ctx)
	if err != nil {
		return nil, fmt.Errorf("read advisory data: %w", err)
	}
	q, err := s.Queue(ctx)
	if err != nil {
		return nil, fmt.Errorf("read queue: %w", err)
	}
	v := &settingsView{Feeds: newFeeds(data, p), Queue: newQueue(q), Settings: c.cfg.Settings}
	all, v.WatchedPager = byName(all, "watched", p.q)
	for i := range all {
		one := watched{Repository: all[i].Repository, URL: componentURL(all[i].Repository), State: state{Class: "known", Word: "Watched"}, Every: "every " + age(all[i].LookEvery)}
		if !all[i].Watched {
			one.State, one.Every = state{Class: "absent", Word: "No longer watched"}, "–"
		}
		v.Watched = append(v.Watched, one)
	}
	v.sort(p.q)
	p.Title, p.Section = "Settings", "/settings"
	return settingsContent(p, v), nil
}

// sort puts the settings into the order that is asked for; theirs, by subject, is the first
// of all.
func (v *settingsView) sort(q query) {
	order := q.sorted("name", "origin")
	v.Setting, v.SetBy = q.column("Setting", "name", order), q.column("Set by", "origin", order)
	for _, c := range []*column{&v.Setting, &v.SetBy} {
		c.URL += "#process" // the table is the last of the page
	}
	key, reversed := strings.CutPrefix(order, "-")
	if key == "" {
		return
	}
	v.Settings = slices.Clone(v.Settings)
	sort.SliceStable(v.Settings, func(i, j int) bool {
		if reversed {
			i, j = j, i
		}
		a, b := v.Settings[i], v.Settings[j]
		if key == "origin" && a.Origin != b.Origin {
			return a.Origin < b.Origin
		}
		return a.Key < b.Key
	})
}
