package badge

import "math"

// textWidth is how wide a text is in Verdana at 11 units. Other fonts are fitted to
// it by textLength, so that it need not be exact for them.
func textWidth(s string) float64 {
	const perEm, size = 2048, 11
	units := 0
	for _, r := range s {
		units += advance(r)
	}
	// At least one unit: a textLength of 0 is an error to some readers.
	return math.Max(1, math.Round(10*float64(units)*size/perEm)/10)
}

// advance is the width of a character in Verdana, in 2048ths of an em. What Verdana
// does not have is taken to be as wide as the em in scripts that are, and as a digit
// otherwise.
func advance(r rune) int {
	switch {
	case r >= ' ' && r <= '~':
		return ascii()[r-' ']
	case r >= 0x1100:
		return 2048
	default:
		return 1302
	}
}

// ascii are the widths from the space to the tilde.
func ascii() [95]int {
	return [95]int{
		720, 806, 940, 1676, 1302, 2204, 1488, 550, 930, 930, 1302, 1676, 745, 930, 745, 930, // space to /
		1302, 1302, 1302, 1302, 1302, 1302, 1302, 1302, 1302, 1302, // digits
		930, 930, 1676, 1676, 1676, 1117, 2048, // : to @
		1400, 1404, 1430, 1578, 1295, 1177, 1588, 1539, 862, 931, 1419, 1140, 1726, // A to M
		1532, 1612, 1235, 1612, 1424, 1400, 1262, 1499, 1400, 2025, 1403, 1260, 1403, // N to Z
		930, 930, 930, 1676, 1302, 1302, // [ to `
		1230, 1276, 1067, 1276, 1220, 720, 1276, 1296, 562, 705, 1212, 562, 1992, // a to m
		1296, 1243, 1276, 1276, 874, 1067, 807, 1296, 1212, 1676, 1212, 1212, 1076, // n to z
		1300, 930, 1300, 1676, // { to ~
	}
}
