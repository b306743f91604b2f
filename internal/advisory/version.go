package advisory

import (
	"fmt"
	"math"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// maxVersion bounds a version, in bytes: comparing takes time quadratic in its digits.
const maxVersion = 512

// version is a version of one ecosystem. For those of semantic versions the three
// numbers are compared first: they decide nearly always, and the rest is parsed
// only when they do not.
type version struct {
	text    string
	family  string
	numbers [3]uint64
	// plain: numbers are the whole of it. ordered: they come first when comparing.
	plain, ordered bool
	parsed         semantic.Version
	err            error
	isParsed       bool
}

// semverLike are the families that osv-scalibr compares as semantic versions.
//
//nolint:gochecknoglobals // a constant table
var semverLike = map[string]bool{
	"Bitnami": true, "Bioconductor": true, "ConanCenter": true, "crates.io": true, "Docker Hardened Images": true,
	"GHC": true, "Go": true, "Hex": true, "Julia": true, "npm": true, "SwiftURL": true, "opam": false,
}

// family returns an ecosystem without its release: Debian of Debian:12.
func family(ecosystem string) string {
	name, _, _ := strings.Cut(ecosystem, ":")
	return name
}

func newVersion(family, text string) *version {
	v := &version{text: text, family: family}
	if len(text) > maxVersion {
		v.err, v.isParsed = fmt.Errorf("version longer than %d bytes", maxVersion), true
		return v
	}
	if semverLike[family] {
		v.readNumbers()
	}
	return v
}

// readNumbers reads the components as osv-scalibr does: runs of digits between
// dots, until anything else begins what it calls the build.
func (v *version) readNumbers() {
	rest := strings.TrimPrefix(v.text, "v")
	n := 0
	for rest != "" {
		c := rest[0]
		if c == '.' {
			rest = rest[1:]
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		if n == len(v.numbers) {
			return // a fourth number takes part in what follows
		}
		var number uint64
		for rest != "" && '0' <= rest[0] && rest[0] <= '9' {
			if number > math.MaxUint64/10-1 {
				return
			}
			number = number*10 + uint64(rest[0]-'0')
			rest = rest[1:]
		}
		v.numbers[n] = number
		n++
	}
	v.ordered = true
	build, _, _ := strings.Cut(rest, "+")
	v.plain = build == ""
}

func (v *version) semantic() (semantic.Version, error) {
	if !v.isParsed {
		v.parsed, v.err = semantic.Parse(v.text, v.family)
		v.isParsed = true
	}
	return v.parsed, v.err
}

// compare returns -1, 0 or +1 as v is older than, equal to or newer than w, by the
// rules of their family.
func (v *version) compare(w *version) (int, error) {
	if v.ordered && w.ordered {
		for i, n := range v.numbers {
			switch {
			case n < w.numbers[i]:
				return -1, nil
			case n > w.numbers[i]:
				return +1, nil
			}
		}
		if v.plain && w.plain {
			return 0, nil
		}
	}
	a, err := v.semantic()
	if err != nil {
		return 0, fmt.Errorf("%s version %q: %w", v.family, shorten(v.text), err)
	}
	b, err := w.semantic()
	if err != nil {
		return 0, fmt.Errorf("%s version %q: %w", w.family, shorten(w.text), err)
	}
	c, err := a.Compare(b)
	if err != nil {
		return 0, fmt.Errorf("compare %s versions %q and %q: %w", v.family, shorten(v.text), shorten(w.text), err)
	}
	return c, nil
}

// shorten keeps messages readable.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// CompareVersions compares two versions by the rules of an ecosystem, whose
// release does not matter: -1, 0 or +1 as a is older than, equal to or newer than b.
func CompareVersions(ecosystem, a, b string) (int, error) {
	f := family(ecosystem)
	return newVersion(f, a).compare(newVersion(f, b))
}
