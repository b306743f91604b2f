package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

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

const day = 24 * time.Hour

// ago puts a duration into words, rounded down to its largest unit.
func ago(d time.Duration) string {
	switch {
	case d < -time.Minute:
		return "in the future"
	case d < time.Minute:
		return "just now"
	default:
		return age(d) + " ago"
	}
}

// age is a duration of a minute or more, rounded down to its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute")
	case d < 2*day:
		return plural(int(d/time.Hour), "hour")
	default:
		return plural(int(d/day), "day")
	}
}

// took is how long something took, to the second.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return "under 1 s"
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d/time.Minute), int(d%time.Minute/time.Second))
	default:
		return fmt.Sprintf("%d h %02d min", int(d/time.Hour), int(d%time.Hour/time.Minute))
	}
}

// plural counts things, whose name ends in s, or in ies for y, when there are many.
func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	if stem, ok := strings.CutSuffix(unit, "y"); ok && !strings.HasSuffix(stem, "a") {
		return grouped(int64(n)) + " " + stem + "ies"
	}
	return grouped(int64(n)) + " " + unit + "s"
}

// noun is the name of things without how many there are.
func noun(n int, unit string) string {
	_, name, _ := strings.Cut(plural(n, unit), " ")
	return name
}

// grouped is a number with a thin space between thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "−", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return sign + digits
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

// short is a digest or commit, cut to what the eye can compare.
func short(digest string) string {
	const n = 12
	text := strings.TrimPrefix(digest, "sha256:")
	if len(text) > n {
		return strings.ToValidUTF8(text[:n], "")
	}
	return text
}

// safeLink returns an address of somebody else's text if it may be a link: https, with
// a host and without credentials, nothing that a browser would read in another way than
// people do. Otherwise it returns "", and the text stays text.
func safeLink(address string) string {
	rest, ok := strings.CutPrefix(address, "https://")
	if !ok || len(address) > 2000 {
		return ""
	}
	for _, r := range address {
		if r <= ' ' || r > '~' || strings.ContainsRune("\"'<>\\^`{|}", r) {
			return ""
		}
	}
	host, _, _ := strings.Cut(rest, "/")
	if host == "" || strings.ContainsAny(host, "@?#") {
		return ""
	}
	return address
}
