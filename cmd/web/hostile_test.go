package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/api/apitest"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

var seed = flag.Uint64("hostile.seed", 1, "what the hostile requests are made from")

const hooksSecret = "s3cret.s3cret.s3cret.s3cret."

// target is the whole of web on a store that has something in it, with the operations that
// it is asked for.
type target struct {
	site  http.Handler
	token string // of an operator, with all scopes
	calls []apitest.Call
	log   *output
}

// newTarget fills the store at a URL with a small fleet, and reads from the answers of web
// what it knows something of.
func newTarget(t testing.TB, url string) *target {
	t.Helper()
	s := &target{log: new(output)}
	log := zerolog.New(s.log).Level(zerolog.WarnLevel)
	b := assembledWith(t, log, "TALLYMAN_DATABASE_URL="+url, "TALLYMAN_HOOKS_SECRET="+hooksSecret)
	fill(t, b.store)
	s.site, s.token = served(b, log), b.token(t, access.Operator, grant.Scopes()...)
	known := s.learn(t)
	var err error
	s.calls, err = apitest.Calls(b.api.OpenAPI(), func(path, name string) []string {
		if of := known[path+" "+name]; of != nil {
			return of
		}
		return known[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	s.learnCursors(t)
	return s
}

// fill keeps a fleet, and beside it an image without papers, of which an SBOM may be handed
// in.
func fill(t testing.TB, s *store.Store) {
	t.Helper()
	const bare = "registry.example/team9/bare"
	fleet := tallytest.NewFleet(2, 12, 40, time.Now().Add(-13*time.Hour))
	if err := fleet.Keep(t.Context(), s, 60); err != nil {
		t.Fatal(err)
	}
	if err := s.Watch(t.Context(), append(fleet.Repositories, bare), time.Hour); err != nil {
		t.Fatal(err)
	}
	image, _ := fleet.Fleet.Image(bare, 1, time.Now())
	tags := make(map[string]release.Digest)
	for i := range 6 { // as many as the others have, so that it is met with
		tags[fmt.Sprintf("v1.%d.0", i)] = image.Digest
	}
	look := release.Look{Repository: bare, At: time.Now(), Outcome: release.OutcomeComplete}
	if _, err := s.RecordLook(t.Context(), look, release.Sighting{Images: []release.Image{image}, Tags: tags}); err != nil {
		t.Fatal(err)
	}
}

// read is what is answered to GET, decoded.
func (s *target) read(t testing.TB, path string) map[string]any {
	t.Helper()
	w := httptest.NewRecorder()
	s.ask(httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody), w)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: got %d %s (%v)", path, w.Code, w.Body, err)
	}
	return body
}

// ask asks as an operator.
func (s *target) ask(r *http.Request, w http.ResponseWriter) {
	r.Header.Set("Authorization", s.token)
	s.site.ServeHTTP(w, r)
}

// texts are the members of that name of a list's items.
func texts(t testing.TB, list map[string]any, member string) []string {
	t.Helper()
	items, _ := list["items"].([]any)
	var all []string
	for _, item := range items {
		object, _ := item.(map[string]any)
		if text := fmt.Sprint(object[member]); object[member] != nil {
			all = append(all, text)
		}
	}
	if len(all) == 0 {
		t.Fatalf("no %s in %v", member, list)
	}
	return all
}

// learn returns values that the store knows something of, by the name of a parameter, and
// by path and name where others mean another thing by that.
func (s *target) learn(t testing.TB) map[string][]string {
	t.Helper()
	const base = wire.Base
	known := make(map[string][]string)
	for _, repository := range texts(t, s.read(t, base+"/components"), "repository") {
		known["repository"] = append(known["repository"], wire.Segment(repository))
		known[base+"/atom/releases repository"] = append(known[base+"/atom/releases repository"], repository)
	}
	releases := s.read(t, base+"/releases?limit=8")
	images := texts(t, releases, "digest")
	known["name"] = append(texts(t, releases, "version"), images...)
	known["from"], known["release"] = texts(t, releases, "id"), texts(t, releases, "id")
	known["to"] = known["from"]
	documents := s.read(t, base+"/components/"+known["repository"][0]+"/releases/v1.0.0/documents")
	known[base+"/documents/{digest} digest"] = texts(t, documents, "digest")
	known["subject"] = texts(t, documents, "subject")
	known[base+"/verdicts/{digest} digest"] = append(images, known["subject"]...)
	known["id"] = texts(t, s.read(t, base+"/advisories?found=true&limit=8"), "id")
	known["q"] = append([]string{"example.com/team1/module1@>=1", known["from"][0]}, known["id"]...)
	known["text"], known["platform"], known["licence"] = []string{"module"}, []string{"linux/amd64", "linux/arm64"}, []string{"MIT"}
	for i := range 8 {
		known[base+"/waves/{id} id"] = append(known[base+"/waves/{id} id"], fmt.Sprint(i+1))
	}
	return known
}

// learnCursors adds, to each operation that goes on, where it would do so.
func (s *target) learnCursors(t testing.TB) {
	t.Helper()
	found := 0
	for i := range s.calls {
		c := &s.calls[i]
		for number := range 8 {
			r := c.Request(t.Context(), slices.Repeat([]byte{byte(4 * number)}, len(c.Parameters)), "", nil)
			query := r.URL.Query()
			for _, p := range c.Parameters {
				if strings.HasSuffix(p.Name, "cursor") || p.In == "query" && !slices.Contains([]string{"q", "limit"}, p.Name) {
					query.Del(p.Name)
				}
			}
			query.Set("limit", "1")
			r.URL.RawQuery = query.Encode()
			r.Header = make(http.Header)
			w := httptest.NewRecorder()
			if c.Method == http.MethodGet {
				s.ask(r, w)
			}
			var body map[string]any
			if json.Unmarshal(w.Body.Bytes(), &body) != nil {
				continue
			}
			for j := range c.Parameters {
				p := &c.Parameters[j]
				next := strings.TrimSuffix(p.Name, "cursor") + "next"
				if cursor, ok := body[next].(string); ok && strings.HasSuffix(p.Name, "cursor") {
					p.Good = append(p.Good, cursor)
					found++
				}
			}
		}
	}
	if found == 0 {
		t.Fatal("no list goes on")
	}
}

// answers asks for an operation, and checks what is answered.
func (s *target) answers(t testing.TB, c *apitest.Call, made *request) *httptest.ResponseRecorder {
	t.Helper()
	r := c.Request(t.Context(), made.choices, made.hostile, made.body)
	r.Header.Set("Authorization", s.token)
	if strings.Contains(c.Path, "/hooks/") {
		r.Header.Set("Authorization", "Bearer "+hooksSecret)
	}
	w := httptest.NewRecorder()
	s.site.ServeHTTP(w, r)
	if err := c.Check(r, w); err != nil {
		t.Error(err)
	}
	r.Header.Del("Authorization") // a secret, of which the validator needs none
	apitest.Record(t, r, made.body, w)
	return w
}

// sbom is a document that is taken.
func sbom() []byte { return storetest.SPDX("web", storetest.NewFleet(1, 20, 5).Packages(1)) }

// bodies are what is sent, beside what is made up.
func bodies() []string {
	return []string{
		string(sbom()), "", "null", "{", strings.Repeat("[", 20_000), `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"` + strings.Repeat("a", 5000) + `","purl":"pkg:golang/a@1"}]}`,
		`{"spdxVersion":"SPDX-2.3","packages":[{"name":"\u0000"}]}`,
		`{"action":"published","package":{"name":"service0","namespace":"team0","package_type":"CONTAINER"}}`,
		`{"events":[{"action":"push","target":{"repository":"team0/service0","digest":"sha256:x"},"request":{"host":"registry.example"}}]}`,
	}
}

// request is what one is made from.
type request struct {
	choices []byte
	hostile string
	body    []byte
}

func anyByte(random *rand.Rand) byte {
	return byte(random.UintN(256)) //nolint:gosec // below 256
}

// decent is a request with values that are good.
func decent(random *rand.Rand, c *apitest.Call) request {
	r := request{choices: make([]byte, len(c.Parameters))}
	for i := range r.choices {
		r.choices[i] = anyByte(random) &^ 3
	}
	if len(c.Media) > 0 {
		r.body = sbom()
	}
	return r
}

// indecent is a request of which a parameter of that number, if there is one, has a value
// that is not good, and others may.
func indecent(random *rand.Rand, c *apitest.Call, number int) request {
	texts, sent := apitest.Hostile(), bodies()
	r := decent(random, c)
	r.hostile = texts[random.IntN(len(texts))]
	if random.UintN(8) == 0 {
		r.hostile += texts[random.IntN(len(texts))]
	}
	for i := range r.choices {
		if i == number {
			r.choices[i] |= 2 | anyByte(random)&1
		} else if random.UintN(8) == 0 {
			r.choices[i] = anyByte(random)
		}
	}
	if random.UintN(16) == 0 {
		r.choices = append(r.choices, 1) // a query that is none
	}
	if len(c.Media) > 0 || random.UintN(8) == 0 {
		r.body = []byte(sent[random.IntN(len(sent))])
	}
	if r.body != nil && random.UintN(4) == 0 {
		r.body = make([]byte, random.IntN(200))
		for i := range r.body {
			r.body[i] = anyByte(random)
		}
	}
	return r
}

func TestNoRequestMakesWebFailOnARealStore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := newTarget(t, url)
		t.Logf("made from -hostile.seed=%d", *seed)
		random := rand.New(rand.NewPCG(*seed, 0)) //nolint:gosec // not for secrets
		for i := range s.calls {
			c, succeeded := &s.calls[i], 0
			for tries := 0; tries < 5 || tries < 500 && succeeded == 0; tries++ {
				r := decent(random, c)
				if w := s.answers(t, c, &r); w.Code < http.StatusBadRequest {
					succeeded++
				}
			}
			for range 5 {
				for number := range len(c.Parameters) + 1 {
					r := indecent(random, c, number)
					s.answers(t, c, &r)
				}
			}
			// The fleet has neither VEX documents nor receipts nor dossiers; of everything else, whoever
			// knocks with nonsense alone sees nothing of what is behind the door.
			behind := !strings.HasSuffix(c.Path, "/vex") && !strings.HasSuffix(c.Path, "/receipt") && !strings.HasSuffix(c.Path, "/dossier")
			if behind && succeeded == 0 {
				t.Errorf("%s %s: no request succeeded", c.Method, c.Path)
			}
		}
		s.quiet(t)
	})
}

// quiet wants nothing to have failed, and nobody to have panicked.
func (s *target) quiet(t testing.TB) {
	t.Helper()
	if log := s.log.String(); strings.Contains(log, `"level":"error"`) {
		t.Errorf("in the log:\n%.5000s", log)
	}
}

// FuzzWeb makes requests as [TestNoRequestMakesWebFailOnARealStore] does, on SQLite.
func FuzzWeb(f *testing.F) {
	s := newTarget(f, storetest.SQLite(f))
	for i := range s.calls {
		f.Add(uint8(i), []byte{0, 4, 8, 12}, "", sbom())
	}
	f.Fuzz(func(t *testing.T, number uint8, choices []byte, hostile string, body []byte) {
		s.answers(t, &s.calls[int(number)%len(s.calls)], &request{choices, hostile, body})
		s.quiet(t)
	})
}
