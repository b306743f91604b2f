package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

// longestReceipt bounds the receipts that are read for a page, in bytes.
const longestReceipt = 1 << 20

// gateReceipt is what the gate decided when it let an image out.
type gateReceipt struct {
	State state
	// Missing says why there is none to show. Empty when the rest is set.
	Missing  string
	Signer   string
	Document string // its address
	Facts    []stateditem
	Reasons  []reason
	Waivers  []waiver
	// Reach says what was found out of vulnerable code that is never run.
	Reach string

	counts, raw *receipt.Counts
}

// waiver is a statement that somebody stood for.
type waiver struct {
	Vulnerability, URL string
	Says, Why          string
	By, Source         string
	Expires            *moment
	State              state
	Findings           string
}

// receipt reads the receipt of a release. One that cannot be read or is of another image
// is not shown: why stands in its place. The error is of the store.
func (c *Console) receipt(ctx context.Context, r *account.Release, p *page) (gateReceipt, error) {
	d := receiptDocument(r)
	switch {
	case d == nil:
		return gateReceipt{Missing: why(r, release.PaperSummary)}, nil
	case d.Size > longestReceipt:
		return gateReceipt{Missing: "the receipt is longer than is read here", Document: documentURL(d.Digest)}, nil
	}
	_, content, err := c.cfg.Store.Document(ctx, d.Digest)
	if errors.Is(err, account.ErrNotFound) {
		return gateReceipt{Missing: "the receipt is no longer kept"}, nil
	}
	if err != nil {
		return gateReceipt{}, fmt.Errorf("read receipt: %w", err)
	}
	v := gateReceipt{Signer: d.Signer, Document: documentURL(d.Digest)}
	said, err := receipt.Read(content)
	switch {
	case err != nil:
		v.Missing = err.Error()
	case !said.Of(string(r.Image.Digest)) && !said.Of(string(d.Subject)):
		v.Missing = "the receipt says that it is of another image"
	default:
		v.fill(&said, p)
	}
	return v, nil
}

// receiptDocument is the verified receipt, that of the index first; nil when there is
// none.
func receiptDocument(r *account.Release) *account.Document {
	var found *account.Document
	for i := range r.Documents {
		d := &r.Documents[i]
		if d.Kind == release.PaperSummary && d.Verified && (found == nil || found.Subject != r.Image.Digest && d.Subject == r.Image.Digest) {
			found = d
		}
	}
	return found
}

func (v *gateReceipt) fill(r *receipt.Receipt, p *page) {
	v.State = state{Class: "bad", Word: "Failed"}
	if r.Result == receipt.Passed {
		v.State = state{Class: "good", Word: "Passed"}
	}
	if r.Verdict != nil {
		if r.Verdict.Result == string(release.ResultUnknown) {
			v.State = state{Class: "unknown", Word: "Unknown", Reason: "the gate could not tell, which does not pass"}
		}
		for _, one := range r.Verdict.Reasons {
			v.Reasons = append(v.Reasons, reason{State: resultState(release.Result(one.Result)), Rule: one.Rule, Message: one.Message})
		}
	}
	v.Facts = receiptFacts(r, p)
	v.counts, v.raw = r.Counts, r.Raw
	for i := range r.Waivers {
		v.Waivers = append(v.Waivers, newWaiver(&r.Waivers[i], p))
	}
	if reach := r.Reachability; reach != nil {
		v.Reach = reachWords(reach)
	}
}

func reachWords(r *receipt.Reachability) string {
	switch {
	case r.Skipped != "":
		return "Whether vulnerable code is ever run was not looked at: " + r.Skipped
	case len(r.Unreachable) > 0:
		return "Vulnerable code that is never run, by " + r.Tool + ": " + strings.Join(r.Unreachable, ", ")
	default:
		return "Vulnerable code that is never run, by " + r.Tool + ": none"
	}
}

