package api

import (
	"context"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/badge"
)

type badgeOf struct {
	Badge string `path:"badge" enum:"verdict.svg,critical.svg,release.svg,build.svg" doc:"What it shows."`
}

type badgeOfComponent struct {
	ofComponent
	badgeOf
}

func (a *API) componentBadge(ctx context.Context, in *badgeOfComponent) (answer, error) {
	c, err := a.findComponent(ctx, &in.ofComponent)
	if err != nil {
		return answer{}, err
	}
	return badgeFor(in.Badge, c.Latest), nil
}

type badgeOfRelease struct {
	ofRelease
	badgeOf
}

func (a *API) releaseBadge(ctx context.Context, in *badgeOfRelease) (answer, error) {
	r, err := a.find(ctx, &in.ofRelease)
	if err != nil {
		return answer{}, err
	}
	return badgeFor(in.Badge, &r.Standing), nil
}

// badgeFor draws a badge; of no release everything is unknown.
func badgeFor(which string, s *account.Standing) answer {
	if s == nil {
		s = new(account.Standing)
	}
	var svg []byte
	switch which {
	case "critical.svg":
		counts := wire.VerdictOf(s.Now).Counts
		n, known := 0, counts.Critical != nil
		if known {
			n = *counts.Critical
		}
		svg = badge.Critical(n, known)
	case "release.svg":
		svg = badge.SVG("release", "unknown", badge.Unknown)
		if s.Version != "" {
			svg = badge.SVG("release", s.Version, badge.Good)
		}
	case "build.svg":
		svg = badge.SVG("build", "unknown", badge.Unknown)
		if took, ok := s.Build.Duration(); ok {
			svg = badge.SVG("build", took.Round(time.Second).String(), badge.Good)
		}
	default:
		svg = badge.Verdict(wire.VerdictOf(s.Now).Result)
	}
	return answer{raw: svg, media: badge.ContentType}
}
