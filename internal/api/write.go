package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// How long an answer may be used without asking again. It is nobody else's: what may be
// read depends on who reads.
const (
	cacheAsk   = "private, no-cache"
	cacheShort = "private, max-age=10"
	cacheEver  = "private, max-age=31536000, immutable"
	cacheNever = "no-store"
)

// readTimeout bounds how long an answer waits for the store.
const readTimeout = 10 * time.Second

// handler answers one operation.
func (a *API) handler(o *operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		input, mistakes := o.bind(r)
		if len(mistakes) > 0 {
			writeProblem(w, r, invalid(mistakes...))
			return
		}
		if l, ok := input.(located); ok {
			origin := a.origin(r)
			l.locate(origin+r.URL.RequestURI(), origin)
		}
		if p := o.receive(w, r, input); p != nil {
			writeProblem(w, r, p)
			return
		}
		// From here on, so that a slow body does not use up the time for the store.
		ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
		defer cancel()
		got, err := o.call(a, ctx, input)
		if err != nil {
			if p := a.problemOf(ctx, o.id, err); p != nil {
				writeProblem(w, r, p)
			}
			return
		}
		if o.counts() {
			if err := a.stampAge(ctx, w.Header()); err != nil {
				if p := a.problemOf(ctx, o.id, err); p != nil {
					writeProblem(w, r, p)
				}
				return
			}
		}
		o.write(w, r, got)
	})
}

// asOfHeader says of which time the advisory data are that an answer counts with: when
// the oldest feed was last known to be complete (RFC 3339), or unknown.
const asOfHeader = "Advisory-Data-As-Of"

// counts reports whether an answer has counts of findings, or findings.
func (o *operation) counts() bool {
	switch o.tag {
	case "components", "releases", "findings", "packages", "search", "verdicts", "advisories", "activity", "badges", "feeds":
		return o.method == http.MethodGet
	default:
		return false
	}
}

func (a *API) stampAge(ctx context.Context, h http.Header) error {
	asOf, err := a.asOf(ctx)
	h.Set(asOfHeader, asOf)
	return err
}

// unknownAge stands where the age of advisory data is not known.
const unknownAge = "unknown"

// asOf is of which time the advisory data are.
func (a *API) asOf(ctx context.Context) (string, error) {
	data, err := a.cfg.Store.AdvisoryData(ctx)
	if err != nil || data.Oldest.IsZero() {
		return unknownAge, err
	}
	return data.Oldest.UTC().Format(time.RFC3339), nil
}

// write sends the answer, or says that the client has it already (RFC 9110, 13.1.2).
func (o *operation) write(w http.ResponseWriter, r *http.Request, got *answer) {
	h := w.Header()
	body, media := got.raw, got.media
	if got.body != nil {
		body, media = encode(got.body), "application/json"
	}
	h.Set("Content-Type", media)
	h.Set("Vary", "Authorization, Cookie")
	h.Set("Cache-Control", o.cache)
	if o.cache == "" {
		h.Set("Cache-Control", cacheAsk)
	}
	if o.method != http.MethodGet {
		h.Set("Cache-Control", cacheNever)
	}
	if got.next != nil && o.paged {
		h.Set("Link", "<"+nextURL(r.URL, *got.next)+`>; rel="next"`)
	}
	if o.embedded {
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	if got.location != "" {
		h.Set("Location", got.location)
	}
	if got.filename != "" {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": got.filename}))
	}
	if o.method == http.MethodGet && o.cache != cacheNever {
		etag := `"` + got.etag + `"`
		if got.etag == "" {
			sum := sha256.Sum256(body)
			etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
		}
		h.Set("ETag", etag)
		if matches(r.Header.Values("If-None-Match"), etag) {
			h.Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if got.stream != nil {
		got.stream.send(w, r, o.success())
		return
	}
	send(w, r, o.success(), body)
}

// send writes the body, which HEAD leaves out.
func send(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", itoa(len(body)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		zerolog.Ctx(r.Context()).Debug().Err(err).Msg("answer not written")
	}
}

func writeProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	told := *p
	told.Instance = w.Header().Get("X-Request-Id")
	h := w.Header()
	h.Set("Content-Type", problemType)
	h.Set("Cache-Control", cacheNever)
	if p.retryAfter > 0 {
		h.Set("Retry-After", itoa(p.retryAfter))
	}
	send(w, r, p.Status, encode(&told))
}

// encode encodes one of our own types, which can all be encoded.
func encode(body any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		panic("api: encode answer: " + err.Error())
	}
	return b.Bytes()
}

// matches compares an entity tag with those of If-None-Match, weakly.
func matches(headers []string, etag string) bool {
	for tag := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || tag == etag {
			return true
		}
	}
	return false
}

// nextURL is the URL of the request with another cursor, without a host: who asked knows
// it better than we do behind a proxy.
func nextURL(asked *url.URL, cursor string) string {
	query := asked.Query()
	query.Set("cursor", cursor)
	next := url.URL{Path: asked.Path, RawPath: asked.RawPath, RawQuery: query.Encode()}
	return next.String()
}
