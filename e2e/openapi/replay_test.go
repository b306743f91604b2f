package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	invalid "github.com/pb33f/libopenapi-validator/errors"
)

// exchange is a request and its answer, as the tests of internal/api write them down.
type exchange struct {
	Test     string      `json:"test"`
	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Header   http.Header `json:"header"`
	Body     []byte      `json:"body"`
	Status   int         `json:"status"`
	Answer   http.Header `json:"answer_header"`
	Received []byte      `json:"answer_body"`
}

// recorded runs the tests of internal/api, what its fuzzer begins with among them, and those
// of web about whom it refuses. It returns what they asked and were answered, and the OpenAPI
// document.
func recorded(t *testing.T) (exchanges []exchange, document []byte) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "./internal/api", "./cmd/web")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "TALLYMAN_API_EXCHANGES="+dir, "GOFLAGS=-tags=nopgxregisterdefaulttypes,grpcnotrace")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tests of internal/api and cmd/web: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var e exchange
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		exchanges = append(exchanges, e)
	}
	if document, err = os.ReadFile(filepath.Join(dir, "openapi.document")); err != nil {
		t.Fatal(err)
	}
	return exchanges, document
}

func TestTheAPIIsAsItsDocumentSays(t *testing.T) {
	t.Parallel()
	exchanges, raw := recorded(t)
	document, err := libopenapi.NewDocument(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := document.GetVersion(); got != "3.1.0" {
		t.Errorf("version: got %s, want 3.1.0", got)
	}
	if v, errs := validator.NewValidator(document); len(errs) > 0 {
		t.Fatal(errs)
	} else if ok, errs := v.ValidateDocument(); !ok {
		t.Fatalf("the document is none:\n%s", told(errs))
	}
	if document, err = libopenapi.NewDocument(closed(t, raw)); err != nil {
		t.Fatal(err)
	}
	// Who may is another's matter: the tests have no guard before the API.
	v, errs := validator.NewValidator(document, config.WithFormatAssertions(), config.WithoutSecurityValidation())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	seen := covered(t, raw)
	replayed := seen.replay(t, v, exchanges)
	noticesWhatIsWrong(t, v, exchanges)
	t.Logf("%d exchanges replayed, of %d", replayed, len(exchanges))
	for operation, statuses := range seen {
		for status, times := range statuses {
			if times == 0 {
				t.Errorf("%s: never seen to answer %s, which it is said to", operation, status)
			}
		}
	}
	followsSARIF(t, exchanges)
}

// replay holds each exchange against the document, and returns how many it was about.
func (c coverage) replay(t *testing.T, v validator.Validator, exchanges []exchange) int {
	t.Helper()
	replayed := 0
	for i := range exchanges {
		e := &exchanges[i]
		if _, err := url.Parse(e.URL); err != nil {
			continue // what the fuzzer asked for no client can
		}
		ok, errs := e.answered(t, v)
		if !ok && undocumented(e, errs) {
			continue
		}
		replayed++
		if !ok {
			t.Errorf("%s: answer %d of %s %s:\n%s\n%.500s", e.Test, e.Status, e.Method, e.URL, told(errs), e.Received)
		}
		c.saw(e)
		if e.Status >= http.StatusBadRequest {
			continue // the request may well be wrong
		}
		if ok, errs := v.ValidateHttpRequest(withoutEmpty(e.request(t))); !ok {
			t.Errorf("%s: request %s %s:\n%s", e.Test, e.Method, e.URL, told(errs))
		}
	}
	return replayed
}

// noticesWhatIsWrong keeps a validator that accepts everything from passing for one.
func noticesWhatIsWrong(t *testing.T, v validator.Validator, exchanges []exchange) {
	t.Helper()
	for _, e := range exchanges {
		if e.Status != http.StatusOK || e.Method != http.MethodGet || !bytes.HasPrefix(e.Received, []byte(`{"items":`)) {
			continue
		}
		for name, wrong := range map[string][]byte{
			"a member too many": bytes.Replace(e.Received, []byte(`{"items":`), []byte(`{"more":1,"items":`), 1),
			"a list of null":    []byte(`{"items":null,"next":null,"total":null,"unknown_because":""}`),
			"a member too few":  []byte(`{"items":[],"next":null,"total":null}`),
		} {
			changed := e
			changed.Received = wrong
			if ok, _ := changed.answered(t, v); ok {
				t.Errorf("%s: %s is let pass", e.URL, name)
			}
		}
		return
	}
	t.Error("no list was asked for")
}

// closed is the document with all its schemas closed, so that a member of an answer that
// it does not know of shows. (The validator's strict mode takes the second reference to
// a schema for an empty one.)
func closed(t *testing.T, raw []byte) []byte {
	t.Helper()
	var document struct {
		Components map[string]map[string]map[string]any `json:"components"`
	}
	var whole map[string]any
	if err := errors.Join(json.Unmarshal(raw, &document), json.Unmarshal(raw, &whole)); err != nil {
		t.Fatal(err)
	}
	for _, schema := range document.Components["schemas"] {
		if schema["type"] == "object" {
			schema["additionalProperties"] = false
		}
	}
	whole["components"] = document.Components
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// undocumented are paths and methods that the API does not have: it answers them with a
// problem, of which its document has nothing to say.
func undocumented(e *exchange, errs []*invalid.ValidationError) bool {
	for _, err := range errs {
		// The validator does not go by the path as it is sent, which the API does.
		if strings.Contains(err.Message, "is ambiguous") {
			return true
		}
	}
	if e.Status != http.StatusNotFound && e.Status != http.StatusMethodNotAllowed && e.Status != http.StatusMovedPermanently && e.Status != http.StatusTemporaryRedirect {
		return false
	}
	for _, err := range errs {
		if err.ValidationType == "path" {
			return true
		}
	}
	return false
}

func told(errs []*invalid.ValidationError) string {
	var b strings.Builder
	for _, err := range errs {
		b.WriteString("  " + err.Message + ": " + err.Reason + "\n")
		for _, s := range err.SchemaValidationErrors {
			b.WriteString("    " + s.FieldPath + ": " + s.Reason + "\n")
		}
	}
	return b.String()
}

func (e *exchange) request(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), e.Method, "http://tally.example.com"+e.URL, bytes.NewReader(e.Body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range e.Header {
		r.Header[name] = values
	}
	return r
}

// withoutEmpty leaves out parameters without a value, as the API does.
func withoutEmpty(r *http.Request) *http.Request {
	query := r.URL.Query()
	for name, values := range query {
		if len(values) == 1 && values[0] == "" {
			query.Del(name)
		}
	}
	r.URL.RawQuery = query.Encode()
	return r
}

// answered validates the answer.
func (e *exchange) answered(t *testing.T, v validator.Validator) (bool, []*invalid.ValidationError) {
	t.Helper()
	r := e.request(t)
	answer := &http.Response{StatusCode: e.Status, Header: e.Answer, Body: io.NopCloser(bytes.NewReader(e.Received)), Request: r}
	defer answer.Body.Close()
	return v.ValidateHttpResponse(r, answer)
}

// coverage counts how often each operation was seen to answer with each status that the
// document says it may.
type coverage map[string]map[string]int

func covered(t *testing.T, raw []byte) coverage {
	t.Helper()
	var document struct {
		Paths map[string]map[string]struct{ Responses map[string]any }
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	c := make(coverage)
	for path, methods := range document.Paths {
		for method, operation := range methods {
			statuses := make(map[string]int)
			for status := range operation.Responses {
				statuses[status] = 0
			}
			c[strings.ToUpper(method)+" "+path] = statuses
		}
	}
	return c
}

func (c coverage) saw(e *exchange) {
	path, _, _ := strings.Cut(e.URL, "?")
	got := strings.Split(path, "/")
	for operation, statuses := range c {
		method, pattern, _ := strings.Cut(operation, " ")
		want := strings.Split(pattern, "/")
		fits := method == e.Method && len(want) == len(got)
		for i := 0; fits && i < len(want); i++ {
			fits = want[i] == got[i] || strings.HasPrefix(want[i], "{")
		}
		if fits {
			statuses[strconv.Itoa(e.Status)]++
		}
	}
}
