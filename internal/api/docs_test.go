package api_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// TestTheCommandsOfTheDocumentationWork asks for what docs/api.md asks for, of the tally
// of the tests.
func TestTheCommandsOfTheDocumentationWork(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, &memory{})
	commands := regexp.MustCompile(`(?m)^    tally (.*)$`).FindAllStringSubmatch(string(text), -1)
	if len(commands) < 15 {
		t.Fatalf("got %d commands, want all", len(commands))
	}
	address := regexp.MustCompile(`"([^"]*)"`)
	data := regexp.MustCompile(`(?:-d|--data-urlencode) '?([^' ]+)'?`)
	for _, c := range commands {
		command := c[1]
		path := address.FindStringSubmatch(command)[1]
		path = strings.NewReplacer("$R", "$TALLYMAN_URL/api/v1/components/ghcr.io~acme~web/releases/v1.4.0").Replace(path)
		path = strings.NewReplacer("$TALLYMAN_URL", "", "v1.4.0", "v1.1.0", "v1.3.0", "v1.0.0", "sha256:…", string(storetest.DigestOf("v1.0.0"))).Replace(path)
		separator := "?"
		for _, d := range data.FindAllStringSubmatch(command, -1) {
			path += separator + strings.NewReplacer("v1.4.0", "v1.1.0", "v1.3.0", "v1.0.0", "<", "%3C").Replace(d[1])
			separator = "&"
		}
		method, body, want := http.MethodGet, []byte(nil), http.StatusOK
		var headers []string
		if strings.Contains(command, "-X POST") {
			method, want = http.MethodPost, http.StatusAccepted
		}
		if strings.Contains(command, "--data-binary") {
			// The release of the tests without a verified SBOM.
			method, body, want, path = http.MethodPost, spdx, http.StatusAccepted, strings.Replace(path, "v1.1.0", "v1.2.0", 1)
			headers = []string{"Content-Type", "application/spdx+json"}
		}
		if w := s.do(t, method, path, body, headers...); w.Code != want {
			t.Errorf("%s: %s %s: got %d %s, want %d", command, method, path, w.Code, w.Body, want)
		}
	}
}
