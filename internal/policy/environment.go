package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/tallyman-io/tallyman/internal/release"
)

// scene is what the rules of one verdict read.
type scene struct {
	facts  *Facts
	at     time.Time
	policy *Policy
	// unknowns is the fact unknown, once it was read.
	unknowns []string
}

// fact is a variable of policies.
type fact struct {
	name string
	kind *types.Type
	// doc is the fact's line in docs/policy.md, which is tested against it.
	doc string
	// value returns what CEL converts to kind, or an error from notKnown.
	value func(s *scene) any
}

// notKnown is the value of a fact that has none.
func notKnown(name, reason string) any {
	return types.WrapErr(fmt.Errorf("%s is not known: %s", name, orNone(reason)))
}

// catalogue lists all facts, in the order of the documentation.
func catalogue() []fact {
	list := types.NewListType(types.StringType)
	facts := []fact{
		{"repository", types.StringType, "repository of the image", func(s *scene) any { return s.facts.Repository }},
		{"version", types.StringType, "the release's tag, such as `v1.4.0`", func(s *scene) any { return s.facts.Version }},
		{"digest", types.StringType, "digest of the index, or of the only manifest", func(s *scene) any { return string(s.facts.Digest) }},
		{"prerelease", types.BoolType, "the version has a pre-release part, as `v1.0.0-rc.1`", func(s *scene) any { return release.IsPrerelease(s.facts.Version) }},
		{"tag_moved", types.BoolType, "the version named another digest before", func(s *scene) any { return s.facts.TagMoved }},
		{"platforms", list, "platforms of the image, such as `linux/arm64`", func(s *scene) any { return s.facts.Platforms }},
		{"base_image", types.StringType, "what the image says that it was built on; not known when it does not say", baseImage},
		{"now", types.TimestampType, "when the release is judged", func(s *scene) any { return s.at }},
		{"unknown", list, "a sentence for everything that is not known: evidence, packages, findings, advisories", unknowns},
	}
	for i, kind := range new(Facts).evidence() {
		facts = append(facts, evidenceFacts(kind.name, i)...)
	}
	facts = append(
		facts,
		fact{"sbom.missing_on", list, "platforms that are known to have no verified SBOM of their own", func(s *scene) any { return s.facts.SBOMMissingOn }},
		fact{"sbom.unknown_on", list, "platforms of which that is not known", func(s *scene) any { return s.facts.SBOMUnknownOn }},
		fact{"rebuilders", types.IntType, "distinct verified identities that signed provenance about the digest, or about every platform of it; not known while the provenance is unknown", rebuilders},
	)
	facts = append(facts, packageFacts()...)
	facts = append(facts, findingFacts()...)
	return append(facts, advisoryFacts()...)
}

func unknowns(s *scene) any {
	if s.unknowns == nil {
		s.unknowns = s.facts.unknowns()
	}
	return s.unknowns
}

func baseImage(s *scene) any {
	if s.facts.BaseImage == "" {
		return notKnown("base_image", "the image does not say what it was built on")
	}
	return s.facts.BaseImage
}

func rebuilders(s *scene) any {
	if provenance := (named{"provenance", &s.facts.Provenance}); !provenance.known() {
		return notKnown("rebuilders", provenance.Reason)
	}
	return s.facts.Rebuilders
}

func evidenceFacts(name string, i int) []fact {
	of := func(s *scene) named { return s.facts.evidence()[i] }
	list := types.NewListType(types.StringType)
	return []fact{
		{name + ".state", types.StringType, "`verified`, `invalid`, `absent` or `unknown`, for the image as a whole", func(s *scene) any {
			if !of(s).known() {
				return string(release.StateUnknown)
			}
			return string(of(s).State)
		}},
		{name + ".reason", types.StringType, "why, in one sentence", func(s *scene) any { return of(s).Reason }},
		{name + ".signers", list, "configured names of the keys that signed verified papers", func(s *scene) any { return of(s).Signers }},
		{name + ".identities", list, "certificate identities that signed verified papers", func(s *scene) any { return of(s).Identities }},
	}
}

func packageFacts() []fact {
	known := func(name string, value func(*Packages) any) func(*scene) any {
		return func(s *scene) any {
			if p := &s.facts.Packages; p.Known {
				return value(p)
			}
			return notKnown(name, s.facts.Packages.Reason)
		}
	}
	list := types.NewListType(types.StringType)
	return []fact{
		{"packages.known", types.BoolType, "SBOMs were read; nothing else of `packages`, and no licence, is known otherwise", func(s *scene) any { return s.facts.Packages.Known }},
		{"packages.trusted", types.BoolType, "every SBOM that was read is verified", known("packages.trusted", func(p *Packages) any { return p.Trusted })},
		{"packages.count", types.IntType, "packages in the SBOMs", known("packages.count", func(p *Packages) any { return p.Count })},
		{"packages.unknown", types.IntType, "packages of which the advisories could not be told", known("packages.unknown", func(p *Packages) any { return p.Unknown })},
		{"packages.unknown_reasons", list, "some of the reasons", known("packages.unknown_reasons", func(p *Packages) any { return p.UnknownReasons })},
		{"licences", list, "distinct licences of the packages, as the SBOMs write them", known("licences", func(p *Packages) any { return p.Licences })},
	}
}

