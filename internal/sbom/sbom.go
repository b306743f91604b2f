// Package sbom makes and reads software bills of materials: SPDX 2.3
// (https://spdx.github.io/spdx-spec/v2.3/) and CycloneDX 1.x
// (https://cyclonedx.org/specification/overview/), both as JSON.
package sbom

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tallyman-io/tallyman/internal/tool"
)

// Source is what a document describes.
type Source struct {
	Location string    // as Syft takes it: oci-dir:PATH, file:PATH
	Name     string    // what the document calls it
	Version  string    // "" when it has none
	Digest   string    // sha256:… of an image's manifest; "" for a file
	Created  time.Time // what the document gives as its time: that of the source, not of the scan
}

// Documents are the two forms of one scan.
type Documents struct {
	SPDX      []byte
	CycloneDX []byte
}

// Format returns the document of a format: "spdx" or "cyclonedx".
func (d Documents) Format(name string) ([]byte, error) {
	switch name {
	case "spdx":
		return d.SPDX, nil
	case "cyclonedx":
		return d.CycloneDX, nil
	default:
		return nil, fmt.Errorf("SBOM format %q: expected spdx or cyclonedx", name)
	}
}

// Scan makes both documents with one run of Syft, normalised so that the same
// source gives the same bytes.
func Scan(ctx context.Context, tools tool.Box, source Source) (Documents, error) {
	dir, err := os.MkdirTemp("", "tallyman-sbom-*")
	if err != nil {
		return Documents{}, fmt.Errorf("scan %s: %w", source.Location, err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	spdx, cyclonedx := filepath.Join(dir, "spdx.json"), filepath.Join(dir, "cyclonedx.json")
	name := source.Name
	if source.Digest != "" {
		name += "@" + source.Digest
	}
	// A configuration file or an update check of the user's would be another input.
	tools.Env = append(tools.Env, "SYFT_CHECK_FOR_APP_UPDATE=false", "HOME="+dir, "XDG_CONFIG_HOME="+dir)
	if _, err := tools.Run(ctx, "syft", "scan", "--quiet", source.Location,
		"--source-name", name, "--source-version", source.Version,
		"--output", "spdx-json="+spdx, "--output", "cyclonedx-json="+cyclonedx); err != nil {
		return Documents{}, fmt.Errorf("scan %s: %w", source.Location, err)
	}
	var documents Documents
	if documents.SPDX, err = normalised(spdx, source, NormaliseSPDX); err != nil {
		return Documents{}, err
	}
	if documents.CycloneDX, err = normalised(cyclonedx, source, NormaliseCycloneDX); err != nil {
		return Documents{}, err
	}
	return documents, nil
}

func normalised(file string, source Source, normalise func([]byte, Source) ([]byte, error)) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read Syft's document of %s: %w", source.Location, err)
	}
	document, err := normalise(raw, source)
	if err != nil {
		return nil, fmt.Errorf("normalise the document of %s: %w", source.Location, err)
	}
	return document, nil
}
