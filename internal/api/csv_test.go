package api_test

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"strings"
	"testing"
)

// RFC 4180: CRLF, as many fields in each record as in the header, and nothing that a
// spreadsheet would run.
func TestExportsAreCSVThatNoSpreadsheetRuns(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	for path, hostile := range map[string][]string{
		of11 + "/findings.csv": {"'=cmd|' /C calc'!A0 <script>alert(1)</script>", "'@b", "'-1"}, of11 + "/packages.csv": {"'=b,\"c\"\n"},
		of12 + "/findings.csv": nil, of12 + "/packages.csv": nil,
	} {
		body := s.do(t, http.MethodGet, path, nil).Body.Bytes()
		if bare := bytes.Count(body, []byte("\n")) - bytes.Count(body, []byte("\r\n")); bare > 0 || !bytes.HasSuffix(body, []byte("\r\n")) {
			t.Errorf("%s: got %d records that do not end with CRLF:\n%q", path, bare, body)
		}
		r := csv.NewReader(bytes.NewReader(body)) // it demands as many fields as the header has
		records, err := r.ReadAll()
		if err != nil || len(records) < 2 {
			t.Fatalf("%s: got %d records and %v", path, len(records), err)
		}
		var cells string
		for _, record := range records[1:] {
			cells += "\x00" + strings.Join(record, "\x00")
			for _, cell := range record {
				if strings.IndexAny(cell, "=+-@\t\r") == 0 {
					t.Errorf("%s: a spreadsheet would run %q", path, cell)
				}
			}
		}
		for _, want := range hostile {
			if !strings.Contains(cells, want) {
				t.Errorf("%s: want %q in it, found %q", path, want, records)
			}
		}
	}
}
