package pipeline_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/tallyman-io/tallyman/e2e/workbench"
	"github.com/tallyman-io/tallyman/internal/release"
)

// consoleVerdict asks the API of the console about an image, as admission does.
func consoleVerdict(t *testing.T, console workbench.Console, digest release.Digest) verdict {
	t.Helper()
	url := "http://" + console.Address + "/api/v1/verdicts/" + string(digest)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+console.Token)
	response, err := (&http.Client{Timeout: patience}).Do(request)
	must(t, err)
	defer response.Body.Close()
	var said struct {
		Digest  release.Digest
		Result  release.Result
		Reasons []struct {
			Rule   string
			Result release.Result
		}
		Counts struct {
			Critical, High, Medium, Low, Unscored, Suppressed, Packages *int
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil || response.StatusCode != http.StatusOK || said.Digest != digest {
		t.Fatalf("%s: got %s, %v, a verdict on %q", url, response.Status, err, said.Digest)
	}
	v := verdict{Result: said.Result, Rules: make(map[string]release.Result)}
	for _, r := range said.Reasons {
		v.Rules[r.Rule] = r.Result
	}
	c := said.Counts
	v.Known = c.Critical != nil
	for _, count := range []struct{ to, from *int }{
		{&v.Critical, c.Critical},
		{&v.High, c.High},
		{&v.Medium, c.Medium},
		{&v.Low, c.Low},
		{&v.Unscored, c.Unscored},
		{&v.Suppressed, c.Suppressed},
		{&v.Packages, c.Packages},
	} {
		if count.from != nil {
			*count.to = *count.from
		} else if v.Known {
			t.Errorf("%s: got counts %s, want none of them null where one is known", url, fmt.Sprintf("%+v", c))
		}
	}
	return v
}
