package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tallyman-io/tallyman/internal/retry"
)

// statusError is an answer other than what was asked for.
type statusError struct {
	code  int
	after time.Duration
}

func (e *statusError) Error() string {
	return fmt.Sprintf("expected HTTP 200, found %d %s", e.code, http.StatusText(e.code))
}

// brokenError is an answer that ended before its end, or a connection that failed.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }

func (e *brokenError) Unwrap() error { return e.err }

// fetch hands the content of a file of an ecosystem to take, from its beginning each
// time that it is tried again. It returns the file's tag; ErrNotModified when that is
// known, and fs.ErrNotExist when there is no such file.
func (c *Client) fetch(ctx context.Context, ecosystem, file, known string, limit int64, take func(io.Reader) error) (tag string, err error) {
	if err := CheckEcosystem(ecosystem); err != nil {
		return "", err
	}
	if c.base.Scheme == "file" {
		return c.readFile(filepath.Join(filepath.FromSlash(c.base.Path), ecosystem, file), known, limit, take)
	}
	err = retry.Do(ctx, c.cfg.Wait, func() (err error) {
		tag, err = c.get(ctx, c.base.JoinPath(ecosystem, file).String(), known, limit, take)
		return err
	}, func(err error) (time.Duration, bool) {
		var status *statusError
		var broken *brokenError
		switch {
		case ctx.Err() != nil:
			return 0, false
		case errors.As(err, &status):
			return status.after, status.code == http.StatusTooManyRequests || status.code >= http.StatusInternalServerError
		default:
			return 0, errors.As(err, &broken) && !errors.Is(err, ErrRefused)
		}
	})
	return tag, err
}

// get makes one request.
func (c *Client) get(ctx context.Context, address, known string, limit int64, take func(io.Reader) error) (tag string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Time runs for each part of the answer, not for the whole, which may be large.
	timer := time.AfterFunc(c.cfg.Timeout, func() {
		cancel(fmt.Errorf("nothing came for %s: %w", c.cfg.Timeout, context.DeadlineExceeded))
	})
	defer timer.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	if known != "" {
		req.Header.Set("If-None-Match", known)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", c.broken(ctx, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read, or is given up
	switch {
	case resp.StatusCode == http.StatusNotModified && known != "":
		return known, ErrNotModified
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return "", fmt.Errorf("%s: %w", resp.Request.URL.Redacted(), fs.ErrNotExist)
	case resp.StatusCode != http.StatusOK:
		return "", &statusError{code: resp.StatusCode, after: retryAfter(resp.Header.Get("Retry-After"), c.cfg.Now())}
	case resp.ContentLength > limit:
		return "", tooLarge(limit, resp.ContentLength)
	}
	body := &counted{in: resp.Body, left: limit, limit: limit, each: func() { timer.Reset(c.cfg.Timeout) }}
	if err := take(body); err != nil {
		if body.failed != nil {
			return "", c.broken(ctx, partial(body, resp.ContentLength))
		}
		return "", err
	}
	return resp.Header.Get("ETag"), nil
}

func (c *Client) broken(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &brokenError{err}
}

func partial(body *counted, want int64) error {
	if want >= 0 && errors.Is(body.failed, io.ErrUnexpectedEOF) {
		return fmt.Errorf("partial: expected %d bytes, found %d: %w", want, body.limit-body.left, body.failed)
	}
	return fmt.Errorf("cut after %d bytes: %w", body.limit-body.left, body.failed)
}

func tooLarge(limit, found int64) error {
	return fmt.Errorf("%w: expected at most %d bytes, found %d", ErrRefused, limit, found)
}

// counted bounds what is read, and tells a failure of the connection from others.
type counted struct {
	in          io.Reader
	left, limit int64
	each        func()
	failed      error
}

// Read implements [io.Reader].
func (c *counted) Read(p []byte) (int, error) {
	if c.left <= 0 {
		var one [1]byte
		if n, err := c.in.Read(one[:]); n == 0 {
			return 0, err //nolint:wrapcheck // a reader
		}
		return 0, tooLarge(c.limit, c.limit+1)
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	c.each()
	if err != nil && !errors.Is(err, io.EOF) {
		c.failed = err
	}
	return n, err //nolint:wrapcheck // a reader
}

// retryAfter reads both forms of RFC 9110, 10.2.3; 0 for neither, and an hour at most.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, time.Hour)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), time.Hour)
	}
	return 0
}

// readFile is fetch for a folder.
func (c *Client) readFile(path, known string, limit int64, take func(io.Reader) error) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err //nolint:wrapcheck // it names the file
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return "", err //nolint:wrapcheck // it names the file
	}
	tag := fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano())
	switch {
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s: %w: expected a regular file", path, ErrRefused)
	case tag == known:
		return known, ErrNotModified
	case info.Size() > limit:
		return "", fmt.Errorf("%s: %w", path, tooLarge(limit, info.Size()))
	}
	return tag, take(io.LimitReader(f, limit))
}
