package main

import (
	"strings"

	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/evidence"
)

// trust is what the configuration trusts, as the examiner of papers takes it. Without
// a key or an identity nobody is trusted: then signed papers are unknown.
func trust(c config.Trust) evidence.Trust {
	if trustsNobody(c) {
		return evidence.Trust{Nobody: true}
	}
	t := evidence.Trust{TrustedRoot: c.Root.Content, RequireLog: c.RequireLog}
	for _, file := range c.Keys {
		t.Keys = append(t.Keys, evidence.Key{Name: file.Path, PEM: file.Content})
	}
	for _, identity := range c.Identities {
		t.Identities = append(t.Identities, evidence.Identity{Issuer: identity.Issuer, Subject: identity.Subject, Pattern: identity.Pattern})
	}
	return t
}

func trustsNobody(c config.Trust) bool { return len(c.Keys) == 0 && len(c.Identities) == 0 }

// checkTrust finds what is wrong with keys, identities and trusted root taken
// together.
func checkTrust(c config.Worker) []config.Mistake {
	if trustsNobody(c.Trust) {
		return nil
	}
	_, err := evidence.New(nil, evidence.Config{Trust: trust(c.Trust)})
	if err == nil {
		return nil
	}
	// The error has every mistake on a line of its own.
	var mistakes []config.Mistake
	for line := range strings.Lines(err.Error()) {
		mistakes = append(mistakes, config.Mistake{
			Key:      "trust.root",
			Problem:  strings.Join(strings.Fields(line), " "),
			Expected: "keys, identities and a trusted root that go together",
		})
	}
	return mistakes
}
