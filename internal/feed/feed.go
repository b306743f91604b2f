package feed

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"time"
)

type State struct {
	ETag             string
	Records          int
	Cursor           time.Time
	FullAt, SyncedAt time.Time
}
type Record struct {
	ID  string
	Raw []byte
}
type Snapshot struct{ records []Record }

func (s *Snapshot) Records() int { return len(s.records) }
func (s *Snapshot) Each(ctx context.Context, f func(Record) error) error {
	for _, r := range s.records {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}
func (s *Snapshot) Next() State  { return State{Records: len(s.records)} }
func (s *Snapshot) Close() error { return nil }

var ErrNotModified = errors.New("x")
var ErrTooMany = errors.New("x")
var ErrNoDelta = errors.New("x")

type Config struct {
	Base      string
	Dir       string
	UserAgent string
	Now       func() time.Time
}
type Client struct{ cfg Config }

func New(c Config) (*Client, error) { return &Client{c}, nil }
func (c *Client) Snapshot(ctx context.Context, eco string, known State) (*Snapshot, error) {
	r, err := zip.OpenReader(filepath.Join(strings.TrimPrefix(c.cfg.Base, "file://"), eco, "all.zip"))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	s := &Snapshot{}
	for _, f := range r.File {
		h, err := f.Open()
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(h)
		if err != nil {
			return nil, err
		}
		s.records = append(s.records, Record{ID: strings.TrimSuffix(f.Name, ".json"), Raw: b})
	}
	return s, nil
}
func (c *Client) Delta(ctx context.Context, eco string, known State, each func(Record) error) (State, error) {
	return State{}, ErrNoDelta
}
