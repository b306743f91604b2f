package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheKeysOfTheOtherProgramAreListed(t *testing.T) {
	t.Parallel()
	keys := func(all []setting) []string {
		var names []string
		for _, s := range all {
			names = append(names, s.key)
		}
		return names
	}
	if diff := cmp.Diff(keys(new(Worker).settings()), workerKeys()); diff != "" {
		t.Errorf("keys of worker (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(keys(new(Web).settings()), webKeys()); diff != "" {
		t.Errorf("keys of web (-want +got):\n%s", diff)
	}
}
