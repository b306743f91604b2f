package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// overview is the front page, in the words that it shows.
type overview struct {
	Components []component
	Known      int // components whose state is known
	Unknown    int
}

// read says how many components could be read, behind their number.
func (o *overview) read() string {
	text := fmt.Sprintf("components, %d read", o.Known)
	if len(o.Components) == 1 {
		text = fmt.Sprintf("component, %d read", o.Known)
	}
	if o.Unknown > 0 {
		text += fmt.Sprintf(", %d unknown", o.Unknown)
	}
	return text
}

// component is one line of the overview.
type component struct {
	// Within is the host and the folders of the repository, with a slash behind them.
	Within   string
	Name     string // the last part of the repository
	Class    string // bad, unknown or known: the worst of what the line says
	State    state
	LastLook *moment // nil before the first look
	Complete *moment // the last look that read everything, when that was another
	Releases string
	Latest   *latest
}

// nothing says what is known when there is no release to show.
func (c component) nothing() string {
	switch {
	case c.Complete != nil:
		return "No release when last read"
	case c.State.Class == "known":
		return "No release yet"
	default:
		return "Unknown"
	}
}

// state is shown as a word, a shape and a colour.
type state struct {
	Class string // known, unknown
	Word  string
	// Reason says why the state is unknown. Empty otherwise.
	Reason string
}

type latest struct {
	Version    string
	Prerelease bool
	Moved      *moment // nil for a version that kept its promise
	Digest     string
	Revision   string
	Created    *moment // nil when the image does not say
	FirstSeen  moment
	Platforms  []platform
}

type platform struct {
	Name  string
	Size  string
	Bytes int64
}

func newOverview(components []release.Component, now time.Time) *overview {
	o := &overview{}
	for _, c := range components {
		line := newComponent(c, now)
		if line.State.Reason == "" {
			o.Known++
		} else {
			o.Unknown++
		}
		o.Components = append(o.Components, line)
	}
	return o
}

func newComponent(c release.Component, now time.Time) component {
	cut := strings.LastIndex(c.Repository, "/") + 1
	line := component{Within: c.Repository[:cut], Name: c.Repository[cut:], State: state{Class: "known", Word: "Read"}, Releases: releases(c)}
	if why := c.Unknown(now); why != "" {
		line.State = state{Class: "unknown", Word: "Unknown", Reason: why}
	}
	if c.LastLook != nil {
		line.LastLook = optional(c.LastLook.At, now)
		if !c.LastComplete.Equal(c.LastLook.At) {
			line.Complete = optional(c.LastComplete, now)
		}
	}
	if c.Latest != nil {
		line.Latest = newLatest(*c.Latest, now)
	}
	line.Class = line.State.Class
	if line.Latest != nil && line.Latest.Moved != nil {
		line.Class = "bad"
	}
	return line
}

// releases is a count when a look has read everything, and otherwise what can be
// said.
func releases(c release.Component) string {
	switch {
	case !c.LastComplete.IsZero():
		return fmt.Sprint(c.Releases)
	case c.Releases > 0:
		return fmt.Sprintf("at least %d", c.Releases)
	default:
		return "unknown"
	}
}

func newLatest(r release.Release, now time.Time) *latest {
	l := &latest{
		Version:    r.Version,
		Prerelease: release.IsPrerelease(r.Version),
		Moved:      optional(r.MovedAt, now),
		Digest:     string(r.Image.Digest),
		Revision:   r.Image.Revision,
		Created:    optional(r.Image.Created, now),
		FirstSeen:  newMoment(r.FirstSeen, now),
	}
	for _, p := range r.Image.Platforms {
		l.Platforms = append(l.Platforms, platform{Name: p.String(), Size: size(p.CompressedSize), Bytes: p.CompressedSize})
	}
	return l
}

// moment is a time in the forms that a page needs.
type moment struct {
	Machine string // RFC 3339, for the datetime attribute
	Day     string // 4 Mar 2026
	Full    string // 4 Mar 2026, 05:06 UTC
	Ago     string // 3 hours ago
}

func optional(t, now time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	m := newMoment(t, now)
	return &m
}

func newMoment(t, now time.Time) moment {
	t = t.UTC()
	return moment{
		Machine: t.Format(time.RFC3339),
		Day:     t.Format("2 Jan 2006"),
		Full:    t.Format("2 Jan 2006, 15:04 UTC"),
		Ago:     ago(now.Sub(t)),
	}
}

// ago puts a duration into words, rounded down to its largest unit.
func ago(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < -time.Minute:
		return "in the future"
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute") + " ago"
	case d < 2*day:
		return plural(int(d/time.Hour), "hour") + " ago"
	default:
		return plural(int(d/day), "day") + " ago"
	}
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// size puts bytes into decimal units, as registries and docker do.
func size(bytes int64) string {
	const k = 1000.0
	f := float64(bytes)
	switch {
	case f < k:
		return fmt.Sprintf("%d B", bytes)
	case f < k*k:
		return fmt.Sprintf("%.1f kB", f/k)
	case f < k*k*k:
		return fmt.Sprintf("%.1f MB", f/k/k)
	default:
		return fmt.Sprintf("%.2f GB", f/k/k/k)
	}
}
