package dossier

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Of a small dossier no byte is left out: each is flipped in one bit, and what is told
// of is what it belongs to.
func TestEveryByteIsCovered(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(craft(t).write())
	if err != nil {
		t.Fatal(err)
	}
	listed, end, err := readTable(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	part := func(offset int64) string {
		for _, e := range listed.Entries {
			if offset < e.Offset+e.Packed {
				return e.Name
			}
		}
		if offset < end {
			return partEnd
		}
		return partTable
	}
	for offset := range int64(len(whole)) {
		b := bytes.Clone(whole)
		b[offset] ^= 1 << (offset % 8)
		f, err := read("flipped", bytes.NewReader(b), int64(len(b)), Limits{})
		if err == nil {
			_, err = f.Check(t.Context(), nil)
		}
		var damage *DamageError
		if !errors.As(err, &damage) || len(damage.Problems) != 1 || damage.Problems[0].Entry != part(offset) {
			t.Errorf("byte %d: got %v, want %s to be named", offset, err, part(offset))
		}
	}
	t.Logf("%d bytes", len(whole))
}

func TestRolesOfDigestsThatComeTwice(t *testing.T) {
	t.Parallel()
	w := newWalk(false)
	b := Blob{Digest: digestOf(nil), Size: 0, Role: RoleConfig}
	for i, want := range []bool{true, false} {
		if fresh, err := w.note(b); err != nil || fresh != want {
			t.Errorf("%d: got %v, %v; want %v", i, fresh, err, want)
		}
	}
	b.Size = 1
	if _, err := w.note(b); err == nil {
		t.Error("of another size: expected an error")
	}
	if _, err := release.ParseDigest(string(b.Digest)); err != nil {
		t.Error(err)
	}
}
