package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Judge applies the policy. A rule that cannot be evaluated, because a fact has no
// value, it costs too much or the context ends, is unknown and says why.
func (p *Policy) Judge(ctx context.Context, facts Facts, at time.Time) release.Verdict {
	verdict := release.Verdict{Policy: p.digest, At: at, Reasons: make([]release.Reason, 0, len(p.rules))}
	s := &scene{facts: &facts, at: at, policy: p}
	results := make([]release.Result, 0, len(p.rules))
	for i := range p.rules {
		reason := p.rules[i].judge(ctx, s)
		results = append(results, reason.Result)
		verdict.Reasons = append(verdict.Reasons, reason)
	}
	slices.SortStableFunc(verdict.Reasons, func(a, b release.Reason) int { return release.CompareResults(a.Result, b.Result) })
	verdict.Result = release.Worst(results...)
	return verdict
}

// judge asks unknown before pass, so that a rule which forgets that its facts may
// be unknown does not pass.
func (r *rule) judge(ctx context.Context, s *scene) release.Reason {
	reason := release.Reason{Rule: r.name, Result: release.ResultUnknown}
	if r.unknown != nil {
		unknown, err := evaluate[types.Bool](ctx, r.unknown, s)
		if err != nil {
			reason.Message = explain(err)
			return reason
		}
		if unknown {
			reason.Message = r.say(ctx, s)
			return reason
		}
	}
	pass, err := evaluate[types.Bool](ctx, r.pass, s)
	switch {
	case err != nil:
		reason.Message = explain(err)
	case bool(pass):
		reason.Result, reason.Message = release.ResultPass, r.description
	default:
		reason.Result, reason.Message = release.ResultFail, r.say(ctx, s)
	}
	return reason
}

// say is the message of a rule that does not pass.
func (r *rule) say(ctx context.Context, s *scene) string {
	if r.message == nil {
		return "does not hold: " + r.description
	}
	text, err := evaluate[types.String](ctx, r.message, s)
	switch {
	case err != nil:
		return oneLine("does not hold: " + r.description + " (no more can be said: " + err.Error() + ")")
	case text == "":
		return "does not hold: " + r.description
	default:
		return oneLine(string(text))
	}
}

func evaluate[T any](ctx context.Context, program *program, s *scene) (T, error) {
	var none T
	value, err := program.evaluate(ctx, s)
	if err != nil {
		return none, err
	}
	typed, ok := value.(T)
	if !ok {
		return none, fmt.Errorf("expected %T, found %s", none, value.Type().TypeName())
	}
	return typed, nil
}

func explain(err error) string {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded {
		return fmt.Sprintf("the rule was stopped: it takes more than %d steps", maxCost)
	}
	return oneLine(err.Error())
}

// ResolveName implements interpreter.Activation.
func (s *scene) ResolveName(name string) (any, bool) {
	value, ok := s.policy.values[name]
	if !ok {
		return nil, false
	}
	return value(s), true
}

// Parent implements interpreter.Activation.
func (*scene) Parent() interpreter.Activation { return nil }
