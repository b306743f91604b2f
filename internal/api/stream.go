package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// parts is a body that is read and sent in parts, so that none is held as a whole.
type parts struct {
	// size is that of the whole body, in bytes.
	size  int64
	first []byte
	// read returns a further part, counted from 0.
	read func(ctx context.Context, number int) ([]byte, error)
}

// sendPatience is how long a client may take to take a part.
const sendPatience = 30 * time.Second

// send writes the body, which HEAD leaves out. A client that gets less than it was told
// sees that: the connection is cut.
func (p *parts) send(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Content-Length", fmt.Sprint(p.size))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	part, sent := p.first, int64(0)
	for number := 1; ; number++ {
		// server.write_timeout is meant for answers that are short.
		err := control.SetWriteDeadline(time.Now().Add(sendPatience))
		if err == nil || errors.Is(err, http.ErrNotSupported) {
			_, err = w.Write(part)
		}
		if sent += int64(len(part)); err == nil && sent >= p.size {
			return
		}
		if err == nil {
			part, err = p.next(r.Context(), number)
		}
		if err != nil {
			zerolog.Ctx(r.Context()).Warn().Err(err).Int64("sent", sent).Int64("size", p.size).Msg("answer cut short")
			panic(http.ErrAbortHandler)
		}
	}
}

func (p *parts) next(ctx context.Context, number int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	part, err := p.read(ctx, number)
	if err == nil && len(part) == 0 {
		err = errors.New("expected a part, found an empty one")
	}
	return part, err
}
