package openapi

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/pb33f/jsonschema/v6"
)

// sarifSchema is that of OASIS: see testdata/NOTICE.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	file, err := os.Open("testdata/sarif-schema-2.1.0.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jsonschema.UnmarshalJSON(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	const name = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(name, raw); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// followsSARIF validates every export of findings that was answered, and that the validator
// would notice one that is wrong.
func followsSARIF(t *testing.T, exchanges []exchange) {
	t.Helper()
	schema, valid := sarifSchema(t), 0
	validate := func(content []byte) error {
		log, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
		if err != nil {
			return err
		}
		return schema.Validate(log)
	}
	for i := range exchanges {
		e := &exchanges[i]
		if e.Status != http.StatusOK || e.Method != http.MethodGet || !strings.HasPrefix(e.Answer.Get("Content-Type"), "application/sarif+json") {
			continue
		}
		valid++
		if err := validate(e.Received); err != nil {
			t.Errorf("%s: %s is no SARIF 2.1.0: %v", e.Test, e.URL, err)
		}
		for _, wrong := range [][2]string{{`"version":"2.1.0"`, `"version":"2.0.0"`}, {`"executionSuccessful"`, `"successful"`}, {`"uri":"`, `"uri":"::`}} {
			if !bytes.Contains(e.Received, []byte(wrong[0])) {
				continue
			}
			if validate(bytes.Replace(e.Received, []byte(wrong[0]), []byte(wrong[1]), 1)) == nil {
				t.Errorf("%s: %s for %s is let pass", e.URL, wrong[1], wrong[0])
			}
		}
	}
	// With findings and with none known, of a store in memory and of real ones.
	if valid < 4 {
		t.Errorf("got %d exports as SARIF, want at least 4", valid)
	}
}
