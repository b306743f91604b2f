package gate_test

import (
	"os"
	"strings"
	"testing"
)

// TestDocsShowTheBuiltInPolicy keeps docs/gate.md and the policy one.
func TestDocsShowTheBuiltInPolicy(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/gate.md")
	must(t, err)
	text, err := os.ReadFile("gate.yaml")
	must(t, err)
	if want := "<!-- default -->\n```yaml\n" + string(text) + "```\n<!-- end of default -->"; !strings.Contains(string(document), want) {
		t.Error("docs/gate.md: the built-in policy is not the one of gate.yaml")
	}
}
