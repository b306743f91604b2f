package chart

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// steps is how many steps an axis has at most; it has one tick more than steps.
const steps = 4

// axis runs from 0 to top, with ticks at round numbers.
type axis struct {
	top   float64
	ticks []tick
}

type tick struct {
	at    float64
	label string
}

// newAxis makes an axis for values up to most, in steps of which the smallest that
// is large enough is chosen by step.
func newAxis(most float64, step func(least float64) float64, label func(at, step float64) string) axis {
	if most <= 0 {
		return axis{top: 1, ticks: []tick{{0, label(0, 1)}}}
	}
	by := step(most / steps)
	count := math.Ceil(most/by - 1e-9)
	a := axis{top: by * count}
	for i := range int(count) + 1 {
		at := by * float64(i)
		a.ticks = append(a.ticks, tick{at, label(at, by)})
	}
	return a
}

// bare leaves only the base line: where nothing is known, numbers would pretend.
func (a axis) bare() axis { return axis{top: a.top} }

// round is the smallest of 1, 2 and 5 times a power of ten that is not below least.
func round(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= least*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// countAxis has whole numbers only.
func countAxis(most float64) axis {
	return newAxis(most, func(least float64) float64 { return max(1, round(least)) },
		func(at, _ float64) string { return short(at, 10_000, "") })
}

// byteAxis counts in decimal units, as registries do.
func byteAxis(most float64) axis {
	return newAxis(most, func(least float64) float64 { return max(1, round(least)) },
		func(at, _ float64) string { return short(at, 1000, " ") + "B" })
}

// durationAxis is for nanoseconds, in steps that people tell time in.
func durationAxis(most float64) axis {
	return newAxis(most, roundDuration, func(at, step float64) string {
		for _, u := range durationUnits() {
			if step >= u.size {
				return trim(at/u.size, 2) + " " + u.name
			}
		}
		return trim(at/float64(time.Second), 9) + " s"
	})
}

// dayAxis is for nanoseconds that are counted in days.
func dayAxis(most float64) axis {
	const day = float64(24 * time.Hour)
	return newAxis(most, func(least float64) float64 { return day * max(1, round(least/day)) },
		func(at, _ float64) string { return short(at/day, 10_000, "") })
}

type unit struct {
	name string
	size float64
}

func durationUnits() []unit {
	return []unit{
		{"d", float64(24 * time.Hour)},
		{"h", float64(time.Hour)},
		{"min", float64(time.Minute)},
		{"s", float64(time.Second)},
	}
}

func roundDuration(least float64) float64 {
	const second = float64(time.Second)
	if least <= second {
		return second * round(least/second)
	}
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 2 * 60, 5 * 60, 10 * 60, 15 * 60, 30 * 60, 3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600} {
		if s*second >= least*(1-1e-9) {
			return s * second
		}
	}
	const day = 24 * 3600 * second
	return day * max(1, round(least/day))
}

// short is a number with a prefix for thousands once it has reached from; space
// stands between the number and its unit.
func short(f, from float64, space string) string {
	prefix := ""
	if f >= from {
		for _, p := range []string{"k", "M", "G", "T", "P", "E"} {
			f /= 1000
			prefix = p
			if f < 1000 {
				break
			}
		}
	}
	return trim(f, 1) + space + prefix
}

// trim is a number with at most so many digits behind the point.
func trim(f float64, digits int) string {
	s := strconv.FormatFloat(f, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// count is a number in full, with commas between thousands.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// duration is a duration in its two largest units, or in parts of a second.
func duration(n int64) string {
	d := time.Duration(n)
	if d < 10*time.Second {
		return trim(d.Seconds(), 2) + " s"
	}
	d = d.Round(time.Second)
	units := durationUnits()
	for i, u := range units {
		size := time.Duration(u.size)
		if d < size {
			continue
		}
		s := count(int64(d/size)) + " " + u.name
		if i+1 < len(units) {
			next := units[i+1]
			if rest := d % size / time.Duration(next.size); rest > 0 {
				s += " " + count(int64(rest)) + " " + next.name
			}
		}
		return s
	}
	return "0 s"
}

// days is a duration in whole days, rounded down.
func days(n int64) string {
	switch d := n / int64(24*time.Hour); d {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return count(d) + " days"
	}
}
