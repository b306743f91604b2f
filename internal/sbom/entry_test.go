package sbom_test

import (
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/sbom"
)

func TestEntryIsThePackageOfAPosition(t *testing.T) {
	t.Parallel()
	_, all, err := sbom.ReadAll(strings.NewReader(cycloneDXDocument))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range all {
		got, err := sbom.Entry(strings.NewReader(cycloneDXDocument), i)
		if err != nil || got.PURL != want.PURL || got.Entry != want.Entry {
			t.Errorf("position %d: got %s at %s, %v; want %s at %s", i, got.PURL, got.Entry, err, want.PURL, want.Entry)
		}
	}
	if _, err := sbom.Entry(strings.NewReader(cycloneDXDocument), len(all)); err == nil {
		t.Error("a position behind the last: got no error")
	}
}