func findingFacts() []fact {
	known := func(name string, value func(*scene, *Findings) any) func(*scene) any {
		return func(s *scene) any {
			if f := &s.facts.Findings; f.Known {
				return value(s, f)
			}
			return notKnown(name, s.facts.Findings.Reason)
		}
	}
	list := types.NewListType(types.StringType)
	facts := []fact{{"counts.known", types.BoolType, "the packages were matched; no count is known otherwise", func(s *scene) any { return s.facts.Findings.Known }}}
	for _, group := range []struct {
		name, doc string
		of        func(*Findings) *Counts
	}{
		{"counts", "findings that no VEX statement suppresses: ", func(f *Findings) *Counts { return &f.Counts }},
		{"fixable", "those of them that have a fixed version: ", func(f *Findings) *Counts { return &f.Fixable }},
		{"raw", "findings, those that a VEX statement suppresses among them: ", func(f *Findings) *Counts { return &f.Raw }},
	} {
		for _, severity := range []struct {
			name string
			of   func(*Counts) int
		}{
			{"critical", func(c *Counts) int { return c.Critical }},
			{"high", func(c *Counts) int { return c.High }},
			{"medium", func(c *Counts) int { return c.Medium }},
			{"low", func(c *Counts) int { return c.Low }},
			{"none", func(c *Counts) int { return c.None }},
			{"unscored", func(c *Counts) int { return c.Unscored }},
			{"total", func(c *Counts) int { return c.Total() }},
		} {
			name := group.name + "." + severity.name
			facts = append(facts, fact{name, types.IntType, group.doc + severity.name, known(name, func(_ *scene, f *Findings) any { return severity.of(group.of(f)) })})
		}
	}
	since := func(name string, value func(*scene, *Findings) any) func(*scene) any {
		return known(name, func(s *scene, f *Findings) any {
			if f.CriticalSince.IsZero() {
				return notKnown(name, "there is no critical finding")
			}
			return value(s, f)
		})
	}
	return append(
		facts,
		fact{"counts.suppressed", types.IntType, "findings that a VEX statement suppresses", known("counts.suppressed", func(_ *scene, f *Findings) any { return f.Suppressed })},
		fact{"counts.expired", list, "statements that suppressed a finding until they expired, a sentence each", known("counts.expired", func(_ *scene, f *Findings) any { return f.Expired })},
		fact{"critical.since", types.TimestampType, "when the oldest of the critical findings was first seen; not known when there is none", since("critical.since", func(_ *scene, f *Findings) any { return f.CriticalSince })},
		fact{"critical.age_hours", types.DoubleType, "hours since then", since("critical.age_hours", func(s *scene, f *Findings) any { return s.at.Sub(f.CriticalSince).Hours() })},
	)
}

func advisoryFacts() []fact {
	return []fact{
		{"advisories.known", types.BoolType, "there are advisory data, and their age is known", func(s *scene) any { return s.facts.Advisories.Known }},
		{"advisories.age_hours", types.DoubleType, "hours since the advisory data were last known to be complete", func(s *scene) any {
			if a := &s.facts.Advisories; !a.Known {
				return notKnown("advisories.age_hours", a.Reason)
			}
			return s.facts.Advisories.Age.Hours()
		}},
		{"advisories.max_age_hours", types.DoubleType, "the policy's `max_age`", func(s *scene) any { return s.policy.maxAge.Hours() }},
		{"advisories.missing", types.NewListType(types.StringType), "ecosystems of which there are packages and no advisories", func(s *scene) any { return s.facts.Advisories.Missing }},
	}
}

const joinName = "join"

// joinFunction is list.join(separator).
func joinFunction() (*decls.FunctionDecl, error) {
	return decls.NewFunction(joinName, decls.MemberOverload("list_join_string",
		[]*types.Type{types.NewListType(types.StringType), types.StringType}, types.StringType, decls.BinaryBinding(join)))
}

// join is the function.
func join(list, separator ref.Val) ref.Val {
	items, ok := list.(traits.Lister)
	sep, isString := separator.(types.String)
	if !ok || !isString {
		return types.MaybeNoSuchOverloadErr(list)
	}
	var b strings.Builder
	for it := items.Iterator(); it.HasNext() == types.True; {
		item, ok := it.Next().(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(list)
		}
		if b.Len() > 0 {
			b.WriteString(string(sep))
		}
		b.WriteString(string(item))
	}
	return types.String(b.String())
}

// joinCost makes joining cost what its result weighs, as CEL counts the work on
// strings; everything else costs what it costs by default.
type joinCost struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (joinCost) CallCost(function, _ string, _ []ref.Val, result ref.Val) *uint64 {
	if text, ok := result.(types.String); ok && function == joinName {
		cost := 1 + uint64(len(text))/10
		return &cost
	}
	return nil
}

func unjudged(p Packages) string {
	text := strconv.Itoa(p.Unknown) + " packages could not be judged"
	if p.Unknown == 1 {
		text = "1 package could not be judged"
	}
	if len(p.UnknownReasons) > 0 {
		text += ", as: " + p.UnknownReasons[0]
	}
	return text
}

// orNone stands in where whoever gathered the facts gave no reason.
func orNone(reason string) string {
	if reason == "" {
		return "it was not found out"
	}
	return reason
}
