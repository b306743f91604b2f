package tally

import (
	"context"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/vex"
)

type statements struct{}

func newStatements([]vex.Document) *statements { return &statements{} }

func (s *statements) read(context.Context, Ledger, *ledger.Case) error { return nil }

func (s *statements) suppresses(*ledger.Case, string, *advisory.Finding) bool { return false }
