package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// docs/notify.md shows verifyWebhook to receivers, word for word.

func verifyWebhook(secret string, header http.Header, body []byte) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	timestamp := header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return errors.New("the webhook is too old, or has no time")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(header.Get("webhook-id") + "." + timestamp + "."))
	mac.Write(body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, signature := range strings.Fields(header.Get("webhook-signature")) {
		if hmac.Equal([]byte(signature), want) {
			return nil
		}
	}
	return errors.New("the webhook is not signed with the secret")
}

func TestTheDocumentedReceiverVerifies(t *testing.T) {
	t.Parallel()
	var took http.Header
	s := sender(t, Config{Webhooks: []string{answering(t, func(_ http.ResponseWriter, r *http.Request) { took = r.Header })}})
	d := delivery(t, s)
	if got := s.Send(t.Context(), d, 1, time.Now(), time.Now()); got.State != Delivered {
		t.Fatalf("outcome: got %+v", got)
	}
	if err := verifyWebhook(vectorSecret, took, d.Body); err != nil {
		t.Errorf("as it came: %v", err)
	}
	if err := verifyWebhook(vectorSecret, took, append(d.Body, ' ')); err == nil {
		t.Error("with another body: got no error")
	}
	took.Set(HeaderTimestamp, vectorTime)
	if err := verifyWebhook(vectorSecret, took, d.Body); err == nil {
		t.Error("with an old timestamp: got no error")
	}
}

func TestTheDocumentedReceiverIsTheTestedOne(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("receiver_test.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/notify.md")
	if err != nil {
		t.Fatal(err)
	}
	function := regexp.MustCompile(`(?s)\nfunc verifyWebhook.*?\n}\n`).FindString(string(source))
	if function == "" || !strings.Contains(string(doc), "```go"+function+"```\n") {
		t.Errorf("docs/notify.md: want this block of Go in it:\n%s", function)
	}
	for _, want := range []string{vectorSecret, vectorID, vectorTime, vectorBody, vectorSignature} {
		if !strings.Contains(string(doc), want) {
			t.Errorf("docs/notify.md: want %s of the vector in it", want)
		}
	}
}
