package release

import "time"

// Build is what provenance says of how an image was built (SLSA provenance v1,
// https://slsa.dev/spec/v1.0/provenance). What it does not say is empty.
type Build struct {
	// Builder is who ran it, a URI, and Type how its parameters are to be read.
	Builder string `json:"builder,omitempty"`
	Type    string `json:"type,omitempty"`
	// Invocation is the run at the builder, a URI.
	Invocation string    `json:"invocation,omitempty"`
	Started    time.Time `json:"started,omitzero"`
	Finished   time.Time `json:"finished,omitzero"`
	// Source is where the source is from, with its tag or branch; Commit is 40 or 64 hex
	// digits.
	Source string `json:"source,omitempty"`
	Commit string `json:"commit,omitempty"`
	// Base is the base image, by name and digest.
	Base string `json:"base,omitempty"`
	// Tools are the versions that the builder states, by name.
	Tools map[string]string `json:"tools,omitempty"`
	// Signer is who vouches for it.
	Signer string `json:"signer,omitempty"`
}

// Duration is how long it took, and false when the provenance does not say.
func (b *Build) Duration() (time.Duration, bool) {
	if b == nil || b.Started.IsZero() || b.Finished.Before(b.Started) {
		return 0, false
	}
	return b.Finished.Sub(b.Started), true
}

// Layer is a layer of a platform.
type Layer struct {
	Digest    Digest `json:"digest"`
	MediaType string `json:"media_type"`
	// Size is its compressed size, in bytes.
	Size int64 `json:"size"`
}
