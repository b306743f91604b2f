package console

import (
	"context"
	"fmt"
	"net/http"

	"github.com/a-h/templ"
)

// settingsView is what may be seen of how this console and its worker are set up.
type settingsView struct {
	Watched  []watched
	Feeds    []feedLine
	Queue    queue
	Settings []Setting
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
	for i := range all[:min(len(all), mostOffered)] {
		one := watched{Repository: all[i].Repository, URL: componentURL(all[i].Repository), State: state{Class: "known", Word: "Watched"}, Every: "every " + age(all[i].LookEvery)}
		if !all[i].Watched {
			one.State, one.Every = state{Class: "absent", Word: "No longer watched"}, "–"
		}
		v.Watched = append(v.Watched, one)
	}
	p.Title, p.Section = "Settings", "/settings"
	return settingsContent(p, v), nil
}
