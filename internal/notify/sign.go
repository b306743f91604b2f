package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a webhook (Standard Webhooks 1.0.0, "Webhook headers").
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

const (
	secretPrefix = "whsec_"
	// signatureVersion is that of HMAC-SHA256.
	signatureVersion = "v1,"
	// The standard's bounds of a secret, in bytes.
	leastSecret, mostSecret = 24, 64
)

// parseSecret returns the key in a secret as the standard serialises it. The
// error does not quote it.
func parseSecret(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(key) < leastSecret || len(key) > mostSecret {
		return nil, fmt.Errorf("secret: expected %s and %d to %d bytes in base64", secretPrefix, leastSecret, mostSecret)
	}
	return key, nil
}

// sign returns the signature of one attempt (the same, "Signature scheme").
func sign(key []byte, id, timestamp string, body []byte) string {
	return signatureVersion + base64.StdEncoding.EncodeToString(mac(key, id, timestamp, body))
}

func mac(key []byte, id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	// A hash takes what it is given.
	_, _ = h.Write([]byte(id + "." + timestamp + "."))
	_, _ = h.Write(body)
	return h.Sum(nil)
}

// Verify checks a webhook as a receiver does: that one of its signatures was
// made with the secret (whsec_…) over this id, timestamp and body, and that the
// timestamp is at most tolerance away from now. The body is the one that came,
// byte for byte.
func Verify(secret string, header http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	key, err := parseSecret(secret)
	if err != nil {
		return err
	}
	id, timestamp := header.Get(HeaderID), header.Get(HeaderTimestamp)
	if id == "" {
		return errors.New(HeaderID + ": expected one, found none")
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%s: expected seconds since 1970, found %q", HeaderTimestamp, timestamp)
	}
	if age := now.Sub(time.Unix(seconds, 0)).Abs(); age > tolerance {
		return fmt.Errorf("%s: expected at most %s from now, found %s", HeaderTimestamp, tolerance, age.Round(time.Second))
	}
	want := mac(key, id, timestamp, body)
	for _, signature := range strings.Fields(header.Get(HeaderSignature)) {
		encoded, ok := strings.CutPrefix(signature, signatureVersion)
		if !ok {
			continue
		}
		if got, err := base64.StdEncoding.DecodeString(encoded); err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New(HeaderSignature + ": expected one by the secret over this message, found none")
}
