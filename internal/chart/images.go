package chart

import (
	"fmt"
	"slices"

	"github.com/a-h/templ"
)

// Image is the sizes of the image of a release.
type Image struct {
	Version string
	Sizes   []Size
}

// Size is how large the image is for a platform.
type Size struct {
	Platform string // as in linux/arm64
	Bytes    Value
}

// mostSeries is how many platforms can be told apart by colour and fill.
const mostSeries = 4

// ImageSize draws a group of bars for each release, the oldest first: one for each
// platform. A release that has no image for a platform has no bar there; one whose
// size is not known has a mark.
func ImageSize(about About, images []Image) templ.Component {
	f := figure{About: about, height: plotHeight + 22}
	f.table = imageTable(images)
	if len(f.table.rows) == 0 {
		f.nothing = "No image to draw yet. Sizes are read from the manifests of a release."
		return f.component()
	}
	all := platforms(images)
	series := all[:min(len(all), mostSeries)]
	drawn := latest(images, mostColumns/len(series))
	f.says = sayImages(images) + leftOut(len(images), len(drawn), "release", "releases")
	if more := len(all) - len(series); more > 0 {
		f.says += fmt.Sprintf(" Of %d platforms %d are drawn; all are in the table.", len(all), len(series))
	}
	var values []Value
	labels := make([]string, len(drawn))
	for i, image := range drawn {
		labels[i] = image.Version
		for _, s := range image.Sizes {
			if slices.Contains(series, s.Platform) {
				values = append(values, s.Bytes)
			}
		}
	}
	most, known := largest(values...)
	a := byteAxis(most)
	if known == 0 {
		a = a.bare()
	}
	for i, p := range series {
		f.legend = append(f.legend, key{seriesClass(i), clean(p, 24)})
	}
	if known < len(values) {
		f.legend = append(f.legend, key{"chart-unknown", "unknown"})
	}
	f.draw = func(c *canvas) {
		k := newColumns(newPlot(c, a), len(drawn), 24*float64(len(series)))
		k.grid(c)
		for i, image := range drawn {
			image.draw(c, k, i, series)
		}
		k.base(c)
		k.names(c, labels)
		if known == 0 {
			k.remark(c, "no size is known")
		}
	}
	return f.component()
}

func seriesClass(i int) string { return fmt.Sprintf("chart-series-%d", i+1) }

func (m Image) draw(c *canvas, k columns, i int, series []string) {
	one := columns{plot: k.plot, bar: k.bar / float64(len(series))}
	for _, s := range m.Sizes {
		at := slices.Index(series, s.Platform)
		if at < 0 {
			continue
		}
		c.start("g")
		c.leaf("title", clean(m.Version, longestName)+", "+clean(s.Platform, longestName)+": "+s.Bytes.text(roughly))
		x := k.x(i) + one.bar*float64(at)
		if s.Bytes.known {
			y := min(k.y(s.Bytes.float()), k.bottom-1.5)
			c.rect(seriesClass(at), x, y, one.bar, k.bottom-y)
		} else {
			one.gap(c, x, one.bar)
		}
		c.end()
	}
}

// platforms are those of all images: those of the latest first, in its order, since
// these are the ones that somebody could pull today.
func platforms(images []Image) []string {
	var all []string
	for _, image := range slices.Backward(images) {
		for _, s := range image.Sizes {
			if !slices.Contains(all, s.Platform) {
				all = append(all, s.Platform)
			}
		}
	}
	return all
}

func sayImages(images []Image) string {
	last := images[len(images)-1]
	s := clean(last.Version, longestName) + ", the latest: "
	if len(last.Sizes) == 0 {
		return s + "no image of which the size is stated."
	}
	for i, size := range last.Sizes[:min(len(last.Sizes), mostSeries)] {
		if i > 0 {
			s += ", "
		}
		s += clean(size.Platform, longestName) + " " + size.Bytes.text(roughly)
	}
	return s + "."
}

// roughly is a size in its unit.
func roughly(n int64) string { return short(float64(n), 1000, " ") + "B" }

func imageTable(images []Image) table {
	t := table{head: []heading{{"Release", false}, {"Platform", false}, {"Size", true}}}
	var reasons []string
	for _, image := range images {
		for _, s := range image.Sizes {
			t.rows = append(t.rows, []string{image.Version, s.Platform, s.Bytes.text(inBytes)})
			reasons = append(reasons, whys(s.Bytes))
		}
	}
	return t.withReasons(reasons)
}

// inBytes is a size in full.
func inBytes(n int64) string { return count(n) + " B" }
