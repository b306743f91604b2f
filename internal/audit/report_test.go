package audit_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/audit"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

var update = flag.Bool("update", false, "write the golden files")

var today = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

const (
	index = release.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")
	amd64 = release.Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")
	arm64 = release.Digest("sha256:3333333333333333333333333333333333333333333333333333333333333333")
)

// golden compares what is written with a file of testdata.
func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s (-want +got; go test ./internal/audit -update writes it):\n%s", name, diff)
	}
}

// database has two advisories: GO-1 of example.com/a before 1.6.0, critical, and GO-2 of
// example.com/b before 2.0.0.
func database(t *testing.T) audit.Advisories {
	t.Helper()
	folder, file := t.TempDir(), filepath.Join(t.TempDir(), "advisories.db")
	tallytest.Publish(t, folder, "Go", storetest.Advisory("GO-1", "example.com/a", "1.6.0", today.Add(-48*time.Hour), criticalVector),
		storetest.Advisory("GO-2", "example.com/b", "2.0.0", today.Add(-24*time.Hour), ""))
	if _, err := advisory.Import(t.Context(), folder, file, advisory.ImportOptions{Now: func() time.Time { return today.Add(-3 * time.Hour) }}); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return audit.Advisories{DB: db}
}

// shipped says what an image of these tests is like.
type shipped struct {
	purls    []string
	licence  string
	base     string
	tools    string
	took     time.Duration
	signer   string
	critical *int // of a gate receipt
}

// image is an examination of an index of one platform, as package evidence gives it.
func (s shipped) image(tag string) *audit.Image {
	by := release.Signer{Key: s.signer}
	paper := func(kind release.PaperKind, document string) release.Paper {
		return release.Paper{
			Kind: kind, State: release.StateVerified, Signer: by, SignedAt: today.Add(-time.Hour), LogIndex: 7, Blob: amd64, Manifest: arm64,
			Found: []release.Layout{release.LayoutReferrers}, Document: []byte(document),
		}
	}
	var packages []release.Package
	for _, purl := range s.purls {
		packages = append(packages, release.Package{PURL: purl, Name: purl})
	}
	sbom := bytes.ReplaceAll(storetest.SPDX("sbom", packages), []byte(`"MIT"`), fmt.Appendf(nil, "%q", s.licence))
	provenance := fmt.Sprintf(`{"buildDefinition":{"buildType":"x","resolvedDependencies":[{"uri":"docker://%s"}]},"runDetails":{"builder":{"id":"y","version":{"go":%q}},
		"metadata":{"startedOn":"2026-11-24T10:00:00Z","finishedOn":%q}}}`, s.base, s.tools, today.Add(-2*time.Hour).Add(s.took).Format(time.RFC3339))
	e := release.Examination{Repository: "registry.example/acme/web", Digest: index, At: today}
	for _, on := range []struct {
		subject release.Digest
		name    string
	}{{index, "index"}, {amd64, "linux/amd64"}} {
		for _, kind := range release.PaperKinds() {
			piece := release.Evidence{Kind: kind, Subject: on.subject, On: on.name, State: release.StateAbsent, Reason: "none in the referrers, under the tags of cosign, or in the index"}
			switch {
			case kind == release.PaperSignature && on.subject == index:
				piece.Papers = []release.Paper{paper(kind, "")}
				piece.Papers[0].Document = nil
			case kind == release.PaperSBOM && on.subject == amd64:
				piece.Papers = []release.Paper{paper(kind, string(sbom))}
			case kind == release.PaperProvenance && on.subject == index && s.tools != "":
				piece.Papers = []release.Paper{paper(kind, provenance)}
			case kind == release.PaperSummary && on.subject == index && s.critical != nil:
				piece.Papers = []release.Paper{paper(kind, fmt.Sprintf(`{"timeVerified":"2026-11-20T10:00:00Z","verificationResult":"PASSED","tallyman_counts":{"critical":%d}}`, *s.critical))}
			}
			if len(piece.Papers) > 0 {
				piece.State, piece.Reason = release.StateVerified, "signed by key "+s.signer+" (referrers API)"
			}
			e.Evidence = append(e.Evidence, piece)
		}
	}
	return &audit.Image{Examination: e, Reference: e.Repository + ":" + tag, Tag: tag}
}

