package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tallyman-io/tallyman/internal/retry"
)

const (
	maxRedirects = 5
	maxEcosystem = 64
	// maxWait is how long a source can ask to be left alone before the caller is told
	// to come back instead.
	maxWait = 2 * time.Minute
)

// errElsewhere says that a source led to where it was not configured to be.
var errElsewhere = errors.New("refused to follow")

// errMissing says that the source has no such file.
var errMissing = errors.New("not found")

// StatusError is an answer that is no file.
type StatusError struct {
	URL  string
	Code int
	// RetryAfter is how long the source asked to be left alone; 0 when it did not say.
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s: expected 200 OK, found %d %s", e.URL, e.Code, http.StatusText(e.Code))
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(", retry after %s", e.RetryAfter)
	}
	return s
}

// temporary is a failure that may pass.
type temporary struct{ error }

func (t temporary) Unwrap() error { return t.error }

// sink is where a file goes. Fetching may begin anew, and sets its length then.
type sink interface {
	io.Writer
	Truncate(size int64) error
}

// fetch gets one file, in several attempts if need be, and returns which version of
// it arrived; [ErrNotModified] when that is known.
func (c *Client) fetch(ctx context.Context, p path, known Version, limit int64, to sink) (Version, error) {
	if c.base.Scheme == "file" {
		return c.copyFile(ctx, p, known, limit, to)
	}
	f := fetching{client: c, url: c.url(p).String(), known: known, limit: limit, to: to}
	err := retry.Do(ctx, c.config.Wait, func() error { return f.attempt(ctx) }, func(err error) (time.Duration, bool) {
		var status *StatusError
		if errors.As(err, &status) && status.RetryAfter > maxWait {
			return 0, false
		}
		var t temporary
		if !errors.As(err, &t) || ctx.Err() != nil {
			return 0, false
		}
		if status != nil {
			return status.RetryAfter, true
		}
		return 0, true
	})
	return f.version, err
}

// fetching is a file that is being fetched.
type fetching struct {
	client  *Client
	url     string
	known   Version
	limit   int64
	to      sink
	version Version // of what was written
	written int64
}

func (f *fetching) attempt(ctx context.Context) error {
	ctx, alarm := newAlarm(ctx, f.client.config.Timeout)
	defer alarm.stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, http.NoBody)
	if err != nil {
		return err
	}
	f.header(req.Header)
	resp, err := f.client.http.Do(req)
	switch {
	case errors.Is(err, errElsewhere):
		return err
	case err != nil && context.Cause(ctx) != nil:
		return temporary{fmt.Errorf("%s: %w", f.url, context.Cause(ctx))}
	case err != nil:
		return temporary{err}
	}
	defer resp.Body.Close()
	if err := f.accept(resp); err != nil {
		return err
	}
	return f.copy(resp, alarm)
}

// header asks for what is missing: the rest of what was cut when the source can tell
// that it has not changed (RFC 9110, section 13.1.5), else all unless it is known.
func (f *fetching) header(h http.Header) {
	h.Set("Accept-Encoding", "identity") // so that Content-Length counts what arrives
	if agent := f.client.config.UserAgent; agent != "" {
		h.Set("User-Agent", agent)
	}
	switch {
	case f.written > 0 && strings.HasPrefix(f.version.ETag, `"`):
		h.Set("Range", fmt.Sprintf("bytes=%d-", f.written))
		h.Set("If-Range", f.version.ETag)
	case f.known.ETag != "":
		h.Set("If-None-Match", f.known.ETag)
	case f.known.LastModified != "":
		h.Set("If-Modified-Since", f.known.LastModified)
	}
}

// accept looks at an answer's head, and makes the sink ready for its body.
func (f *fetching) accept(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		f.written = 0
		f.version = Version{resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")}
	case code == http.StatusPartialContent && f.written > 0:
		if found, want := resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", f.written); !strings.HasPrefix(found, want) {
			f.written = 0
			return temporary{fmt.Errorf("%s: expected Content-Range: %s…, found %q", f.url, want, found)}
		}
	case code == http.StatusNotModified && f.known != Version{}:
		return ErrNotModified
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("%s: %w", f.url, errMissing)
	default:
		f.written = 0 // a range that is not satisfiable is asked for only once
		err := &StatusError{URL: f.url, Code: code}
		if after, parse := retry.ParseAfter(resp.Header.Get("Retry-After"), f.client.config.Now()); parse == nil {
			err.RetryAfter = after
		}
		if code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code == http.StatusRequestedRangeNotSatisfiable || code >= 500 {
			return temporary{err}
		}
		return err
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return fmt.Errorf("%s: %w: expected no Content-Encoding, found %s", f.url, ErrRefused, encoding)
	}
	if resp.ContentLength > f.limit-f.written {
		return fmt.Errorf("%s: %w: expected at most %d bytes, found %d", f.url, ErrRefused, f.limit, f.written+resp.ContentLength)
	}
	return f.to.Truncate(f.written)
}

