package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// receiver is an input that takes what was sent.
type receiver interface{ receive(content []byte) }

// sent is the part of an input that takes what was sent.
type sent struct{ content []byte }

func (s *sent) receive(content []byte) { s.content = content }

// maxBody bounds what may be sent, in bytes: the largest SBOM that is taken.
const maxBody = 32 << 20

// receive reads what was sent into the input. Operations that take nothing refuse a body,
// so that nobody believes that it counts.
func (o *operation) receive(w http.ResponseWriter, r *http.Request, input any) *problem {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if len(o.accepts) == 0 {
		if n, err := io.ReadFull(http.MaxBytesReader(w, r.Body, 1), make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
			return invalid(mistake{"body", "none", "one"})
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(o.accepts, media) {
		m := mistake{"header.Content-Type", strings.Join(o.accepts, " or "), quoted(r.Header.Get("Content-Type"))}
		p := newProblem(http.StatusUnsupportedMediaType, kindMedia, "Unsupported media type", m.Where+": expected "+m.Expected+", found "+m.Found, m)
		return p
	}
	if o.read != nil {
		return o.read(w, r, input)
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return tooLarge(maxBody)
		}
		return invalid(mistake{"body", "all of it", "an end before"})
	}
	taker, ok := input.(receiver)
	if !ok {
		panic("api: " + o.id + " takes a body and has no place for it")
	}
	taker.receive(content)
	return nil
}
