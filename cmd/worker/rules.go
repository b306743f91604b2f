package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// rules are what verdicts rest on beside facts.
type rules struct {
	policy *policy.Policy
	vex    []vex.Document
	// digest changes when one of them does.
	digest string
}

// newRules reads the configured policy, or the built-in one, and the VEX files.
func newRules(c config.Worker) (rules, error) {
	var r rules
	var err error
	if c.Policy.File.Path == "" {
		r.policy, err = policy.Default(c.Policy.MaxAge)
	} else {
		r.policy, err = policy.Parse(c.Policy.File.Path, c.Policy.File.Content)
	}
	if err != nil {
		return rules{}, err
	}
	r.digest = r.policy.Digest()
	for _, file := range c.VEX.Files {
		document, err := vex.Parse(file.Content, vex.Origin{File: file.Path}, "")
		if err != nil {
			return rules{}, err
		}
		r.vex = append(r.vex, document)
		sum := sha256.Sum256(append([]byte(r.digest), file.Content...))
		r.digest = "sha256:" + hex.EncodeToString(sum[:])
	}
	return r, nil
}

// checkRules finds what is wrong with the policy and the VEX files, each mistake on its
// own.
func checkRules(c config.Worker) []config.Mistake {
	var mistakes []config.Mistake
	add := func(key, expected string, err error) {
		if err == nil {
			return
		}
		for line := range strings.Lines(err.Error()) {
			mistakes = append(mistakes, config.Mistake{Key: key, Problem: strings.Join(strings.Fields(line), " "), Expected: expected})
		}
	}
	if c.Policy.File.Path != "" {
		_, err := policy.Parse(c.Policy.File.Path, c.Policy.File.Content)
		add("policy.file", "a policy as docs/policy.md describes it", err)
	}
	var failed error
	for _, file := range c.VEX.Files {
		_, err := vex.Parse(file.Content, vex.Origin{File: file.Path}, "")
		failed = errors.Join(failed, err)
	}
	add("vex.files", "OpenVEX documents", failed)
	return mistakes
}
