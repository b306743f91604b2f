package dossier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/release"
)

// trustJSON is the configuration of the artifact that says who was trusted. Its layers
// are the keys and the trusted root.
type trustJSON struct {
	Keys        []keyJSON      `json:"keys"`
	Identities  []identityJSON `json:"identities"`
	TrustedRoot release.Digest `json:"trustedRoot,omitempty"`
	RequireLog  bool           `json:"requireLog"`
}

type keyJSON struct {
	Name   string         `json:"name"`
	Digest release.Digest `json:"digest"`
}

type identityJSON struct {
	Subject string `json:"subject,omitempty"`
	Pattern string `json:"pattern,omitempty"`
	Issuer  string `json:"issuer"`
}

// addTrust makes the artifact. The digest is empty for trust in nobody.
func (o *own) addTrust(t evidence.Trust) (release.Digest, error) {
	if t.Nobody {
		return "", nil
	}
	list := trustJSON{Keys: []keyJSON{}, Identities: []identityJSON{}, RequireLog: t.RequireLog}
	var layers []v1.Descriptor
	for _, key := range t.Keys {
		list.Keys = append(list.Keys, keyJSON{key.Name, digestOf(key.PEM)})
		layers = append(layers, o.add(keyMediaType, key.Name, key.PEM))
	}
	for _, identity := range t.Identities {
		list.Identities = append(list.Identities, identityJSON(identity))
	}
	if len(t.TrustedRoot) > 0 {
		list.TrustedRoot = digestOf(t.TrustedRoot)
		layers = append(layers, o.add(rootMediaType, "trusted_root.json", t.TrustedRoot))
	}
	b, err := encode(list)
	if err != nil {
		return "", err
	}
	desc, err := o.artifact(newArtifact(TrustMediaType, o.add(TrustMediaType, "", b), layers...))
	if err != nil {
		return "", err
	}
	return release.Digest(desc.Digest.String()), nil
}

// ErrNoTrust says that a dossier has no keys and no identities.
var ErrNoTrust = errors.New("the dossier has no keys and no identities")

// Trust returns whom the maker of the dossier trusted, or [ErrNoTrust]. It is worth no
// more than the dossier: who makes one chooses the keys.
func (f *File) Trust(m Manifest) (evidence.Trust, error) {
	if m.Trust == "" {
		return evidence.Trust{}, ErrNoTrust
	}
	failed := func(err error) error { return fmt.Errorf("dossier %s: trust %s: %w", f.name, m.Trust, err) }
	b, err := f.blob(m.Trust)
	if err != nil {
		return evidence.Trust{}, failed(err)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(b))
	if err != nil {
		return evidence.Trust{}, failed(err)
	}
	config, err := f.blob(release.Digest(manifest.Config.Digest.String()))
	if err != nil {
		return evidence.Trust{}, failed(err)
	}
	var list trustJSON
	if err := json.Unmarshal(config, &list); err != nil {
		return evidence.Trust{}, failed(err)
	}
	t := evidence.Trust{RequireLog: list.RequireLog}
	for _, key := range list.Keys {
		pem, err := f.blob(key.Digest)
		if err == nil {
			err = printable(key.Name)
		}
		if err != nil {
			return evidence.Trust{}, failed(fmt.Errorf("key %.100q: %w", key.Name, err))
		}
		t.Keys = append(t.Keys, evidence.Key{Name: key.Name, PEM: pem})
	}
	for _, identity := range list.Identities {
		if err := printable(identity.Subject, identity.Pattern, identity.Issuer); err != nil {
			return evidence.Trust{}, failed(fmt.Errorf("identities: %w", err))
		}
		t.Identities = append(t.Identities, evidence.Identity(identity))
	}
	if list.TrustedRoot != "" {
		if t.TrustedRoot, err = f.blob(list.TrustedRoot); err != nil {
			return evidence.Trust{}, failed(fmt.Errorf("trusted root: %w", err))
		}
	}
	return t, nil
}
