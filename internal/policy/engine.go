package policy

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/containers"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/functions"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/stdlib"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
	"github.com/google/cel-go/parser"
)

// engine compiles expressions. It is put together from cel-go's parts, as package
// cel does: that package adds 0.5 MB to a program for what is not used here.
type engine struct {
	parser      *parser.Parser
	checker     *checker.Env
	interpreter interpreter.Interpreter
}

// program is a compiled expression. It is safe for concurrent use.
type program struct {
	run interpreter.InterpretableV2
	// walks: it goes through a list, so that the context is asked on the way.
	walks bool
}

// problem is a mistake in an expression, at a line and column from 1.
type problem struct {
	line, column int
	message      string
}

// newEngine declares the facts, so that a name which is none is a mistake at load.
func newEngine(facts []fact) (*engine, error) {
	e := &engine{}
	var err error
	if e.parser, err = parser.NewParser(
		parser.Macros(parser.AllMacros...),
		parser.EnableHiddenAccumulatorName(true),
		parser.ExpressionSizeCodePointLimit(maxExpression),
		parser.MaxRecursionDepth(maxNesting),
	); err != nil {
		return nil, fmt.Errorf("CEL parser: %w", err)
	}
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("CEL types: %w", err)
	}
	if e.checker, err = checker.NewEnv(containers.DefaultContainer, registry, checker.CrossTypeNumericComparisons(true)); err != nil {
		return nil, fmt.Errorf("CEL checker: %w", err)
	}
	variables := stdlib.Types()
	for _, f := range facts {
		variables = append(variables, decls.NewVariable(f.name, f.kind))
	}
	joined, err := joinFunction()
	if err != nil {
		return nil, fmt.Errorf("CEL function join: %w", err)
	}
	all := append(stdlib.Functions(), joined)
	if err := errors.Join(e.checker.AddIdents(variables...), e.checker.AddFunctions(all...)); err != nil {
		return nil, fmt.Errorf("CEL checker: %w", err)
	}
	dispatcher := interpreter.NewDispatcher()
	var bindings []*functions.Overload
	for _, f := range all {
		more, err := f.Bindings()
		if err != nil {
			return nil, fmt.Errorf("CEL function %s: %w", f.Name(), err)
		}
		bindings = append(bindings, more...)
	}
	if err := dispatcher.Add(bindings...); err != nil {
		return nil, fmt.Errorf("CEL functions: %w", err)
	}
	attributes := interpreter.NewAttributeFactory(containers.DefaultContainer, registry, registry)
	e.interpreter = interpreter.NewInterpreter(dispatcher, containers.DefaultContainer, registry, registry, attributes)
	return e, nil
}

// compile checks an expression, that it is of the wanted type too, and plans it.
func (e *engine) compile(text string, want *types.Type) (*program, []problem) {
	source := common.NewTextSource(text)
	parsed, found := e.parser.Parse(source)
	if problems := problemsOf(found); problems != nil {
		return nil, problems
	}
	checked, found := checker.Check(parsed, source, e.checker)
	if problems := problemsOf(found); problems != nil {
		return nil, problems
	}
	if kind := checked.GetType(checked.Expr().ID()); !kind.IsExactType(want) {
		return nil, []problem{{message: fmt.Sprintf("expected an expression of type %s, found one of type %s", want, kind)}}
	}
	walks := countWalks(checked)
	p := &program{walks: walks > 0}
	options := []interpreter.PlannerOption{interpreter.Optimize(), interpreter.CompileRegexConstants(interpreter.MatchesRegexOptimization)}
	if p.walks {
		options = append(options, interpreter.InterruptableEval())
	}
	if walks > 1 {
		tracker, err := interpreter.NewCostTracker(joinCost{}, interpreter.CostTrackerLimit(maxCost))
		if err != nil {
			return nil, []problem{{message: err.Error()}}
		}
		options = append(options, interpreter.CostObserver(interpreter.CostTrackerFactory(tracker.Clone)))
	}
	var err error
	if p.run, err = e.interpreter.NewInterpretable(checked, options...); err != nil {
		return nil, []problem{{message: err.Error()}}
	}
	return p, nil
}

// countWalks counts how often an expression goes through a list of facts. One walk is
// no more work than the list is long. Several may be inside each other, so that their
// steps are counted, which takes longer than they do.
func countWalks(expression *ast.AST) int {
	return len(ast.MatchDescendants(ast.NavigateAST(expression), func(e ast.NavigableExpr) bool {
		switch e.Kind() {
		case ast.ComprehensionKind:
			return true
		case ast.CallKind:
			call := e.AsCall()
			return call.FunctionName() == joinName ||
				call.FunctionName() == operators.In && call.Args()[1].Kind() != ast.ListKind
		default:
			return false
		}
	}))
}

func problemsOf(found *common.Errors) []problem {
	var problems []problem
	for _, err := range found.GetErrors() {
		problems = append(problems, problem{max(err.Location.Line(), 1), err.Location.Column() + 1, err.Message})
	}
	return problems
}

// evaluate runs a program. Asking the context takes longer than one that does not
// walk.
func (p *program) evaluate(ctx context.Context, s *scene) (value ref.Val, err error) {
	// The interpreter leaves by panicking when the cost limit is reached.
	defer func() {
		switch reason := recover().(type) {
		case nil:
		case error:
			err = reason
		default:
			err = fmt.Errorf("internal error: %v", reason)
		}
	}()
	frame, err := interpreter.NewExecutionFrame(s)
	if err != nil {
		return nil, err
	}
	defer frame.Close()
	if p.walks {
		if err := frame.SetContext(ctx, interruptEvery); err != nil {
			return nil, err
		}
	}
	value = p.run.Exec(frame)
	if failed, ok := value.(*types.Err); ok {
		if errors.Is(failed, interpreter.InterruptError{}) {
			return nil, fmt.Errorf("the rule was stopped: %w", context.Cause(ctx))
		}
		return nil, failed
	}
	return value, nil
}