func size(bytes int64) evidence.Shape {
	return evidence.Shape{Platforms: []release.Platform{{OS: "linux", Architecture: "amd64", Digest: amd64, CompressedSize: bytes}}}
}

func TestReportsOfVerify(t *testing.T) {
	t.Parallel()
	p, err := policy.Default(0)
	if err != nil {
		t.Fatal(err)
	}
	judge := audit.Judge{Policy: p, Name: "built-in policy", Advisories: database(t), Now: today}
	judged := *shipped{purls: []string{"pkg:golang/example.com/a@v1.5.0", harmless}, licence: "MIT", signer: "release.pub"}.image("v1.0.0")
	if judged.Judgement, err = judge.Judge(t.Context(), judged); err != nil {
		t.Fatal(err)
	}
	bare := *shipped{purls: []string{harmless}, signer: "release.pub"}.image("v1.1.0")
	bare.NotJudged = "there is no advisory database"
	blind := bare
	blind.NotJudged = ""
	judge.Advisories = audit.Advisories{None: "there is no advisory database at /nowhere"}
	if blind.Judgement, err = judge.Judge(t.Context(), blind); err != nil {
		t.Fatal(err)
	}
	known := database(t)
	golden(t, "verify.txt", func(w io.Writer) error { return audit.WriteTable(w, []audit.Image{judged, bare}, known) })
	golden(t, "verify.json", func(w io.Writer) error { return audit.WriteJSON(w, []audit.Image{judged, bare}, known) })
	golden(t, "blind.txt", func(w io.Writer) error { return audit.WriteTable(w, []audit.Image{blind}, judge.Advisories) })
	golden(t, "blind.json", func(w io.Writer) error { return audit.WriteJSON(w, []audit.Image{blind}, judge.Advisories) })
}

