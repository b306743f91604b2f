// Package roff writes manual pages with the macros of man(7), as groff and mandoc
// read them. It is given plain values and escapes them; it knows no command line.
package roff

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Page is a page of section 1.
type Page struct {
	// Name is what the page is called by, such as tallyman-db-update; Summary is the
	// line of it that apropos(1) shows.
	Name, Summary string
	// Source is the program with its version, Manual the book that the page is of.
	Source, Manual string
	// Date is the day that the page states, in UTC.
	Date time.Time
	// Synopsis is how to call the command, a line for each way.
	Synopsis []string
	// Sections follow in their order. One without content is left out.
	Sections []Section
}

// Section has a title and any of text, items, and references.
type Section struct {
	Title string
	// Text is paragraphs with an empty line between them. A line that begins with a
	// blank is shown as it is; others are filled.
	Text  string
	Items []Item
	// References are other pages of section 1, by name.
	References []string
}

// Item is a term, its argument if it has one, and what is said of it.
type Item struct{ Term, Argument, Text string }

func (s *Section) empty() bool {
	return strings.TrimSpace(s.Text) == "" && len(s.Items) == 0 && len(s.References) == 0
}

// Write writes the page. The same page gives the same bytes.
func (p *Page) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 %s %s %s\n", quoted(strings.ToUpper(p.Name)), p.Date.UTC().Format(time.DateOnly), quoted(p.Source), quoted(p.Manual))
	// Lines are not spread to the margin, and words are not hyphenated: names stay whole.
	b.WriteString(".nh\n.ad l\n")
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", escape(p.Name), escape(p.Summary))
	b.WriteString(".SH SYNOPSIS\n")
	for i, line := range p.Synopsis {
		if i > 0 {
			b.WriteString(".br\n")
		}
		b.WriteString(text(line))
	}
	for i := range p.Sections {
		p.Sections[i].write(&b)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the page %s: %w", p.Name, err)
	}
	return nil
}

func (s *Section) write(b *strings.Builder) {
	if s.empty() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", escape(s.Title))
	paragraphs(b, s.Text)
	for _, item := range s.Items {
		b.WriteString(".TP\n\\fB" + escape(item.Term) + "\\fR")
		if item.Argument != "" {
			b.WriteString(" \\fI" + escape(item.Argument) + "\\fR")
		}
		b.WriteString("\n" + text(item.Text))
	}
	for i, name := range s.References {
		end := " ,"
		if i == len(s.References)-1 {
			end = ""
		}
		fmt.Fprintf(b, ".BR %s (1)%s\n", escape(name), end)
	}
}

// paragraphs fills lines, but for those that are set in.
func paragraphs(b *strings.Builder, s string) {
	s = strings.Trim(s, "\n")
	if s == "" {
		return
	}
	shown := false
	show := func(on bool) {
		switch {
		case on && !shown:
			b.WriteString(".nf\n")
		case shown && !on:
			b.WriteString(".fi\n")
		}
		shown = on
	}
	for i, paragraph := range strings.Split(s, "\n\n") {
		if i > 0 {
			show(false)
			b.WriteString(".PP\n")
		}
		for line := range strings.SplitSeq(strings.Trim(paragraph, "\n"), "\n") {
			show(strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"))
			b.WriteString(text(strings.ReplaceAll(line, "\t", "    ")))
		}
	}
	show(false)
}

// text is a line of text; one that began with a control character would be a request.
func text(line string) string {
	escaped := escape(line)
	if strings.HasPrefix(escaped, ".") || strings.HasPrefix(escaped, "'") {
		escaped = `\&` + escaped
	}
	return escaped + "\n"
}

// quoted is an argument of a macro.
func quoted(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"` }

// escape writes what roff would read as its own, and what is not ASCII, as groff_char(7)
// names it. A hyphen is the one of the keyboard, so that what is copied works.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r < ' ':
			b.WriteByte(' ')
		case r < 0x7f:
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}
