package config

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Mistake is one thing that is wrong with the configuration.
type Mistake struct {
	// Key is the setting, such as database.url or repositories[2]; or what
	// stands in its place: an unknown key, an environment variable, "config"
	// for the configuration file as a whole.
	Key string
	// Origin is where the value was set, such as "flag --listen".
	Origin string
	// Value is what was found, redacted and shortened; "" when there was
	// nothing or when it must not be seen.
	Value string
	// Problem says what is wrong where Expected alone would not.
	Problem string
	// Expected is what would have been right.
	Expected string
}

// String is the mistake on one line.
func (m Mistake) String() string {
	var b strings.Builder
	if key := oneLine(m.Key); key == "" || strings.ContainsAny(key, ": ") {
		b.WriteString(strconv.Quote(m.Key) + ": ")
	} else {
		b.WriteString(key + ": ")
	}
	if m.Problem != "" {
		b.WriteString(oneLine(m.Problem) + "; ")
	}
	b.WriteString("expected " + m.Expected)
	if m.Value != "" {
		b.WriteString(", found " + strconv.Quote(m.Value))
	}
	b.WriteString(" [" + oneLine(m.Origin) + "]")
	return b.String()
}

// Mistakes is everything that is wrong with a configuration, and an error.
type Mistakes []Mistake

// Error lists the mistakes, one on each line.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// oneLine keeps a string that came from outside from breaking the rule of one
// line for each mistake.
func oneLine(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return s
	}
	return strconv.Quote(s)
}

// shortened bounds a value that is shown.
func shortened(value string) string {
	const most = 120
	if r := []rune(value); len(r) > most {
		return string(r[:most]) + "…"
	}
	return value
}

// suggest returns " (did you mean X?)" for the candidate closest to word, or
// "" when none is close.
func suggest(word string, candidates []string) string {
	best, distance := "", 1+min(3, len(word)/3)
	for _, c := range candidates {
		if d := editDistance(word, c); d < distance {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// editDistance counts insertions, deletions, substitutions and swaps of
// neighbours (optimal string alignment) between a and b, which are short.
func editDistance(a, b string) int {
	const tooLong = 128
	if len(a) > tooLong || len(b) > tooLong {
		return tooLong
	}
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

func sorted(ms Mistakes) Mistakes {
	sort.SliceStable(ms, func(i, j int) bool { return ms[i].Key < ms[j].Key })
	return ms
}
