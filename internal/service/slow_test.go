package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A slow client keeps one connection, for as long as the limits say, and nobody waits for him.
func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	// More than sockets hold of an answer that nobody reads.
	answer := strings.Repeat("0123456789abcdef", 1<<20)
	tests := map[string]struct {
		set  func(*Config)
		head string
		// drip is sent again and again. Who sends nothing leaves it empty.
		drip string
		// read is whether the client reads what is answered.
		read bool
	}{
		"who drips a header": {
			set:  func(c *Config) { c.ReadHeaderTimeout = limit },
			head: "GET / HTTP/1.1\r\nHost: tally\r\n", drip: "X-Drip: a\r\n", read: true,
		},
		"who sends nothing": {set: func(c *Config) { c.ReadHeaderTimeout = limit }, read: true},
		"who drips a body": {
			set:  func(c *Config) { c.ReadTimeout = limit },
			head: "POST /body HTTP/1.1\r\nHost: tally\r\nContent-Length: 1000000\r\n\r\n", drip: "a", read: true,
		},
		"who does not read the answer": {
			set:  func(c *Config) { c.WriteTimeout = limit },
			head: "GET /large HTTP/1.1\r\nHost: tally\r\n\r\n",
		},
		"who asks nothing more": {
			set:  func(c *Config) { c.IdleTimeout = limit },
			head: "GET / HTTP/1.1\r\nHost: tally\r\n\r\n", read: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handled := make(chan error, 1)
			r := launch(t, pages(func(mux *Routes) {
				mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
				mux.HandleFunc("POST /body", func(_ http.ResponseWriter, r *http.Request) {
					_, err := io.Copy(io.Discard, r.Body)
					handled <- err
				})
				mux.HandleFunc("GET /large", func(w http.ResponseWriter, _ *http.Request) {
					_, err := io.WriteString(w, answer)
					handled <- err
				})
			}), test.set)
			r.until(t, "/readyz", http.StatusOK)

			began := time.Now()
			client := dial(t, r)
			if _, err := io.WriteString(client, test.head); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			dripped := make(chan struct{})
			go func() {
				defer close(dripped)
				drip(ctx, client, test.drip)
			}()
			if got := r.until(t, "/", http.StatusOK); got != "page" {
				t.Errorf("somebody else meanwhile: got %q, want the page", got)
			}
			if test.read {
				if err := untilCut(client); err != nil {
					t.Error(err)
				}
			} else if err := <-handled; err == nil {
				t.Errorf("the answer of %d bytes that nobody reads was written", len(answer))
			}
			took := time.Since(began)
			stop()
			<-dripped
			if took < limit || took > 4*time.Second {
				t.Errorf("cut off after %s, want soon after %s", took, limit)
			}
			if strings.Contains(test.head, "/body") {
				if err := <-handled; err == nil {
					t.Error("half a body was taken for a whole one")
				}
			}
		})
	}
}

func dial(t *testing.T, r *running) net.Conn {
	t.Helper()
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // it may be cut
	if err := client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return client
}

// drip sends a text again and again, until it is told to stop or cut off.
func drip(ctx context.Context, client io.Writer, text string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := io.WriteString(client, text); err != nil {
				return
			}
		}
	}
}

// untilCut reads until the server ends the connection.
func untilCut(client io.Reader) error {
	_, err := io.Copy(io.Discard, client)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return fmt.Errorf("the connection is still open: %w", err)
	}
	return nil
}
