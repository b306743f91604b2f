package gate

import (
	_ "embed" // the built-in policy

	"github.com/tallyman-io/tallyman/internal/policy"
)

//go:embed gate.yaml
var defaultText []byte

// DefaultPolicyURI is where the built-in policy is described.
const DefaultPolicyURI = "https://github.com/tallyman-io/tallyman/blob/main/docs/gate.md#the-built-in-policy"

// DefaultPolicy is the built-in policy: an SBOM of every platform, no critical finding,
// advisory data younger than 24 hours, nothing unknown.
func DefaultPolicy() (*policy.Policy, error) {
	return policy.Parse("built-in gate policy", defaultText)
}