func TestReportsOfDiff(t *testing.T) {
	t.Parallel()
	from := shipped{
		purls: []string{"pkg:golang/example.com/a@v1.5.0", "pkg:golang/example.com/gone@v1.0.0", "pkg:golang/example.com/same@v1.0.0"}, licence: "MIT",
		base: "gcr.io/distroless/static:nonroot@sha256:aa", tools: "1.26.7", took: 2 * time.Minute, signer: "old.pub",
	}.image("v1.0.0")
	to := shipped{
		purls:   []string{"pkg:golang/example.com/a@v1.6.0", "pkg:golang/example.com/b@v1.0.0", "pkg:golang/example.com/same@v1.0.0"},
		licence: "Apache-2.0", base: "gcr.io/distroless/static:nonroot@sha256:bb", tools: "1.26.8", took: 130 * time.Second, signer: "release.pub",
	}.image("v1.1.0")
	known := database(t)
	sides := []audit.Side{{Name: from.Reference, Image: from, Shape: size(12_300_000)}, {Name: to.Reference, Image: to, Shape: size(12_900_000)}}
	document := audit.Side{Name: "web.spdx.json", Document: storetest.SPDX("sbom", []release.Package{{PURL: "pkg:golang/example.com/a@v1.5.0"}})}
	document.ShapeUnknown = "an SBOM does not say"
	compare := func(known audit.Advisories, a, b audit.Side) *audit.Comparison {
		comparer := audit.Comparer{Advisories: known, Now: today}
		c, err := comparer.Compare(t.Context(), a, b)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	images := compare(known, sides[0], sides[1])
	if worst, found := images.Worst(); !found || worst != advisory.Unscored {
		t.Errorf("the worst that is new: got %s, %t, want unscored", worst, found)
	}
	golden(t, "diff.txt", func(w io.Writer) error { return images.WriteTable(w, known, today) })
	golden(t, "diff.json", func(w io.Writer) error { return images.WriteJSON(w, known) })
	none := audit.Advisories{None: "there is no advisory database at /nowhere"}
	mixed := compare(none, document, sides[1])
	golden(t, "diff-sbom.txt", func(w io.Writer) error { return mixed.WriteTable(w, none, today) })
	golden(t, "diff-sbom.json", func(w io.Writer) error { return mixed.WriteJSON(w, none) })
}

func TestReportsOfReleases(t *testing.T) {
	t.Parallel()
	zero := 0
	tell := func(known audit.Advisories, image *audit.Image, unknown string) audit.Release {
		teller := audit.Teller{Advisories: known, Now: today}
		shape := size(12_300_000)
		if unknown != "" {
			shape = evidence.Shape{}
		}
		r, err := teller.Tell(t.Context(), *image, shape, unknown)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	known, none := database(t), audit.Advisories{None: "there is no advisory database at /nowhere"}
	affected := shipped{purls: []string{"pkg:golang/example.com/a@v1.5.0"}, signer: "release.pub", tools: "1.26.8", took: 95 * time.Second}
	gated := affected
	gated.critical = &zero
	bare := shipped{purls: []string{harmless}, signer: "release.pub"}
	releases := []audit.Release{
		tell(known, gated.image("v1.3.0"), ""),
		tell(known, affected.image("v1.2.0"), ""),
		tell(none, bare.image("v1.1.0"), "manifest: throttled"),
		{Version: "v1.0.0", Unknown: "resolve: not found"},
	}
	golden(t, "releases.txt", func(w io.Writer) error {
		return audit.WriteReleasesTable(w, "registry.example/acme/web", releases, known, today)
	})
	golden(t, "releases.json", func(w io.Writer) error {
		return audit.WriteReleasesJSON(w, "registry.example/acme/web", releases, known)
	})
}

func TestNarrow(t *testing.T) {
	t.Parallel()
	two := shipped{purls: []string{harmless}, signer: "release.pub"}.image("v1.0.0").Examination
	other := release.Paper{Kind: release.PaperSBOM, State: release.StateVerified, Document: []byte("of arm64")}
	two.Evidence = append(two.Evidence, release.Evidence{Kind: release.PaperSBOM, Subject: arm64, On: "linux/arm64/v8", State: release.StateVerified, Papers: []release.Paper{other}})
	for i := range two.Evidence {
		if two.Evidence[i].Kind == release.PaperSBOM && two.Evidence[i].Subject == index {
			two.Evidence[i].Papers = []release.Paper{other, {Kind: release.PaperSBOM, Document: []byte("of all")}}
		}
	}
	two.Gaps = []release.Gap{{Subject: amd64}, {Subject: arm64}}
	single := release.Examination{Digest: amd64, Evidence: []release.Evidence{{Kind: release.PaperSBOM, Subject: amd64, On: "image"}}}
	tests := map[string]struct {
		e        release.Examination
		of       release.Platform
		platform string
		wrong    bool
		pieces   int
		onIndex  int // SBOMs
	}{
		"one of two leaves the other's SBOM out":      {e: two, platform: "linux/amd64", pieces: 10, onIndex: 1},
		"a variant is of its architecture":            {e: two, platform: "linux/arm64", pieces: 6, onIndex: 2},
		"a platform that is not there":                {e: two, platform: "linux/s390x", wrong: true},
		"an image without an index, of that platform": {e: single, of: release.Platform{OS: "linux", Architecture: "amd64"}, platform: "linux/amd64", pieces: 1},
		"an image without an index, of another":       {e: single, of: release.Platform{OS: "linux", Architecture: "arm64"}, platform: "linux/amd64", wrong: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := audit.Narrow(tt.e, tt.of, tt.platform)
			if (err != nil) != tt.wrong {
				t.Fatalf("got %v", err)
			}
			if tt.wrong {
				return
			}
			if len(got.Evidence) != tt.pieces || len(tt.e.Gaps) > 0 && len(got.Gaps) != 1 {
				t.Errorf("got %d pieces and %d gaps, want %d and 1", len(got.Evidence), len(got.Gaps), tt.pieces)
			}
			if piece, ok := got.Of(release.PaperSBOM, index); ok && len(piece.Papers) != tt.onIndex {
				t.Errorf("got %d SBOMs on the index, want %d", len(piece.Papers), tt.onIndex)
			}
		})
	}
}
