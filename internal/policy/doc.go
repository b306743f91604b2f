// Package policy judges releases. A Policy is a list of rules in CEL
// (https://github.com/google/cel-spec) over [Facts]; it is checked, with the types
// of everything that it reads, when it is loaded.
//
// A fact that is not known has no value. A rule that reads it is unknown, with the
// fact's reason, unless its answer does not depend on it. So a rule need not ask
// first, and what is unknown never passes.
package policy
