package api

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/atom"
)

// atomType is what the OpenAPI document calls [atom.ContentType], which has a parameter.
const atomType = "application/atom+xml"

// atomEntries is how many entries a feed has.
const atomEntries = 50

// located is an input that has to know the address that it came to.
type located interface{ locate(self, origin string) }

// here is the part of an input that knows the address that it came to: of the request,
// and of the server.
type here struct{ self, origin string }

func (h *here) locate(self, origin string) { h.self, h.origin = self, origin }

// origin is where this server is seen from outside: as configured, or as the client
// called it.
func (a *API) origin(r *http.Request) string {
	if a.cfg.ConsoleURL != "" {
		return strings.TrimSuffix(a.cfg.ConsoleURL, "/")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// tag makes an id for an entry (RFC 4151) that is the same for ever at this origin.
func (h *here) tag(parts ...string) string {
	host := "localhost"
	if u, err := url.Parse(h.origin); err == nil && u.Hostname() != "" {
		host = strings.ReplaceAll(u.Hostname(), ":", "-")
	}
	for i := range parts {
		parts[i] = url.QueryEscape(parts[i])
	}
	return "tag:" + host + ",2026:" + strings.Join(parts, "/")
}

type atomFeed struct{ here }

type atomOfComponent struct {
	here

	Repository string `query:"repository" maxLength:"255" example:"ghcr.io/acme/web" doc:"Only releases of this repository."`
}

func (a *API) releasesAtom(ctx context.Context, in *atomOfComponent) (*answer, error) {
	found, err := a.cfg.Store.Releases(ctx, account.ReleaseQuery{Repository: in.Repository, Sort: "seen"}, account.Page{Limit: atomEntries})
	if err != nil {
		return nil, err
	}
	feed := atom.Feed{ID: in.tag("releases"), Title: "Releases", Author: "Tallyman", Self: in.self, Alternate: in.origin + "/"}
	if in.Repository != "" {
		feed.ID, feed.Title = in.tag("releases", in.Repository), "Releases of "+in.Repository
	}
	if feed.Subtitle, err = a.ageNote(ctx); err != nil {
		return nil, err
	}
	for i := range found.Items {
		s := &found.Items[i]
		ref := wire.RefOf(s)
		v := wire.VerdictOf(s.Now)
		feed.Entries = append(feed.Entries, atom.Entry{
			// The digest is part of it: a version that moved is news.
			ID: in.tag("release", ref.Repository, ref.Name, string(s.Image.Digest)), Title: wire.ID(ref) + ": " + v.Result,
			Updated: latest(s.FirstSeen, verdictAt(s)), Published: s.FirstSeen, Link: in.origin + a.cfg.ReleasePage(ref),
			Summary: verdictText(&v), Categories: []string{v.Result, ref.Repository},
		})
	}
	return a.atom(feed)
}

// ageNote is how old the advisory data are, in words.
func (a *API) ageNote(ctx context.Context) (string, error) {
	asOf, err := a.asOf(ctx)
	return "Counted with advisory data as of: " + asOf, err
}

func verdictAt(s *account.Standing) time.Time {
	if s.Now == nil {
		return time.Time{}
	}
	return s.Now.At
}

// verdictText says in a few lines how a release stands.
func verdictText(v *wire.Verdict) string {
	lines := make([]string, 0, 1+len(v.Reasons))
	if v.Counts.Critical != nil {
		lines = append(lines, strconv.Itoa(*v.Counts.Critical)+" critical, "+strconv.Itoa(*v.Counts.High)+" high")
	} else {
		lines = append(lines, "findings unknown: "+v.Counts.UnknownBecause)
	}
	for _, r := range v.Reasons {
		if r.Result != "pass" {
			lines = append(lines, r.Result+": "+r.Message)
		}
	}
	return strings.Join(lines, "\n")
}

func (a *API) findingsAtom(ctx context.Context, in *atomFeed) (*answer, error) {
	found, err := a.cfg.Store.NewFindings(ctx, account.Page{Limit: atomEntries})
	if err != nil {
		return nil, err
	}
	feed := atom.Feed{ID: in.tag("findings"), Title: "New findings", Author: "Tallyman", Self: in.self, Alternate: in.origin + "/"}
	if feed.Subtitle, err = a.ageNote(ctx); err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for i := range found.Items {
		n := &found.Items[i]
		id := in.tag("finding", n.ID, strconv.FormatInt(n.Wave, 10))
		if n.At.IsZero() || seen[id] {
			continue
		}
		seen[id] = true
		summary := "In " + strings.Join(n.PURLs, ", ") + "\nShipped by " + strconv.Itoa(n.Releases) + " releases"
		if len(n.Fixed) > 0 {
			summary += "\nFixed in " + strings.Join(n.Fixed, ", ")
		}
		feed.Entries = append(feed.Entries, atom.Entry{
			ID: id, Title: n.ID + ": " + n.Severity, Updated: n.At, Published: n.At,
			Link: in.origin + a.cfg.AdvisoryPage(n.ID), Summary: summary, Categories: []string{n.Severity},
		})
	}
	return a.atom(feed)
}

// atom writes a feed. It is as new as its newest entry, so that equal feeds have equal
// ETags; an empty one is as old as the format.
func (a *API) atom(feed atom.Feed) (*answer, error) {
	feed.Updated = time.Date(2005, time.December, 1, 0, 0, 0, 0, time.UTC)
	for i := range feed.Entries {
		feed.Updated = latest(feed.Updated, feed.Entries[i].Updated)
	}
	var b bytes.Buffer
	if err := atom.Write(&b, feed); err != nil {
		// All but the address is ours.
		return nil, invalid(mistake{"header.Host", "the name of this server", short(err.Error())})
	}
	return &answer{raw: b.Bytes(), media: atom.ContentType}, nil
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
