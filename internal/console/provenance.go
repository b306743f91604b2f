package console

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
)

// provenance is what verified provenance says of the build.
type provenance struct {
	Facts []stateditem
	// Builders are those who built the very digest, told apart by who they are.
	Builders []builder
	// Says counts them.
	Says string
}

// builder vouches with provenance for having built an image.
type builder struct {
	Name string
	// Own: it is the one whose build the rest of the page tells of.
	Own bool
}

func (v *provenance) builders(all []string, own string) {
	others := 0
	for _, name := range all {
		v.Builders = append(v.Builders, builder{name, name == own})
		if name != own {
			others++
		}
	}
	v.Says = "Nobody else is known to have built this digest."
	if others > 0 {
		v.Says = plural(len(all), "distinct builder") + " came to this digest."
	}
}

type stateditem struct {
	Name  string
	Value string
	// URL is set where the value may be a link, When where it is a time.
	URL  string
	When *moment
	Code bool
}

func newProvenance(r *account.Release, p *page) *provenance {
	b := r.Build
	if b == nil {
		return nil
	}
	v := &provenance{}
	v.builders(r.Rebuilders, b.Signer)
	add := func(name, value string, code bool) {
		if value != "" {
			v.Facts = append(v.Facts, stateditem{Name: name, Value: value, URL: safeLink(value), Code: code})
		}
	}
	add("Vouched for by", b.Signer, false)
	add("Builder", b.Builder, false)
	add("Kind of build", b.Type, false)
	add("Run", b.Invocation, false)
	add("Source", b.Source, false)
	add("Commit", b.Commit, true)
	add("Base image", b.Base, true)
	for _, name := range toolNames(b) {
		add("Toolchain: "+name, b.Tools[name], false)
	}
	if d := buildTime(b); d.Class != "unknown" {
		add("Build duration", d.Text, false)
	}
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			v.Facts = append(v.Facts, stateditem{Name: name, When: optional(t, p.at)})
		}
	}
	at("Started", b.Started)
	at("Finished", b.Finished)
	return v
}
