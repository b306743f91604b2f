package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/evidence"
)

// trustFlags say whose signatures count, and how to reach registries.
type trustFlags struct {
	keys, identities, patterns []string
	issuer, trustedRoot        string
	requireLog                 bool
	insecure                   []string
}

func (f *trustFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.keys, "key", nil, "file of a public key (PEM) that may have signed; may be repeated")
	flags.StringArrayVar(&f.identities, "identity", nil, "certificate identity that may have signed, exactly; may be repeated")
	flags.StringArrayVar(&f.patterns, "identity-pattern", nil, "regular expression for it, from ^ to $; may be repeated")
	flags.StringVar(&f.issuer, "issuer", "", "OIDC issuer of the identities, exactly")
	flags.StringVar(&f.trustedRoot, "trusted-root", "", "file of the Sigstore trusted root; identities need it")
	flags.BoolVar(&f.requireLog, "require-log", false, "demand a transparency log entry of signatures by key, too")
	flags.StringArrayVar(&f.insecure, "insecure", nil, "host[:port] of a registry that speaks plain HTTP; may be repeated")
}

// somebody reports whether there is anybody to trust.
func (f *trustFlags) somebody() bool { return len(f.keys)+len(f.identities)+len(f.patterns) > 0 }

// given reports whether any of the flags about trust was.
func (f *trustFlags) given() bool {
	return f.somebody() || f.issuer != "" || f.trustedRoot != "" || f.requireLog
}

// trust reads the files. With no flag it trusts nobody.
func (f *trustFlags) trust() (evidence.Trust, error) {
	if !f.given() {
		return evidence.Trust{Nobody: true}, nil
	}
	trust := evidence.Trust{RequireLog: f.requireLog}
	for _, file := range f.keys {
		pem, err := os.ReadFile(file)
		if err != nil {
			return trust, fmt.Errorf("--key: %w", err)
		}
		trust.Keys = append(trust.Keys, evidence.Key{Name: filepath.Base(file), PEM: pem})
	}
	for _, subject := range f.identities {
		trust.Identities = append(trust.Identities, evidence.Identity{Subject: subject, Issuer: f.issuer})
	}
	for _, pattern := range f.patterns {
		trust.Identities = append(trust.Identities, evidence.Identity{Pattern: pattern, Issuer: f.issuer})
	}
	if f.trustedRoot != "" {
		root, err := os.ReadFile(f.trustedRoot)
		if err != nil {
			return trust, fmt.Errorf("--trusted-root: %w", err)
		}
		trust.TrustedRoot = root
	}
	return trust, nil
}
