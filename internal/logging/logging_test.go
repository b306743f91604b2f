package logging

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fixed() time.Time {
	return time.Date(2026, 11, 24, 13, 0, 0, 123456789, time.FixedZone("CET", 3600))
}

func TestLineIsJSONWithTimeInUTC(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log, err := New(&b, Options{Service: "web", Level: "info", Format: "auto", Now: fixed})
	if err != nil {
		t.Fatal(err)
	}
	log.Debug().Msg("not written")
	log.Info().Int("n", 1).Msg("written")
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("not one JSON object: %v\n%s", err, b.String())
	}
	want := map[string]any{
		"level": "info", "service": "web", "n": 1.0, "message": "written",
		"time": "2026-11-24T12:00:00.123456789Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestConsoleIsNotJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log, err := New(&b, Options{Service: "web", Level: "info", Format: "console", Now: fixed})
	if err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("written")
	if got := b.String(); strings.HasPrefix(got, "{") || !strings.Contains(got, "12:00:00.123") {
		t.Errorf("console line: got %q, want the time in UTC and no JSON", got)
	}
}

func TestNeedlesNeverReachTheWriter(t *testing.T) {
	t.Parallel()
	const url, password = "postgres://u:pa55word-long@h/db", "pa55word-long"
	var b bytes.Buffer
	log, err := New(&b, Options{Service: "web", Level: "info", Format: "json", Needles: []string{url, password}})
	if err != nil {
		t.Fatal(err)
	}
	log.Error().Str("error", "dial "+url+": password "+password+" refused").Msg("failed")
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("not one JSON object: %v\n%s", err, b.String())
	}
	if want := "dial REDACTED: password REDACTED refused"; got["error"] != want {
		t.Errorf("error field: got %q, want %q", got["error"], want)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{Level: "", Format: "json"},
		{Level: "loud", Format: "json"},
		{Level: "info", Format: "xml"},
	} {
		if _, err := New(&bytes.Buffer{}, o); err == nil {
			t.Errorf("New(%+v): got no error, want one", o)
		}
	}
}
