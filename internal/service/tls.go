package service

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// TLS names the files of a certificate and its private key, in PEM. The zero value is for
// a server without TLS.
type TLS struct{ Certificate, Key string }

// certificateEvery is how often the files are looked at, at most.
const certificateEvery = 10 * time.Second

// certificates hands out the certificate that is in the files, and reads it again when
// they change: whoever renews it need not restart the service.
type certificates struct {
	files TLS
	log   zerolog.Logger
	now   func() time.Time

	mu     sync.Mutex
	looked time.Time
	stamp  string
	pair   *tls.Certificate
}

// newCertificates fails when the files cannot be used.
func newCertificates(files TLS, log zerolog.Logger, now func() time.Time) (*certificates, error) {
	c := &certificates{files: files, log: log, now: now, looked: now()}
	stamp, err := c.stampOf()
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	c.stamp, c.pair = stamp, &pair
	return c, nil
}

// stampOf changes when a file does.
func (c *certificates) stampOf() (string, error) {
	var stamp string
	for _, name := range []string{c.files.Certificate, c.files.Key} {
		info, err := os.Stat(name)
		if err != nil {
			return "", fmt.Errorf("look at the certificate: %w", err)
		}
		stamp += fmt.Sprintln(info.ModTime().UnixNano(), info.Size())
	}
	return stamp, nil
}

// get is for [tls.Config.GetCertificate]. What cannot be used is logged, and the
// certificate of before goes on: it is likely to hold for a while.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) < certificateEvery {
		return c.pair, nil
	}
	c.looked = now
	stamp, err := c.stampOf()
	if err == nil && stamp == c.stamp {
		return c.pair, nil
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	}
	if err != nil {
		c.log.Warn().Err(err).Msg("changed certificate cannot be used; the one of before is")
		return c.pair, nil
	}
	c.stamp, c.pair = stamp, &pair
	c.log.Info().Time("until", pair.Leaf.NotAfter).Msg("certificate read again")
	return c.pair, nil
}

// tlsConfig is that of a server, nil without TLS.
func tlsConfig(c Config) (*tls.Config, error) {
	if c.TLS == (TLS{}) {
		return nil, nil
	}
	all, err := newCertificates(c.TLS, c.Log, c.Now)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: all.get}, nil
}
