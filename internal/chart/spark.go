package chart

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/a-h/templ"
)

const (
	mostSparks  = 24
	sparkHeight = 20.0
	sparkStep   = 5.0
)

// Sparkline draws a word-sized chart for a cell of a table: a bar for each value,
// the oldest first, as in the critical findings of each release. What is unknown is
// a dashed frame, 0 is a dot on the base line. Its text alternative is about.Title with all
// values; Note is not used. The last 24 values are drawn; without values there is a dash.
func Sparkline(about About, values []Value) templ.Component {
	id := identifier(about.ID)
	var c canvas
	drawn := latest(values, mostSparks)
	if len(drawn) == 0 {
		c.leaf("span", "–", class("spark-nothing"))
	} else {
		sparks(&c, id, clean(about.Title, longestText), drawn)
	}
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		if _, err := io.WriteString(w, c.b.String()); err != nil {
			return fmt.Errorf("write sparkline: %w", err)
		}
		return nil
	})
}

func sparks(c *canvas, id, title string, values []Value) {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = v.text(count)
	}
	w := float64(len(values))*sparkStep + 1
	c.start("svg", class("spark"), pair{"xmlns", "http://www.w3.org/2000/svg"}, pair{"role", "img"}, pair{"aria-labelledby", id + "-title"},
		pair{"viewBox", "0 0 " + number(w) + " " + number(sparkHeight)}, num("width", w), num("height", sparkHeight))
	c.leaf("title", title+", oldest first: "+strings.Join(words, ", "), pair{"id", id + "-title"})
	most, _ := largest(values...)
	for i, v := range values {
		x := float64(i)*sparkStep + 1
		switch {
		case !v.known:
			c.shape("rect", class("spark-unknown"), num("x", x+0.5), num("y", 1.5), num("width", 3), num("height", sparkHeight-4),
				pair{"stroke-dasharray", "2 1.5"})
		case v.n == 0:
			c.shape("rect", class("spark-zero"), num("x", x+1), num("y", sparkHeight-4), num("width", 2), num("height", 2))
		default:
			h := max(2, (sparkHeight-3)*v.float()/most)
			c.shape("rect", class("spark-bar"), num("x", x), num("y", sparkHeight-2-h), num("width", 4), num("height", h))
		}
	}
	c.line("chart-base", 0, sparkHeight-1, w, sparkHeight-1)
	c.end()
}
