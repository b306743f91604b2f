package api

import (
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// bind reads the parameters of a request into a new input, and returns everything that
// is wrong with them. Parameters that the operation does not have are wrong too: one that
// is misspelt must not be taken for one that is left out.
func (o *operation) bind(r *http.Request) (any, []mistake) {
	input := reflect.New(o.input)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, []mistake{{"query", "name=value pairs, percent-encoded", quoted(r.URL.RawQuery)}}
	}
	var mistakes []mistake
	for i := range o.params {
		p := &o.params[i]
		value := r.PathValue(p.Name)
		if p.In == "query" {
			values := query[p.Name]
			delete(query, p.Name)
			if len(values) > 1 {
				mistakes = append(mistakes, *p.wrong("it once", strconv.Itoa(len(values))+" times"))
				continue
			}
			value = strings.Join(values, "")
		}
		if wrong := p.set(input.Elem().FieldByIndex(p.field), value); wrong != nil {
			mistakes = append(mistakes, *wrong)
		}
	}
	for name := range query {
		mistakes = append(mistakes, mistake{"query." + short(name), "a parameter that the operation has", "another"})
	}
	return input.Interface(), mistakes
}

func short(text string) string {
	const most = 60
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func itoa(n int) string { return strconv.Itoa(n) }
