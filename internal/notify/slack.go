package notify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Slack's limits, in characters, and those of this message within them: see
// https://docs.slack.dev/reference/block-kit/blocks (50 blocks a message, header
// and section block) and …/composition-objects/text-object.
const (
	slackHeader  = 150
	slackSection = 3000
	// slackEntries is the most entries of a list. People look at the first, and
	// for the rest at the console.
	slackEntries = 15
	// slackProse and slackCode are the most of one sentence and of one name, with
	// what escaping adds. An entry has at most three of them.
	slackProse = 500
	slackCode  = 300
)

// slackMessage is the body of an incoming webhook
// (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
type slackMessage struct {
	// Text is for notifications and for readers that know no blocks.
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
	// Verbatim keeps Slack from making links and mentions of what looks like them.
	Verbatim bool `json:"verbatim,omitempty"`
}

// slack is a bounded notice for people.
func (s *Sender) slack(n release.Notice) slackMessage {
	title := headline(n)
	m := slackMessage{Text: escaped(title+". "+n.Cause.Text, slackSection)}
	// A header is plain text, which is not unescaped.
	m.Blocks = append(m.Blocks, slackBlock{Type: "header", Text: &slackText{Type: "plain_text", Text: shortened(title, slackHeader)}})
	m.add(escaped(n.Cause.Text, slackSection))
	m.list("Verdicts", lines(n.Releases, verdictLine), n.Omitted.Releases)
	m.list("Findings", lines(n.Findings, findingLine), n.Omitted.Findings)
	m.list("Tags", lines(n.Moves, moveLine), n.Omitted.Moves)
	m.list("Evidence", lines(n.Evidence, evidenceLine), n.Omitted.Evidence)
	footer := "Notice " + code(n.ID)
	if s.consoleURL != "" {
		footer = "<" + escaped(s.consoleURL, slackProse) + "/|Open the console> · " + footer
	}
	m.Blocks = append(m.Blocks, slackBlock{Type: "context", Elements: []slackText{{Type: "mrkdwn", Text: footer, Verbatim: true}}})
	return m
}

// add appends a section. Its text is escaped, and no longer than a section may be.
func (m *slackMessage) add(text string) {
	if text != "" {
		m.Blocks = append(m.Blocks, slackBlock{Type: "section", Text: &slackText{Type: "mrkdwn", Text: text, Verbatim: true}})
	}
}

// list appends as many sections as its lines need: at most one for each two of
// [slackEntries], which keeps the message far from 50 blocks.
func (m *slackMessage) list(title string, entries []string, omitted int) {
	if len(entries) == 0 {
		return
	}
	if len(entries) > slackEntries {
		omitted += len(entries) - slackEntries
		entries = entries[:slackEntries]
	}
	if omitted > 0 {
		entries = append(entries[:len(entries):len(entries)], fmt.Sprintf("… and %d more", omitted))
	}
	section := "*" + title + "*"
	for _, entry := range entries {
		if characters(section)+1+characters(entry) > slackSection {
			m.add(section)
			section = entry
			continue
		}
		section += "\n" + entry
	}
	m.add(section)
}

func lines[T any](list []T, line func(T) string) []string {
	all := make([]string, 0, len(list))
	for _, entry := range list {
		all = append(all, "• "+line(entry))
	}
	return all
}

func verdictLine(r release.VerdictChange) string {
	verdict := bold(r.After)
	if r.Before != "" && r.Before != r.After {
		verdict = prose(r.Before) + " → " + verdict
	}
	line := code(r.Repository+" "+r.Version) + ": " + verdict
	if len(r.Reasons) > 0 {
		line += ": " + prose(r.Reasons[0])
	}
	if more := len(r.Reasons) - 1; more > 0 {
		line += fmt.Sprintf(" (and %s)", count(more, "more reason", "more reasons"))
	}
	return line
}

func findingLine(f release.FindingChange) string {
	line := fmt.Sprintf("%s %s (%s)", bold(string(f.Change)), code(f.ID), prose(f.Severity))
	if len(f.PURLs) > 0 {
		line += " in " + code(f.PURLs[0])
		if more := len(f.PURLs) - 1; more > 0 {
			line += fmt.Sprintf(" and %s", count(more, "more package", "more packages"))
		}
	}
	line += ", " + count(f.Releases, "release", "releases")
	switch {
	case f.Change == release.ChangeGone:
	case len(f.Fixed) > 0:
		line += ", fixed in " + code(strings.Join(f.Fixed, ", "))
	default:
		line += ", no fix known"
	}
	return line
}

func moveLine(m release.Move) string {
	line := fmt.Sprintf("%s: %s → %s", code(m.Repository+":"+m.Tag), code(m.From.Short()), code(m.To.Short()))
	if m.Alarming() {
		line += " *a version tag moved, which it never should*"
	}
	return line
}

func evidenceLine(e release.EvidenceChange) string {
	return fmt.Sprintf("%s %s: %s → %s: %s", code(e.Repository+" "+e.Version), prose(string(e.Kind)),
		prose(string(e.Before)), bold(string(e.After)), prose(e.Reason))
}

// headline says in a line how much there is.
func headline(n release.Notice) string {
	title := "Tallyman: "
	if slices.ContainsFunc(n.Moves, release.Move.Alarming) {
		title = "Tallyman alarm: "
	}
	var parts []string
	part := func(shown, omitted int, one, many string) {
		if total := shown + omitted; total > 0 {
			parts = append(parts, count(total, one, many))
		}
	}
	part(len(n.Releases), n.Omitted.Releases, "verdict changed", "verdicts changed")
	part(len(n.Findings), n.Omitted.Findings, "finding changed", "findings changed")
	part(len(n.Moves), n.Omitted.Moves, "tag moved", "tags moved")
	part(len(n.Evidence), n.Omitted.Evidence, "change of evidence", "changes of evidence")
	if len(parts) == 0 {
		return title + "nothing changed"
	}
	return title + strings.Join(parts, ", ")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// escaped keeps a text from being markup
// (https://docs.slack.dev/messaging/formatting-message-text, "Escaping text"), on
// one line of at most the given number of characters.
func escaped(text string, most int) string {
	var b strings.Builder
	length := 0
	for _, r := range strings.Join(strings.Fields(text), " ") {
		piece := string(r)
		switch r {
		case '&':
			piece = "&amp;"
		case '<':
			piece = "&lt;"
		case '>':
			piece = "&gt;"
		}
		if length += characters(piece); length >= most {
			return b.String() + "…"
		}
		b.WriteString(piece)
	}
	return b.String()
}

func prose(text string) string { return escaped(text, slackProse) }

// code is a name as it is written. A backtick would end it.
func code(text string) string {
	return "`" + escaped(strings.ReplaceAll(text, "`", "'"), slackCode) + "`"
}

func bold(text string) string { return "*" + prose(text) + "*" }

func characters(text string) int { return len([]rune(text)) }

// shortened is a text of at most the given number of characters.
func shortened(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
