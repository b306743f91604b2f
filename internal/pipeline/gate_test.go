package pipeline

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestSealWantsAReceipt(t *testing.T) {
	t.Parallel()
	const index, other = release.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111"), "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	img := Image{Repository: "r.example.com/p/web", Digest: index}
	of := func(digest, rest string) string {
		return `{"resourceUri":"` + receipt.ResourceURI(img.Repository, digest, "") + `",` + rest + `}`
	}
	for name, c := range map[string]struct {
		text, says string
		want       error
	}{
		"that passed":      {text: of(string(index), `"verificationResult":"PASSED"`)},
		"none":             {says: "did not go through the gate", want: ErrRefused},
		"of another image": {text: of(other, `"verificationResult":"PASSED"`), says: "expected one of " + string(index), want: ErrRefused},
		"that failed": {
			text: of(string(index), `"verificationResult":"FAILED","tallyman_verdict":{"result":"fail","reasons":[{"rule":"a","result":"pass","message":"m"},{"rule":"no-critical","result":"fail","message":"found 1"}]}`),
			says: "did not pass the gate: no-critical: found 1", want: ErrRefused,
		},
		"that failed, and does not say why": {text: of(string(index), `"verificationResult":"FAILED"`), says: "FAILED", want: ErrRefused},
		"that is none":                      {text: "{}", says: "expected verificationResult"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newTestPipeline(t, nil)
			if c.text != "" {
				file, _ := p.gateFiles(index)
				if err := writeFile(file, []byte(c.text)); err != nil {
					t.Fatal(err)
				}
			}
			err := p.checkGate(img)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v and %q", err, c.want, c.says)
			}
		})
	}
}

func TestTheReceiptGoesOnEveryDigest(t *testing.T) {
	t.Parallel()
	const index, platform = release.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111"), release.Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")
	p := newTestPipeline(t, nil)
	pushed := release.Image{Digest: index, Platforms: []release.Platform{{Digest: platform}}}
	kinds := func() (all []string) {
		for _, paper := range p.gatePapers(pushed) {
			all = append(all, paper.kind+" "+paper.subject.Short())
		}
		return all
	}
	want := []string{cosign.Summary + " " + index.Short(), cosign.Summary + " " + platform.Short()}
	if diff := cmp.Diff(want, kinds()); diff != "" {
		t.Errorf("without statements (-want +got):\n%s", diff)
	}
	_, statements := p.gateFiles(index)
	if err := writeFile(statements, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if got := kinds(); len(got) != 4 || got[1] != cosign.VEX+" "+index.Short() {
		t.Errorf("with statements: got %v", got)
	}
	if err := os.Remove(statements); err != nil {
		t.Fatal(err)
	}
}

func TestAReceiptOfTheSameDecisionIsNotAttestedTwice(t *testing.T) {
	t.Parallel()
	const ours = `{"timeVerified":"2026-01-01T00:00:00Z","verificationResult":"PASSED","tallyman_counts":{"critical":0},"tallyman_advisories":{"digest":"sha256:1","asOf":"2026-01-01T00:00:00Z","ageSeconds":1}}`
	for name, c := range map[string]struct {
		theirs string
		want   bool
	}{
		"at another time":       {strings.NewReplacer("2026", "2027", `"ageSeconds":1`, `"ageSeconds":2`).Replace(ours), true},
		"with other advisories": {strings.Replace(ours, "sha256:1", "sha256:2", 1), false},
		"with another count":    {strings.Replace(ours, `"critical":0`, `"critical":1`, 1), false},
		"of somebody else":      {`{"verifier":{"id":"x"},"verificationResult":"PASSED"}`, false},
		"that is none":          {`{}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := samePredicate(cosign.Summary, []byte(ours), []byte(c.theirs)); err != nil || got != c.want {
				t.Errorf("got %t, %v; want %t", got, err, c.want)
			}
		})
	}
}
