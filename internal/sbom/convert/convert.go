package convert

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Format is what an SBOM is converted to.
type Format string

const (
	// SPDX is SPDX 2.3 as JSON.
	SPDX Format = "spdx"
	// CycloneDX is CycloneDX 1.6 as JSON.
	CycloneDX Format = "cyclonedx"
	// CSV is a table of the packages (RFC 4180), with a header.
	CSV Format = "csv"
)

// Formats lists all.
func Formats() []Format { return []Format{SPDX, CycloneDX, CSV} }

// Original is what is converted.
type Original struct {
	Document []byte
	// Digest is that of the document.
	Digest release.Digest
	// Tool and Version are who converts it.
	Tool, Version string
}

// Converted is the outcome.
type Converted struct {
	Document []byte
	// From is the format of the original, such as SPDX-2.3.
	From string
	// Lost names what was not carried over, as the original calls it, and how often, in
	// order. A table names nothing: all but its columns is left out.
	Lost []string
}

// ErrSame is returned for an original that is in the format already.
var ErrSame = errors.New("the document is in that format")

// Convert converts a document. The error says where it is not what its format asks for.
func Convert(original Original, to Format) (Converted, error) {
	g, err := read(original.Document)
	if err != nil {
		return Converted{}, fmt.Errorf("convert the SBOM: %w", err)
	}
	out := Converted{From: g.format}
	switch {
	case to == CSV:
		out.Document = g.table()
		return out, nil
	case to == SPDX && g.spdx, to == CycloneDX && !g.spdx:
		return Converted{}, fmt.Errorf("convert the SBOM: %w", ErrSame)
	case g.created == "":
		// Whoever converts does not know it either.
		return Converted{}, errors.New("convert the SBOM: expected the time of the original in metadata.timestamp, found none")
	}
	switch to {
	case SPDX:
		out.Document, err = g.toSPDX(original)
	case CycloneDX:
		out.Document, err = g.toCycloneDX(original)
	default:
		err = fmt.Errorf("expected one of %v, found %q", Formats(), to)
	}
	if err != nil {
		return Converted{}, fmt.Errorf("convert the SBOM: %w", err)
	}
	out.Lost = g.lost.list()
	return out, nil
}

// read reads a document of either format.
func read(document []byte) (*graph, error) {
	root, err := object(document)
	if err != nil {
		return nil, err
	}
	g := &graph{lost: make(losses), refs: make(map[string]*part)}
	o := &node{fields: root, lost: g.lost, seen: make(map[string]bool)}
	switch version, bom := o.text("spdxVersion"), o.text("bomFormat"); {
	case strings.HasPrefix(version, "SPDX-2."):
		g.format, g.spdx = version, true
		err = g.readSPDX(o)
	case bom == "CycloneDX":
		version := o.text("specVersion")
		if !slices.Contains([]string{"1.2", "1.3", "1.4", "1.5", "1.6"}, version) {
			return nil, fmt.Errorf("specVersion: expected 1.2 to 1.6, found %q", version)
		}
		g.format = "CycloneDX " + version
		err = g.readCycloneDX(o)
	default:
		return nil, errors.New("expected SPDX 2.x or CycloneDX as JSON, found neither")
	}
	if err == nil {
		err = o.done()
	}
	if err == nil {
		err = g.check()
	}
	return g, err
}
