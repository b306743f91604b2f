package service

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthTimeout bounds one health check. Docker and Kubernetes probes have to
// allow a little more.
const healthTimeout = 3 * time.Second

// CheckHealth asks the service that listens on listen, with TLS or without, whether it
// is ready. It goes through no proxy and to this machine only. The error says why not.
func CheckHealth(ctx context.Context, listen string, secure bool) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", listen, err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	scheme := "http"
	if secure {
		scheme = "https"
	}
	url := scheme + "://" + net.JoinHostPort(host, port) + "/readyz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12,
		// The certificate is for the name that others know. Nothing secret is sent, and
		// what is believed of the answer is that something is ready on this machine.
		InsecureSkipVerify: true, //nolint:gosec // see above
	}}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("ask %s: no answer within %s", url, healthTimeout)
		}
		return fmt.Errorf("ask %s: %w", url, err)
	}
	// The body is read as far as we care about it.
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return fmt.Errorf("%s answers %s: %s", url, answer.Status, whyNot(answer.Body))
}

func whyNot(body io.Reader) string {
	var r Readiness
	if err := json.NewDecoder(io.LimitReader(body, 64<<10)).Decode(&r); err != nil || r.Status == "" {
		return "not the readiness of a service of ours"
	}
	if len(r.Failed) > 0 {
		return r.Status + ": " + strings.Join(r.Failed, ", ")
	}
	return r.Status
}
