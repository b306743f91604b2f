package notify

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares JSON, indented for people, with a file, or writes the file with
// -update.
func golden(t *testing.T, path string, body []byte) {
	t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got.Bytes()) {
		t.Errorf("%s is out of date; run: go test ./internal/notify -update\ngot:\n%s", path, got.Bytes())
	}
}

func digest(hex string) release.Digest { return release.Digest("sha256:" + strings.Repeat(hex, 64)) }

// wave is a notice with something of everything.
func wave() release.Notice {
	return release.Notice{
		ID: "ntc_0123456789abcdef", At: began(),
		Cause: release.NoticeCause{Kind: release.NoticeAdvisories, Text: "2 advisories came & 1 was withdrawn <Go>."},
		Releases: []release.VerdictChange{
			{
				Repository: "ghcr.io/tallyman-io/tallyman/web", Version: "v1.2.0", Digest: digest("a"), Before: "fail", After: "pass",
			},
			{
				Repository: "ghcr.io/tallyman-io/tallyman/web", Version: "v1.1.0", Digest: digest("b"), Before: "pass", After: "fail",
				Reasons: []string{"1 critical finding, expected 0", "advisory data are 49 hours old"},
			},
			{
				Repository: "ghcr.io/tallyman-io/tallyman/worker", Version: "v1.2.0", Digest: digest("c"), After: "unknown",
				Reasons: []string{"the registry throttles"},
			},
		},
		Findings: []release.FindingChange{
			{ID: "GO-2026-0002", Severity: "unscored", PURLs: []string{"pkg:golang/stdlib@1.26.1"}, Change: release.ChangeGone, Releases: 2},
			{
				ID: "GO-2026-0001", Aliases: []string{"CVE-2026-1", "GHSA-a"}, Severity: "critical",
				PURLs:  []string{"pkg:golang/golang.org/x/net@0.20.0", "pkg:golang/golang.org/x/net@0.21.0"},
				Change: release.ChangeNew, Fixed: []string{"0.22.0"}, Releases: 1,
			},
			{ID: "DSA-1", Severity: "high", PURLs: []string{"pkg:deb/debian/a@1?distro=debian-13"}, Change: release.ChangeChanged, Releases: 3},
		},
		Moves: []release.Move{
			{Repository: "ghcr.io/tallyman-io/tallyman/web", Tag: "latest", From: digest("b"), To: digest("a"), At: began()},
			{Repository: "ghcr.io/tallyman-io/tallyman/web", Tag: "v1.0.0", From: digest("d"), To: digest("e"), At: began()},
		},
		Evidence: []release.EvidenceChange{{
			Repository: "ghcr.io/tallyman-io/tallyman/web", Version: "v1.1.0", Kind: release.PaperSignature,
			Before: release.StateVerified, After: release.StateInvalid, Reason: "expected key cosign.pub, found no signature by it",
		}},
	}
}

// manyReleases is a wave that touches a thousand releases and as many findings.
func manyReleases() release.Notice {
	n := release.Notice{
		ID: "ntc_1000", At: began(),
		Cause: release.NoticeCause{Kind: release.NoticeAdvisories, Text: "1 advisory came."},
	}
	for i := range 1000 {
		n.Releases = append(n.Releases, release.VerdictChange{
			Repository: fmt.Sprintf("registry.example/team/service-%02d", i%20), Version: fmt.Sprintf("v1.%d.0", i/20),
			Digest: digest("f"), Before: "pass", After: "fail", Reasons: []string{"1 critical finding, expected 0"},
		})
		n.Findings = append(n.Findings, release.FindingChange{
			ID: fmt.Sprintf("GO-2026-%04d", i), Severity: "critical", PURLs: []string{fmt.Sprintf("pkg:golang/example.com/m%03d@1.0.0", i)},
			Change: release.ChangeNew, Fixed: []string{"1.0.1"}, Releases: 1000,
		})
	}
	return n
}

