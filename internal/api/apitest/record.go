// Package apitest makes requests of every kind from the API's OpenAPI document, and checks
// their answers. It writes down what tests ask and are answered, so that e2e/openapi, a
// module of its own, can hold all of it against that document.
package apitest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

// Exchange is a request with its answer.
type Exchange struct {
	Test     string      `json:"test"`
	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Header   http.Header `json:"header"`
	Body     []byte      `json:"body"`
	Status   int         `json:"status"`
	Answer   http.Header `json:"answer_header"`
	Received []byte      `json:"answer_body"`
}

// Variable names the folder to write to. Without it nothing is written.
const Variable = "TALLYMAN_API_EXCHANGES"

// Record writes down a request and its answer.
func Record(t testing.TB, r *http.Request, body []byte, w *httptest.ResponseRecorder) {
	t.Helper()
	dir := os.Getenv(Variable)
	if dir == "" {
		return
	}
	file, err := os.CreateTemp(dir, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	err = json.NewEncoder(file).Encode(Exchange{t.Name(), r.Method, r.URL.RequestURI(), r.Header, body, w.Code, w.Header(), w.Body.Bytes()})
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}
