package convert

import (
	"bytes"
	"encoding/csv"
	"strings"
)

// table writes the packages, a row for each of their purls. Files that have none are left
// out.
func (g *graph) table() []byte {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	row := func(cells ...string) {
		for i := range cells {
			cells[i] = cell(cells[i])
		}
		_ = w.Write(cells) // a buffer takes everything
	}
	row("name", "version", "type", "purl", "licences", "hashes")
	for _, p := range g.parts {
		if p.kind == "file" && len(p.purls) == 0 {
			continue
		}
		var hashes []string
		for _, h := range p.hashes {
			hashes = append(hashes, h.algorithm+":"+h.value)
		}
		purls := p.purls
		if len(purls) == 0 {
			purls = []string{""}
		}
		for _, purl := range purls {
			row(p.name, p.version, p.kind, purl, strings.Join(p.words(), "; "), strings.Join(hashes, " "))
		}
	}
	w.Flush()
	return out.Bytes()
}

// cell keeps a spreadsheet from running what a document says as a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
