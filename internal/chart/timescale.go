package chart

import "time"

type timeTick struct {
	at    time.Time
	label string
}

// mostTimes is how many labels a time axis has at most.
const mostTimes = 5

// timeTicks are round times between two, in UTC: hours, days, weeks, months or
// years, whichever are few enough. A time in which nothing round falls, as in a
// history of a minute, has its beginning as the only tick.
func timeTicks(from, until time.Time) []timeTick {
	from, until = from.UTC(), until.UTC()
	step := stepFor(float64(until.Unix()) - float64(from.Unix()))
	ticks := step.between(from, until)
	if len(ticks) == 0 {
		return []timeTick{{from, from.Format("2 Jan 2006")}}
	}
	return ticks
}

// stepFor is the smallest step of which not too many go into so many seconds.
func stepFor(seconds float64) timeStep {
	for _, s := range timeSteps() {
		if s.seconds*mostTimes >= seconds {
			return s
		}
	}
	return timeStep{months: 12 * int(round(seconds/mostTimes/year)), format: "2006"}
}

const (
	hour  = 3600.0
	month = 30.4 * 24 * hour
	year  = 365.25 * 24 * hour
)

// timeStep is a distance of ticks: months, or else days, or else hours.
type timeStep struct {
	seconds             float64 // about
	months, days, hours int
	format              string
}

func timeSteps() []timeStep {
	var all []timeStep
	for _, n := range []int{1, 2, 3, 6, 12} {
		all = append(all, timeStep{seconds: float64(n) * hour, hours: n, format: "15:04"})
	}
	for _, n := range []int{1, 2, 7, 14} {
		all = append(all, timeStep{seconds: float64(n) * 24 * hour, days: n, format: "2 Jan"})
	}
	for _, n := range []int{1, 2, 3, 6} {
		all = append(all, timeStep{seconds: float64(n) * month, months: n, format: "Jan 2006"})
	}
	for _, n := range []int{1, 2, 5} {
		all = append(all, timeStep{seconds: float64(n) * year, months: 12 * n, format: "2006"})
	}
	return all
}

// between are the ticks of a step. There are never more than a few, whatever the
// times are.
func (s timeStep) between(from, until time.Time) []timeTick {
	at := s.first(from)
	var ticks []timeTick
	for range 4 * mostTimes {
		if at.After(until) {
			break
		}
		if !at.Before(from) {
			ticks = append(ticks, timeTick{at, at.Format(s.format)})
		}
		next := s.next(at)
		if !next.After(at) {
			break
		}
		at = next
	}
	return ticks
}

// first is a round time not after from. Weeks begin on Monday.
func (s timeStep) first(from time.Time) time.Time {
	y, m, d := from.Date()
	switch {
	case s.months > 0:
		months := y*12 + int(m) - 1
		months -= ((months % s.months) + s.months) % s.months
		return time.Date(0, time.Month(months+1), 1, 0, 0, 0, 0, time.UTC)
	case s.days%7 == 0 && s.days > 0:
		return time.Date(y, m, d-(int(from.Weekday())+6)%7, 0, 0, 0, 0, time.UTC)
	case s.days > 0:
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	default:
		return time.Date(y, m, d, from.Hour()/s.hours*s.hours, 0, 0, 0, time.UTC)
	}
}

func (s timeStep) next(t time.Time) time.Time {
	if s.months > 0 || s.days > 0 {
		return t.AddDate(0, s.months, s.days)
	}
	return t.Add(time.Duration(s.hours) * time.Hour)
}