func (f *fetching) copy(resp *http.Response, alarm *alarm) error {
	start := f.written
	source := &reader{from: io.LimitReader(resp.Body, f.limit-start+1), alarm: alarm}
	n, err := io.Copy(f.to, source)
	f.written += n
	switch {
	case err != nil && source.err == nil: // the sink's
		return err
	case f.written > f.limit:
		return fmt.Errorf("%s: %w: expected at most %d bytes, found more", f.url, ErrRefused, f.limit)
	case err != nil && resp.ContentLength >= 0:
		return temporary{fmt.Errorf("%s: %w: expected %d bytes, found %d: %w", f.url, ErrPartial, start+resp.ContentLength, f.written, err)}
	case err != nil:
		return temporary{fmt.Errorf("%s: %w: it ended after %d bytes: %w", f.url, ErrPartial, f.written, err)}
	}
	return nil
}

// alarm ends a request of which nothing more arrives.
type alarm struct {
	timer   *time.Timer
	timeout time.Duration
	cancel  context.CancelCauseFunc
	context context.Context // its cause is why a read failed
}

func newAlarm(ctx context.Context, timeout time.Duration) (context.Context, *alarm) {
	ctx, cancel := context.WithCancelCause(ctx)
	a := &alarm{timeout: timeout, cancel: cancel, context: ctx}
	a.timer = time.AfterFunc(timeout, func() {
		cancel(fmt.Errorf("nothing arrived within %s: %w", timeout, context.DeadlineExceeded))
	})
	return ctx, a
}

func (a *alarm) stop() {
	a.timer.Stop()
	a.cancel(nil)
}

// reader puts the alarm off with each read, and keeps why reading failed.
type reader struct {
	from  io.Reader
	alarm *alarm
	err   error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if n > 0 {
		r.alarm.timer.Reset(r.alarm.timeout)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(r.alarm.context); cause != nil {
			err = cause
		}
		r.err = err
	}
	return n, err
}

// copyFile is fetch from a folder. A file's version is its size and time.
func (c *Client) copyFile(ctx context.Context, p path, known Version, limit int64, to sink) (Version, error) {
	name := filepath.Join(filepath.FromSlash(c.base.Path), p.ecosystem, p.file)
	in, err := os.Open(name) //nolint:gosec // under the folder that was configured
	if errors.Is(err, os.ErrNotExist) {
		return Version{}, fmt.Errorf("%s: %w", name, errMissing)
	} else if err != nil {
		return Version{}, err
	}
	defer in.Close() //nolint:errcheck // only read
	info, err := in.Stat()
	switch {
	case err != nil:
		return Version{}, err
	case !info.Mode().IsRegular():
		return Version{}, fmt.Errorf("%s: %w: expected a regular file", name, ErrRefused)
	case info.Size() > limit:
		return Version{}, fmt.Errorf("%s: %w: expected at most %d bytes, found %d", name, ErrRefused, limit, info.Size())
	}
	version := fileVersion(info)
	if version == known {
		return Version{}, ErrNotModified
	}
	if err := to.Truncate(0); err != nil {
		return Version{}, err
	}
	n, err := io.Copy(to, contextReader{ctx, io.LimitReader(in, limit+1)})
	if err != nil {
		return Version{}, fmt.Errorf("%s: %w", name, err)
	}
	after, err := in.Stat()
	if err != nil {
		return Version{}, err
	}
	if n != info.Size() || fileVersion(after) != version {
		return Version{}, fmt.Errorf("%s: %w: expected %d bytes, found %d: it changed while it was read", name, ErrPartial, info.Size(), n)
	}
	return version, nil
}

func fileVersion(info os.FileInfo) Version {
	return Version{ETag: "file-" + strconv.FormatInt(info.Size(), 10) + "-" + strconv.FormatInt(info.ModTime().UnixNano(), 10)}
}

type contextReader struct {
	ctx  context.Context // of the one copy that it is made for
	from io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

// fileSink writes to a file from its start.
type fileSink struct{ *os.File }

// Truncate leaves the end of the file as the place where writing goes on.
func (s fileSink) Truncate(size int64) error {
	if err := s.File.Truncate(size); err != nil {
		return err
	}
	_, err := s.Seek(size, io.SeekStart)
	return err
}

// memorySink keeps a small file.
type memorySink struct{ raw []byte }

func (s *memorySink) Write(p []byte) (int, error) {
	s.raw = append(s.raw, p...)
	return len(p), nil
}

// Truncate keeps what arrived before size.
func (s *memorySink) Truncate(size int64) error {
	s.raw = s.raw[:size]
	return nil
}

// temporaryFile is a file of the client's folder that goes when it is closed.
type temporaryFile struct {
	*os.File
	once sync.Once
	err  error
}

func (c *Client) temporaryFile() (*temporaryFile, error) {
	f, err := os.CreateTemp(c.config.Dir, ".tallyman-feed-*")
	if err != nil {
		return nil, err
	}
	return &temporaryFile{File: f}, nil
}

// Close closes and removes the file; after a rename there is none.
func (t *temporaryFile) Close() error {
	t.once.Do(func() {
		t.err = t.File.Close()
		if err := os.Remove(t.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.err = errors.Join(t.err, err)
		}
	})
	return t.err
}
