package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

// gateFiles are what `tallyman gate` wrote of an image: the receipt, and the statements
// that it believed, of which there may be none.
func (p *Pipeline) gateFiles(digest release.Digest) (summary, statements string) {
	base := p.rehearsal("gate", strings.Replace(string(digest), ":", "-", 1))
	return base + ".vsa.json", base + ".openvex.json"
}

// checkGate refuses an image that the gate did not let out: the receipt is of this
// digest, or there is none.
func (p *Pipeline) checkGate(img Image) error {
	file, _ := p.gateFiles(img.Digest)
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s did not go through the gate: there is no receipt; `tallyman gate` writes it", ErrRefused, img.Name())
	}
	if err != nil {
		return fmt.Errorf("gate receipt of %s: %w", img.Name(), err)
	}
	r, err := receipt.Read(content)
	if err != nil {
		return fmt.Errorf("gate receipt of %s: %w", img.Name(), err)
	}
	if !r.Of(string(img.Digest)) {
		return fmt.Errorf("%w: gate receipt of %s: expected one of %s, found one of %s", ErrRefused, img.Name(), img.Digest, r.ResourceURI)
	}
	if r.Result != receipt.Passed {
		return fmt.Errorf("%w: %s did not pass the gate: %s", ErrRefused, img.Name(), why(r))
	}
	return nil
}

// why names the rules that did not pass.
func why(r receipt.Receipt) string {
	if r.Verdict == nil {
		return r.Result
	}
	var reasons []string
	for _, reason := range r.Verdict.Reasons {
		if reason.Result != string(release.ResultPass) {
			reasons = append(reasons, reason.Rule+": "+reason.Message)
		}
	}
	return or(strings.Join(reasons, "; "), r.Result)
}

// gatePapers are the receipt, and the statements if there are any, on the index and on
// each platform: whoever pulls a platform alone finds them there.
func (p *Pipeline) gatePapers(pushed release.Image) []paper {
	summary, statements := p.gateFiles(pushed.Digest)
	var papers []paper
	_, err := os.Stat(statements)
	for _, subject := range subjects(pushed) {
		papers = append(papers, paper{subject, cosign.Summary, summary})
		if err == nil {
			papers = append(papers, paper{subject, cosign.VEX, statements})
		}
	}
	return papers
}