// receiptFacts are what a receipt was decided with.
func receiptFacts(r *receipt.Receipt, p *page) []stateditem {
	var list []stateditem
	add := func(name, value string, code bool) {
		if value != "" {
			list = append(list, stateditem{Name: name, Value: value, URL: safeLink(value), Code: code})
		}
	}
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			list = append(list, stateditem{Name: name, When: optional(t, p.at)})
		}
	}
	at("Decided", r.TimeVerified)
	add("By", r.Verifier.ID, false)
	if r.Tool != nil {
		add("Tool", strings.TrimSpace(r.Tool.Name+" "+digestText(r.Tool.Digest)), true)
	}
	add("Policy", r.Policy.URI, false)
	add("Policy digest", digestText(r.Policy.Digest), true)
	if a := r.Advisories; a != nil {
		add("Advisory data", a.Digest, true)
		at("Complete as of", a.AsOf)
		if !a.AsOf.IsZero() {
			add("Age then", ageThen(a), false)
		}
		at("Newest record", a.Newest)
		if a.Records > 0 {
			add("Records", grouped(int64(a.Records)), false)
		}
	}
	if n := len(r.Inputs); n > 0 {
		add("Counted from", plural(n, "document"), false)
	}
	return list
}

// ageThen is how old the advisory data were when it was counted, and might have been.
func ageThen(a *receipt.Advisories) string {
	text := age(time.Duration(a.AgeSeconds) * time.Second)
	if a.MaxAgeSeconds > 0 {
		text += ", of at most " + age(time.Duration(a.MaxAgeSeconds)*time.Second)
	}
	return text
}

// digestText is a set of digests, sorted by algorithm.
func digestText(set map[string]string) string {
	var all []string
	for algorithm, value := range set {
		all = append(all, algorithm+":"+value)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func newWaiver(w *receipt.Waiver, p *page) waiver {
	v := waiver{
		Vulnerability: w.Vulnerability, URL: searchURL(w.Vulnerability), Says: words(w.Status), Why: w.Reason, By: w.By, Source: w.Source,
		Expires: optional(w.Expires, p.at), Findings: strings.Join(w.Findings, ", "), State: state{Class: "known", Word: "Held"},
	}
	if w.Justification != "" {
		v.Says += ": " + words(w.Justification)
	}
	switch {
	case w.Expired:
		v.State = state{Class: "bad", Word: "Expired", Reason: "it had expired when the gate decided"}
	case !w.Expires.IsZero() && w.Expires.Before(p.at):
		v.State = state{Class: "absent", Word: "Expired since"}
	}
	v.Source += map[bool]string{true: ", signed", false: ", not signed"}[w.Signed]
	return v
}

// countedLine are the findings by severity as one who counted them says.
type countedLine struct {
	Who, How                              string
	Critical, High, Medium, Low, Unscored figure
	Suppressed                            figure
}

// newCounted are the findings after VEX and before it, now, at release and as the gate
// counted them.
func newCounted(r *account.Release, g *gateReceipt) []countedLine {
	var list []countedLine
	add := func(who string, after, before counts, suppressed figure) {
		list = append(list,
			countedLine{who, "after VEX", after.Critical, after.High, after.Medium, after.Low, after.Unscored, suppressed},
			countedLine{who, "before VEX", before.Critical, before.High, before.Medium, before.Low, before.Unscored, figure{Text: "–", Class: "absent"}})
	}
	for _, v := range []struct {
		who     string
		verdict *account.Verdict
	}{{"Now", r.Now}, {"At release", r.AtRelease}} {
		after := newCounts(v.verdict)
		suppressed := count(after.Suppressed)
		if !after.Known {
			suppressed = unknownFigure(after.Why)
		}
		add(v.who, after, after.Raw(), suppressed)
	}
	after, before := gateCounts(g, g.counts), gateCounts(g, g.raw)
	suppressed := unknownFigure(after.Why)
	if after.Known {
		suppressed = count(after.Suppressed)
	}
	add("By the gate", after, before, suppressed)
	return list
}

func gateCounts(g *gateReceipt, c *receipt.Counts) counts {
	switch {
	case g.Missing != "":
		return unknownCounts(g.Missing)
	case c == nil:
		return unknownCounts("the receipt does not say")
	default:
		v := levelCounts(ledger.Levels{Critical: c.Critical, High: c.High, Medium: c.Medium, Low: c.Low, None: c.None, Unscored: c.Unscored})
		v.Suppressed = c.Suppressed
		return v
	}
}
