package release

import (
	"strings"
	"time"
)

// Image is what a digest in a repository stands for: an index of platform
// manifests, or the manifest of a single platform.
type Image struct {
	Repository string
	Digest     Digest
	// MediaType is that of the index or manifest behind Digest.
	MediaType string
	// Revision is the source commit, from org.opencontainers.image.revision.
	// Empty when the image does not say.
	Revision string
	// Created is when the image says that it was made. Zero when it does not say.
	Created time.Time
	// Platforms are in the order of the index.
	Platforms []Platform
}

// Platform is the manifest of an image for one operating system and architecture,
// which are empty when the image does not state them.
type Platform struct {
	OS           string
	Architecture string
	Variant      string
	Digest       Digest
	// CompressedSize is what a pull transfers, in bytes: the configuration and
	// all layers, as the manifest states them.
	CompressedSize int64
	// Layers are from the lowest; none where nobody read them.
	Layers []Layer
}

// String returns os/architecture, os/architecture/variant, or "unknown".
func (p Platform) String() string {
	if p.OS == "" && p.Architecture == "" {
		return "unknown"
	}
	parts := []string{p.OS, p.Architecture}
	if p.Variant != "" {
		parts = append(parts, p.Variant)
	}
	return strings.Join(parts, "/")
}

// PlatformNamed is the reverse of [Platform.String]: a platform of which the name alone
// is known. It is zero for a text that is none.
func PlatformNamed(name string) Platform {
	parts := strings.Split(name, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return Platform{}
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) > 2 {
		p.Variant = parts[2]
	}
	return p
}

// Release is an image under a version tag.
type Release struct {
	Image Image
	// Version is the tag, such as v1.4.0.
	Version string
	// FirstSeen is when a look first found the version, under whatever digest.
	FirstSeen time.Time
	// MovedAt is when the version was last found to name another digest. Zero
	// when it never was.
	MovedAt time.Time
}

// Latest returns the release that people mean by "the latest": the highest
// version without a pre-release part, or the highest pre-release when there is
// nothing else. It returns false for an empty list.
func Latest(versions []string) (string, bool) {
	var best string
	for _, v := range versions {
		if best == "" || newer(v, best) {
			best = v
		}
	}
	return best, best != ""
}

func newer(a, b string) bool {
	if pa, pb := IsPrerelease(a), IsPrerelease(b); pa != pb {
		return pb
	}
	return CompareVersions(a, b) > 0
}
