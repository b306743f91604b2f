package store

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Problem is something in the database that is not as it has to be.
type Problem struct {
	// What kind of thing it is, such as "finding"; Where names the one.
	What, Where     string
	Expected, Found string
}

// String is the problem in a line.
func (p Problem) String() string {
	return fmt.Sprintf("%s %s: expected %s, found %s", p.What, clip(p.Where), clip(p.Expected), clip(p.Found))
}

// clip bounds what a line shows of a value, and keeps it on the line.
func clip(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// UpkeepConfig says what [Upkeep] works with.
type UpkeepConfig struct {
	// ReadSBOM reads the document of an SBOM, as ingesting it does.
	ReadSBOM func(ctx context.Context, content []byte) *release.SBOM
	// Progress is told how far a step is, when not nil. A total of 0 is not known.
	Progress func(step string, done, total int64)
}

// Upkeep checks a ledger, and makes anew what can be made anew. It looks at some rows at
// a time, however many there are. Use one for one call at a time.
type Upkeep struct {
	*Ledger
	cfg UpkeepConfig
}

// NewUpkeep returns the upkeep of a ledger.
func NewUpkeep(l *Ledger, cfg UpkeepConfig) *Upkeep {
	if cfg.Progress == nil {
		cfg.Progress = func(string, int64, int64) {}
	}
	return &Upkeep{Ledger: l, cfg: cfg}
}

// flaw is a problem and how it is put right.
type flaw struct {
	Problem
	// heal is nil where nothing in the database tells what is right.
	heal func(ctx context.Context, h *healer) error
	// group is of flaws that one heal puts right, empty for one that is alone.
	group string
}

// cursor is how far a step is, in the order of what it looks at.
type cursor struct {
	a, b string
	key  int64
}

// step looks at one kind of thing, some rows after others.
type step struct {
	name string
	// count is a statement that counts what the step looks at.
	count string
	begin cursor
	// look returns the flaws of the rows that follow, where these end, and how many they
	// were: none when the step is at its end.
	look func(ctx context.Context, tx *transaction, after cursor) (flaws []flaw, next cursor, n int, err error)
}

// steps are in the order in which one is derived from another.
func (u *Upkeep) steps() []step {
	first := cursor{key: -1 << 62}
	return []step{
		{"tags", `SELECT count(*) FROM repository`, first, u.lookAtTags},
		{"advisories", `SELECT count(*) FROM advisory`, first, u.lookAtAdvisories},
		{"severities", `SELECT count(*) FROM advisory`, first, u.lookAtSeverities},
		{"packages", `SELECT count(*) FROM package`, first, u.lookAtPackages},
		{"documents", `SELECT count(*) FROM document`, first, u.lookAtDocuments},
		{"findings", `SELECT count(*) FROM package`, first, u.lookAtFindings},
		{"exposures", `SELECT count(*) FROM examination`, first, u.lookAtExposures},
		{"verdicts", `SELECT count(*) FROM examination`, first, u.lookAtVerdicts},
		{"waves", `SELECT count(*) FROM wave`, first, u.lookAtWaves},
		{"messages", `SELECT count(*) FROM outbox`, first, u.lookAtMessages},
	}
}

// differ appends a flaw when what is found is not what is expected.
func differ(flaws []flaw, what, where, expected, found string, heal func(context.Context, *healer) error) []flaw {
	if expected == found {
		return flaws
	}
	return append(flaws, flaw{Problem: Problem{what, where, expected, found}, heal: heal})
}

// execute is a heal of one statement.
func execute(statement string, args ...any) func(context.Context, *healer) error {
	return func(ctx context.Context, h *healer) error {
		_, err := h.tx.ExecContext(ctx, statement, args...)
		return err
	}
}