// composed are the bodies for one target of each kind.
func composed(t *testing.T, n release.Notice, consoleURL string) (webhook, slack []byte) {
	t.Helper()
	all, err := sender(t, Config{
		Webhooks: []string{"https://a.example/"}, Slack: []string{"https://b.example/"}, ConsoleURL: consoleURL,
	}).Compose(n)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].ID != n.ID || all[1].ID != n.ID {
		t.Fatalf("Compose: got %d deliveries, want 2 of %s", len(all), n.ID)
	}
	return all[0].Body, all[1].Body
}

func TestMessages(t *testing.T) {
	t.Parallel()
	webhook, slack := composed(t, wave(), "https://tallyman.example/console/")
	golden(t, "testdata/wave.webhook.json", webhook)
	golden(t, "testdata/wave.slack.json", slack)
	var event struct {
		Type      string
		Timestamp time.Time
		Data      release.Notice
	}
	if err := json.Unmarshal(webhook, &event); err != nil {
		t.Fatal(err)
	}
	if event.Type != EventType || !event.Timestamp.Equal(began()) || event.Data.Schema != release.NoticeSchema {
		t.Errorf("event: got %s of %s in %s", event.Type, event.Timestamp, event.Data.Schema)
	}
}

func TestAThousandReleasesMakeOneBoundedMessage(t *testing.T) {
	t.Parallel()
	webhook, slack := composed(t, manyReleases(), "")
	golden(t, "testdata/many.webhook.json", webhook)
	golden(t, "testdata/many.slack.json", slack)
	if len(webhook) > 64<<10 || len(slack) > 16<<10 {
		t.Errorf("size: got %d and %d bytes", len(webhook), len(slack))
	}
}

func TestSlacksLimitsHoldWhateverTheTextsAre(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("<&>`", 1000), strings.Repeat("ü", 5000), "<!channel> <@U1> *b* `c`\n\n> q", ""} {
		list := make([]string, 30)
		for i := range list {
			list[i] = text
		}
		n := wave()
		n.Cause.Text = text
		for range 60 {
			n.Releases = append(n.Releases, release.VerdictChange{Repository: text, Version: text, Before: "pass", After: "fail", Reasons: list})
			n.Findings = append(n.Findings, release.FindingChange{ID: text, Severity: text, PURLs: list, Fixed: list, Change: release.ChangeNew})
			n.Moves = append(n.Moves, release.Move{Repository: text, Tag: text, From: digest("a"), To: digest("b")})
			n.Evidence = append(n.Evidence, release.EvidenceChange{Repository: text, Version: text, Kind: release.PaperSBOM, Reason: text})
		}
		webhook, slack := composed(t, n, "https://tallyman.example")
		if len(webhook) > 1<<20 {
			t.Errorf("webhook: got %d bytes", len(webhook))
		}
		var m slackMessage
		if err := json.Unmarshal(slack, &m); err != nil {
			t.Fatal(err)
		}
		if len(m.Blocks) > 50 || characters(m.Text) > 4000 {
			t.Errorf("got %d blocks and %d characters of text, want at most 50 and 4000", len(m.Blocks), characters(m.Text))
		}
		for i, b := range m.Blocks {
			most := slackSection
			texts := b.Elements
			if b.Text != nil {
				texts = append(texts, *b.Text)
			}
			if b.Type == "header" {
				most = slackHeader
			}
			for _, text := range texts {
				if n := characters(text.Text); n == 0 || n > most {
					t.Errorf("block %d (%s): got %d characters, want 1 to %d", i, b.Type, n, most)
				}
				if strings.Contains(text.Text, "<!") || strings.Contains(text.Text, "<@") {
					t.Errorf("block %d mentions somebody: %s", i, text.Text)
				}
			}
		}
	}
}

func TestAnIDThatCouldPassForATimestampIsRefused(t *testing.T) {
	t.Parallel()
	s := sender(t, Config{Webhooks: []string{"https://a.example/"}})
	for _, id := range []string{"", "a.1614265330", "a b", "a\nb", strings.Repeat("a", 101)} {
		if _, err := s.Compose(release.Notice{ID: id}); err == nil {
			t.Errorf("Compose with id %q: got no error", id)
		}
	}
	if _, err := s.Compose(release.Notice{ID: release.NoticeID("tag", "v1.0.0")}); err != nil {
		t.Errorf("Compose: %v", err)
	}
}
