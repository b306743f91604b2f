package service

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// ExpositionType is the content type of the text format that Prometheus
// scrapes, see
// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format.
const ExpositionType = "text/plain; version=0.0.4; charset=utf-8"

// Kinds of metrics in the text format.
const (
	counter = "counter"
	gauge   = "gauge"
)

// Exposition is metrics in the text format, family by family. The zero value is empty.
type Exposition struct {
	text   []byte
	metric string // name of the family that was begun last
}

// Family begins a family of samples. kind is counter or gauge, help one line.
func (e *Exposition) Family(name, kind, help string) {
	e.metric = name
	e.text = append(e.text, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

// Sample adds a sample of the family that was begun last. labels are names and values
// in turn.
func (e *Exposition) Sample(value float64, labels ...string) { e.sample("", value, labels...) }

// Text is what was written.
func (e *Exposition) Text() []byte { return e.text }

// sample is [Exposition.Sample] with the suffix that histograms have.
func (e *Exposition) sample(suffix string, value float64, labels ...string) {
	e.text = append(append(e.text, e.metric...), suffix...)
	separator := byte('{')
	for i := 0; i+1 < len(labels); i += 2 {
		e.text = append(append(append(e.text, separator), labels[i]...), `="`...)
		e.text = append(appendEscaped(e.text, labels[i+1]), '"')
		separator = ','
	}
	if len(labels) > 0 {
		e.text = append(e.text, '}')
	}
	e.text = append(strconv.AppendFloat(append(e.text, ' '), value, 'g', -1, 64), '\n')
}

// appendEscaped appends the value of a label. Most have nothing to escape.
func appendEscaped(text []byte, value string) []byte {
	if !utf8.ValidString(value) {
		value = strings.ToValidUTF8(value, "�")
	}
	for {
		at := strings.IndexAny(value, "\\\"\n")
		if at < 0 {
			return append(text, value...)
		}
		text = append(append(text, value[:at]...), '\\')
		if value[at] == '\n' {
			text = append(text, 'n')
		} else {
			text = append(text, value[at])
		}
		value = value[at+1:]
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
