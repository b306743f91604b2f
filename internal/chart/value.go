package chart

import "fmt"

// Value is a number that may not be known: a count, bytes, or a duration in
// nanoseconds. The zero value is unknown, for no stated reason.
type Value struct {
	n     int64
	known bool
	why   string
}

// Known is a value that is known. There are no negative counts, sizes or
// durations: a negative number is unknown, and says so.
func Known[T ~int | ~int64](n T) Value {
	if n < 0 {
		return Unknown(fmt.Sprintf("%d was stated, which is below zero", int64(n)))
	}
	return Value{n: int64(n), known: true}
}

// Unknown is a value that could not be found out; why is shown in the table of the
// chart, and may be empty.
func Unknown(why string) Value { return Value{why: why} }

// float is the value as a coordinate on an axis; what is unknown has none, and is 0.
func (v Value) float() float64 { return float64(v.n) }

// text is the value in the words of a formatter, or "unknown".
func (v Value) text(format func(int64) string) string {
	if !v.known {
		return "unknown"
	}
	return format(v.n)
}

// largest is the largest known value, and how many are known.
func largest(values ...Value) (most float64, known int) {
	for _, v := range values {
		if v.known {
			most = max(most, v.float())
			known++
		}
	}
	return most, known
}

// whys are the reasons of what is unknown, each once, in order.
func whys(values ...Value) string {
	var all string
	seen := map[string]bool{"": true}
	for _, v := range values {
		if v.known || seen[v.why] {
			continue
		}
		seen[v.why] = true
		if all != "" {
			all += "; "
		}
		all += v.why
	}
	return all
}
