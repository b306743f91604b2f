package api

import (
	"context"
	"strings"
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

func (a *API) componentBadge(ctx context.Context, in *badgeOfComponent) (*answer, error) {
	c, err := a.findComponent(ctx, &in.ofComponent)
	if err != nil {
		return nil, err
	}
	return a.badge(ctx, in.Badge, c.Latest)
}

type badgeOfRelease struct {
	ofRelease
	badgeOf
}

func (a *API) releaseBadge(ctx context.Context, in *badgeOfRelease) (*answer, error) {
	r, err := a.find(ctx, &in.ofRelease)
	if err != nil {
		return nil, err
	}
	return a.badge(ctx, in.Badge, &r.Standing)
}

// badge draws a badge; of no release everything is unknown.
func (a *API) badge(ctx context.Context, which string, s *account.Standing) (*answer, error) {
	note, err := a.asOf(ctx)
	if err != nil {
		return nil, err
	}
	// To the day, so that a badge is not another one whenever a feed was fetched.
	note, _, _ = strings.Cut(note, "T")
	note = "advisory data: " + note
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
		svg = badge.Critical(n, known, note)
	case "release.svg":
		svg = badge.SVG("release", "unknown", "", badge.Unknown)
		if s.Version != "" {
			svg = badge.SVG("release", s.Version, "", badge.Good)
		}
	case "build.svg":
		svg = badge.SVG("build", "unknown", "", badge.Unknown)
		if took, ok := s.Build.Duration(); ok {
			svg = badge.SVG("build", took.Round(time.Second).String(), "", badge.Good)
		}
	default:
		svg = badge.Verdict(wire.VerdictOf(s.Now).Result, note)
	}
	return &answer{raw: svg, media: badge.ContentType}, nil
}
