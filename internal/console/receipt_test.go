package console_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestTheReleasePageShowsTheGateReceipt(t *testing.T) {
	t.Parallel()
	doc := page(t, harbour(), releasePath)
	part := doc.one("section.receipt")
	for _, want := range []string{
		"Passed", "Policy digestsha256:5f5f", "Advisory datasha256:adad", "Age then3 hours, of at most 2 days", "no-critical found 0 critical findings",
		"CVE-2026-20031", "not affected: vulnerable code not in execute path", "HTTP/2 is off", "waivers/http2.json, signed", "Expired since", "never run, by govulncheck v1.1.4: GO-2026-3977",
	} {
		if !strings.Contains(part, want) {
			t.Errorf("got %q, want %q in it", part, want)
		}
	}
	var rows [][]string
	for _, row := range doc.all(".counted tbody tr") {
		var cells []string
		for n := range row.ChildNodes() {
			cells = append(cells, text(n))
		}
		rows = append(rows, cells)
	}
	if diff := cmp.Diff([][]string{
		{"Now, after VEX", "1", "2", "3", "1", "2", "1"},
		{"Now, before VEX", "2", "2", "3", "1", "2", "–"},
		{"At release, after VEX", "0", "0", "3", "1", "2", "1"},
		{"At release, before VEX", "1", "0", "3", "1", "2", "–"},
		{"By the gate, after VEX", "0", "1", "3", "0", "0", "2"},
		{"By the gate, before VEX", "1", "2", "3", "0", "0", "–"},
	}, rows); diff != "" {
		t.Error(diff)
	}
}

func TestAReceiptThatCannotBeShownIsUnknown(t *testing.T) {
	t.Parallel()
	latest := func(m *memory) *account.Release { return &m.releases[webRepository][0] }
	receiptOf := func(m *memory) *account.Document { return &latest(m).Documents[3] }
	tests := map[string]struct {
		change func(m *memory)
		want   string
	}{
		"none":             {func(m *memory) { latest(m).Documents = latest(m).Documents[:3] }, "Unknown: throttled"},
		"not verified":     {func(m *memory) { receiptOf(m).Verified = false }, "Unknown: throttled"},
		"no longer kept":   {func(m *memory) { delete(m.documents, digest("receipt")) }, "no longer kept"},
		"of another image": {func(m *memory) { receiptOf(m).Subject, latest(m).Image.Digest = digest("another"), digest("another") }, "of another image"},
		"too long":         {func(m *memory) { receiptOf(m).Size = 2 << 20 }, "longer than is read"},
		"no receipt": {func(m *memory) {
			m.documents[digest("receipt")] = content{*receiptOf(m), []byte(`{"verificationResult":"MAYBE"}`)}
		}, "expected verificationResult PASSED or FAILED"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := harbour()
			tt.change(m)
			doc := page(t, m, releasePath)
			if got := doc.one("section.receipt"); !strings.Contains(got, "Unknown") || !strings.Contains(got, tt.want) || strings.Contains(got, "Passed") {
				t.Errorf("got %q, want it unknown because of %q", got, tt.want)
			}
			if got := doc.texts(".counted tbody tr")[4]; !strings.Contains(got, "unknown") {
				t.Errorf("got counts %q, want them unknown", got)
			}
		})
	}
}

// The gate of others may say less: what it does not say is unknown.
func TestAReceiptWithoutCountsLeavesThemUnknown(t *testing.T) {
	t.Parallel()
	m := harbour()
	latest := m.releases[webRepository][0]
	m.documents[digest("receipt")] = content{latest.Documents[3], []byte(`{"verificationResult":"PASSED","resourceUri":"pkg:oci/web@` +
		strings.Replace(string(latest.Image.Digest), ":", "%3A", 1) + `","verifiedLevels":["SLSA_BUILD_LEVEL_3"]}`)}
	doc := page(t, m, releasePath)
	if got := doc.one("section.receipt"); !strings.Contains(got, "Passed") {
		t.Errorf("got %q, want it to have passed", got)
	}
	if got := doc.texts(".counted tbody tr")[4]; !strings.Contains(got, "unknown: the receipt does not say") {
		t.Errorf("got counts %q, want them unknown", got)
	}
}

func TestCountsBeforeVEXThatWereNotKeptAreUnknown(t *testing.T) {
	t.Parallel()
	m := harbour()
	m.releases[webRepository][0].Now.Counts.Raw = ledger.Levels{}
	if got := page(t, m, releasePath).texts(".counted tbody tr")[1]; !strings.Contains(got, "unknown: counted before this was kept") {
		t.Errorf("got %q, want it unknown", got)
	}
}

func TestTheReleasePageTellsWhoBuiltTheDigest(t *testing.T) {
	t.Parallel()
	own := identity + "v1.10.0 (issuer https://token.actions.githubusercontent.com)"
	tests := map[string]struct {
		builders []string
		says     string
		want     []string
	}{
		"its own build alone": {[]string{own}, "Nobody else is known to have built this digest.", []string{own + " the build above"}},
		"others too":          {[]string{own, "key auditor.pub"}, "2 distinct builders came to this digest.", []string{own + " the build above", "key auditor.pub rebuilt it"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := harbour()
			m.releases[webRepository][0].Rebuilders = tt.builders
			doc := page(t, m, releasePath)
			if diff := cmp.Diff(tt.want, doc.texts(".builders li")); diff != "" {
				t.Error(diff)
			}
			if got := doc.one(".builders-say"); got != tt.says {
				t.Errorf("got %q, want %q", got, tt.says)
			}
		})
	}
}

func TestAReleaseCanBeDownloaded(t *testing.T) {
	t.Parallel()
	const at = "/api/v1/components/ghcr.io~tallyman-io~tallyman~web/releases/v1.10.0"
	hrefs := func(path string) []string {
		var all []string
		for _, n := range page(t, harbour(), path).all(".downloads a") {
			all = append(all, attr(n, "href"))
		}
		return all
	}
	for path, want := range map[string][]string{
		releasePath: {at + "/packages.csv", at + "/findings.sarif", at + "/findings.csv"},
		releasePath + "/findings?severity=high&show=open&sort=-id&after=0": {at + "/findings.csv?severity=high&show=open&sort=-id", at + "/findings.sarif?severity=high&show=open&sort=-id"},
		releasePath + "/packages?licence=MIT&on=evil":                      {at + "/packages.csv?licence=MIT"},
		releasePath + "/packages?text=" + strings.Repeat("x", 300):         nil,
	} {
		if diff := cmp.Diff(want, hrefs(path)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	documents := map[string]bool{}
	for _, n := range page(t, harbour(), releasePath).all("section.documents tbody a") {
		documents[attr(n, "href")] = true
	}
	for _, d := range []release.Digest{digest("spdx amd64"), digest("cdx arm64"), digest("slsa"), digest("receipt")} {
		if !documents["/documents/"+string(d)] {
			t.Errorf("no link to document %s", d)
		}
	}
}
