package notify

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The vector of the standard's own libraries
// (github.com/standard-webhooks/standard-webhooks, libraries/go/webhook_test.go).
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = "1614265330"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestTheSignatureIsThatOfTheStandard(t *testing.T) {
	t.Parallel()
	key, err := parseSecret(vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	if got := sign(key, vectorID, vectorTime, []byte(vectorBody)); got != vectorSignature {
		t.Errorf("signature: got %s, want %s", got, vectorSignature)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	const other = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
	at := time.Unix(1614265330, 0)
	tests := []struct {
		name, id, timestamp, signature, body, secret string
		now                                          time.Time
		want                                         string // of the error; "" for none
	}{
		{"as it came", vectorID, vectorTime, vectorSignature, vectorBody, vectorSecret, at, ""},
		{"among others", vectorID, vectorTime, other + " v1a,AAAA " + vectorSignature, vectorBody, vectorSecret, at, ""},
		{"five minutes later", vectorID, vectorTime, vectorSignature, vectorBody, vectorSecret, at.Add(5 * time.Minute), ""},
		{"no id", "", vectorTime, vectorSignature, vectorBody, vectorSecret, at, "webhook-id: expected one"},
		{"no time", vectorID, "", vectorSignature, vectorBody, vectorSecret, at, "webhook-timestamp: expected seconds"},
		{"no signature", vectorID, vectorTime, "", vectorBody, vectorSecret, at, "webhook-signature: expected one"},
		{"empty signature", vectorID, vectorTime, "v1,", vectorBody, vectorSecret, at, "webhook-signature: expected one"},
		{"another signature", vectorID, vectorTime, other, vectorBody, vectorSecret, at, "webhook-signature: expected one"},
		{"another version", vectorID, vectorTime, strings.Replace(vectorSignature, "v1", "v2", 1), vectorBody, vectorSecret, at, "webhook-signature: expected one"},
		{"another id", "msg_2", vectorTime, vectorSignature, vectorBody, vectorSecret, at, "webhook-signature: expected one"},
		{"another time", vectorID, "1614265331", vectorSignature, vectorBody, vectorSecret, at, "webhook-signature: expected one"},
		{"another body", vectorID, vectorTime, vectorSignature, vectorBody + "\n", vectorSecret, at, "webhook-signature: expected one"},
		{"id and time shifted", "msg_p5jXN8AQM9LWM0D4loKWxJek.1", "614265330", vectorSignature, vectorBody, vectorSecret, time.Unix(614265330, 0), "webhook-signature"},
		{"old", vectorID, vectorTime, vectorSignature, vectorBody, vectorSecret, at.Add(5*time.Minute + time.Second), "webhook-timestamp: expected at most 5m0s from now, found 5m1s"},
		{"of the future", vectorID, vectorTime, vectorSignature, vectorBody, vectorSecret, at.Add(-6 * time.Minute), "webhook-timestamp: expected at most"},
		{"no secret", vectorID, vectorTime, vectorSignature, vectorBody, "", at, "secret: expected whsec_"},
		{"short secret", vectorID, vectorTime, vectorSignature, vectorBody, "whsec_c2hvcnQ=", at, "secret: expected whsec_"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			header.Set(HeaderID, tt.id)
			header.Set(HeaderTimestamp, tt.timestamp)
			header.Set(HeaderSignature, tt.signature)
			err := Verify(tt.secret, header, []byte(tt.body), tt.now, 5*time.Minute)
			if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Verify: got %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzVerify feeds any headers. None may pass that does not have the signature.
func FuzzVerify(f *testing.F) {
	f.Add(vectorID, vectorTime, vectorSignature, []byte(vectorBody))
	f.Add("", "-9223372036854775808", "v1,", []byte(nil))
	f.Add("a.b", "1e9", "v1,AAAA v1,\n v2", []byte("{}"))
	key, err := parseSecret(vectorSecret)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		header := http.Header{}
		header.Set(HeaderID, id)
		header.Set(HeaderTimestamp, timestamp)
		header.Set(HeaderSignature, signature)
		err := Verify(vectorSecret, header, body, time.Unix(1614265330, 0), time.Hour)
		if err == nil && !strings.Contains(signature, strings.TrimRight(sign(key, id, timestamp, body), "=")[:40]) {
			t.Errorf("Verify: passed %q", signature)
		}
	})
}
