package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// onIndex is what package evidence calls an index.
const onIndex = "index"

// Image is an image whose papers were looked through.
type Image struct {
	Examination release.Examination
	// Reference is what it was asked for by: repository:tag, repository@digest or the
	// path of a layout. Tag is the tag of it, empty when there is none.
	Reference, Tag string
	// Platform is that of an image without an index. Zero when there is an index, or
	// nobody looked.
	Platform release.Platform
	// Judgement is nil when no policy was asked; NotJudged says why not, empty where
	// nobody wanted one to be.
	Judgement *Judgement
	NotJudged string
}

// Judgement is what a policy says of an image, and what it was counted from.
type Judgement struct {
	// Policy names it: a file, or "built-in policy".
	Policy  string
	Verdict release.Verdict
	Counts  ledger.Counts
	// Uncounted is why the findings are not known. Empty when they are.
	Uncounted string
	// Age of the advisories; AgeUnknown is why it is not known.
	Age        time.Duration
	AgeUnknown string
}

// Advisories is a database of advisories, or why there is none.
type Advisories struct {
	DB *advisory.Database
	// Synced is when the source of each feed was last asked, by ecosystem without a
	// release; what is not in it was last asked when the database was made.
	Synced map[string]time.Time
	// None is why there is none.
	None string
}

func (a Advisories) facts() facts.Advisories {
	if a.DB == nil {
		return facts.Advisories{None: a.None}
	}
	known := facts.Advisories{Coverage: a.DB.Coverage(), Synced: make(map[string]time.Time)}
	for family := range known.Coverage.Families {
		known.Synced[family] = a.DB.Built()
		if at := a.Synced[family]; at.After(a.DB.Built()) {
			known.Synced[family] = at
		}
	}
	return known
}

// match returns the packages of documents that the advisories say something of.
func (a Advisories) match(documents []release.Document, now time.Time) ([]ledger.Package, error) {
	if a.DB == nil {
		return nil, nil
	}
	return facts.Match(documents, advisory.NewMatcher(a.DB), a.DB.Coverage(), now)
}

// Judge judges images by a policy.
type Judge struct {
	Policy *policy.Policy
	// Name is what the policy is called.
	Name       string
	Advisories Advisories
	// VEX are statements from files, which are believed.
	VEX []vex.Document
	Now time.Time
}

// Judge judges an image, as the worker would that knows the same. The error is of the
// database or of ctx.
func (j *Judge) Judge(ctx context.Context, image Image) (*Judgement, error) {
	s, err := newSight(ctx, image, j.Advisories, j.VEX, j.Now)
	if err != nil {
		return nil, err
	}
	verdict := j.Policy.Judge(ctx, s.facts, j.Now)
	if err := context.Cause(ctx); err != nil {
		return nil, err // a rule that did not come to its end is no verdict
	}
	out := &Judgement{
		Policy: j.Name, Verdict: verdict, Counts: facts.CountsOf(&s.facts), Uncounted: s.facts.Findings.Reason,
		Age: s.facts.Advisories.Age, AgeUnknown: s.facts.Advisories.Reason,
	}
	return out, nil
}

// sight is all that can be known of an image from one look.
type sight struct {
	looked     facts.Looked
	known      *ledger.Case
	statements *facts.Statements
	facts      policy.Facts
	at         time.Time
}

func newSight(ctx context.Context, image Image, advisories Advisories, files []vex.Document, now time.Time) (*sight, error) {
	s := &sight{
		looked:     facts.Looked{Examination: image.Examination, Tag: image.Tag, Documents: facts.Chosen(facts.Documents(ctx, image.Examination))},
		statements: facts.NewStatements(files), at: now,
	}
	if image.Platform.OS != "" {
		p := image.Platform
		p.Digest = image.Examination.Digest
		s.looked.Platforms = []release.Platform{p}
	}
	s.known = s.looked.Case()
	if err := s.statements.Prepare(ctx, s.looked.Contents, s.known); err != nil {
		return nil, err
	}
	var err error
	if s.known.Packages, err = advisories.match(s.looked.Documents, now); err != nil {
		return nil, err
	}
	view := facts.View{At: now, Advisories: advisories.facts(), Statements: s.statements}
	s.facts, err = view.Facts(s.known, s.known.Packages)
	return s, err
}

// Narrow returns an examination with the papers of one platform and of the index, which
// stands for every platform. What lies on the index and on another platform, such as
// that one's SBOM, is left out. Of an image without an index, which is of the platform
// given, or unknown, it is all.
func Narrow(e release.Examination, of release.Platform, platform string) (release.Examination, error) {
	if !slices.ContainsFunc(e.Evidence, func(p release.Evidence) bool { return p.On == onIndex }) {
		if of.OS != "" && !Fits(of.String(), platform) {
			return e, fmt.Errorf("%s@%s: expected platform %s, found %s", e.Repository, e.Digest, platform, of)
		}
		return e, nil
	}
	var own []release.Evidence
	var there []string
	elsewhere := make(map[release.Digest]bool)
	for _, piece := range e.Evidence {
		if piece.On != onIndex && !slices.Contains(there, piece.On) {
			there = append(there, piece.On)
		}
		if piece.On == onIndex || Fits(piece.On, platform) {
			own = append(own, piece)
			continue
		}
		for i := range piece.Papers {
			if document := piece.Papers[i].Document; document != nil && piece.Kind == release.PaperSBOM {
				elsewhere[facts.DigestOf(document)] = true
			}
		}
	}
	if !slices.ContainsFunc(own, func(p release.Evidence) bool { return p.On != onIndex }) {
		return e, fmt.Errorf("%s@%s: expected platform %s, found %s", e.Repository, e.Digest, platform, strings.Join(there, ", "))
	}
	for i := range own {
		if own[i].On != onIndex || own[i].Kind != release.PaperSBOM {
			continue
		}
		// The state and the reason stay: they tell of the papers on the index.
		own[i].Papers = slices.DeleteFunc(slices.Clone(own[i].Papers), func(p release.Paper) bool {
			return p.Document != nil && elsewhere[facts.DigestOf(p.Document)]
		})
	}
	e.Evidence = own
	e.Gaps = slices.DeleteFunc(slices.Clone(e.Gaps), func(g release.Gap) bool {
		return !slices.ContainsFunc(own, func(p release.Evidence) bool { return p.Subject == g.Subject })
	})
	return e, nil
}

// Fits reports whether a platform, by its name, is the one that is asked for, or a variant of
// it.
func Fits(name, asked string) bool { return name == asked || strings.HasPrefix(name, asked+"/") }
