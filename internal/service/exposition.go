package service

import (
	"strconv"
	"strings"
)

// expositionType is the content type of the text format that Prometheus
// scrapes, see
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format.
const expositionType = "text/plain; version=0.0.4; charset=utf-8"

// Kinds of metrics in the text format.
const (
	counter = "counter"
	gauge   = "gauge"
)

// exposition is metrics in the text format, family by family.
type exposition struct {
	text   []byte
	metric string // name of the family that was begun last
}

// family begins a family of samples. help is one line.
func (e *exposition) family(name, kind, help string) {
	e.metric = name
	e.text = append(e.text, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

// sample adds a sample of the family. suffix is "" except in histograms; labels
// are names and values in turn.
func (e *exposition) sample(suffix string, value float64, labels ...string) {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	e.text = append(e.text, e.metric+suffix...)
	separator := byte('{')
	for i := 0; i+1 < len(labels); i += 2 {
		e.text = append(e.text, separator)
		e.text = append(e.text, labels[i]+`="`+escape.Replace(strings.ToValidUTF8(labels[i+1], "�"))+`"`...)
		separator = ','
	}
	if len(labels) > 0 {
		e.text = append(e.text, '}')
	}
	e.text = append(e.text, " "+number(value)+"\n"...)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
