package gate

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// openVEXContext is the version of OpenVEX that is written
// (https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md).
const openVEXContext = "https://openvex.dev/ns/v0.2.0"

type openVEX struct {
	Context    string             `json:"@context"`
	ID         string             `json:"@id"`
	Author     string             `json:"author"`
	Role       string             `json:"role,omitempty"`
	Timestamp  time.Time          `json:"timestamp"`
	Version    int                `json:"version"`
	Tooling    string             `json:"tooling,omitempty"`
	Statements []openVEXStatement `json:"statements"`
}

type openVEXStatement struct {
	Vulnerability openVEXVulnerability `json:"vulnerability"`
	Timestamp     *time.Time           `json:"timestamp,omitempty"`
	Products      []openVEXProduct     `json:"products"`
	Status        string               `json:"status"`
	Notes         string               `json:"status_notes,omitempty"`
	Justification string               `json:"justification,omitempty"`
	Impact        string               `json:"impact_statement,omitempty"`
}

type openVEXVulnerability struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"`
}

type openVEXProduct struct {
	ID            string             `json:"@id,omitempty"`
	Hashes        map[string]string  `json:"hashes,omitempty"`
	Subcomponents []openVEXComponent `json:"subcomponents,omitempty"`
}

type openVEXComponent struct {
	ID string `json:"@id"`
}

// OpenVEX is the document that travels with the image: the statements that suppressed
// its findings, about this very image. Nil when nothing was suppressed. It says when the
// statements were made, and nothing of when the gate ran, so that a release that is run
// again has the same.
func (d *Decision) OpenVEX() ([]byte, error) {
	document := openVEX{
		Context: openVEXContext, ID: "urn:tallyman:gate:" + string(d.Image.Digest), Author: VerifierID, Version: 1,
		Tooling: "tallyman gate",
	}
	at := make(map[string]int)
	for i := range d.Findings {
		f := &d.Findings[i]
		if !f.Suppressed {
			continue
		}
		key := f.VEX.Origin.File + "\x00" + f.ID
		j, ok := at[key]
		if !ok {
			j = len(document.Statements)
			at[key] = j
			document.Statements = append(document.Statements, statementOf(f, d.Image))
			if document.Timestamp.IsZero() || f.VEX.Timestamp.Before(document.Timestamp) {
				document.Timestamp = f.VEX.Timestamp.UTC()
			}
			continue
		}
		for k := range document.Statements[j].Products {
			p := &document.Statements[j].Products[k]
			p.Subcomponents = append(p.Subcomponents, openVEXComponent{f.PURL})
		}
	}
	if len(document.Statements) == 0 {
		return nil, nil
	}
	return json.MarshalIndent(document, "", "  ")
}

func statementOf(f *Finding, image Image) openVEXStatement {
	at := f.VEX.Timestamp.UTC()
	s := openVEXStatement{
		Vulnerability: openVEXVulnerability{f.ID, slices.Concat(f.IDs, f.Aliases)},
		Timestamp:     &at, Status: string(f.VEX.Status), Justification: string(f.VEX.Justification), Impact: f.VEX.Impact, Notes: f.VEX.Notes,
	}
	s.Vulnerability.Aliases = slices.DeleteFunc(s.Vulnerability.Aliases, func(name string) bool { return name == f.ID })
	digests := []release.Digest{image.Digest}
	for i := range image.Platforms {
		if digest := image.Platforms[i].Digest; digest != image.Digest {
			digests = append(digests, digest)
		}
	}
	for _, digest := range digests {
		s.Products = append(s.Products, openVEXProduct{
			ID:            receipt.ResourceURI(image.Repository, string(digest), ""),
			Hashes:        map[string]string{"sha-256": strings.TrimPrefix(string(digest), "sha256:")},
			Subcomponents: []openVEXComponent{{f.PURL}},
		})
	}
	return s
}

// Unreachable is a vulnerability whose code no program of an image runs.
type Unreachable struct {
	// ID is that of the Go vulnerability database, such as GO-2026-0001.
	ID      string
	Aliases []string
	// Modules are those that have the code, as Go names them; stdlib is Go's own.
	Modules []string
}

// Reachability is what was found out of code that is never run.
type Reachability struct {
	Tool     string
	Database string
	// Skipped is why nothing was found out.
	Skipped string
	// Of has the vulnerabilities by image.
	Of map[release.Digest][]Unreachable
}

// reachabilityFile is what statements of a tool call their origin.
const reachabilityFile = "govulncheck"

// statements returns what is known of an image as an OpenVEX document, nil when nothing
// is. It is about this build of the image, and needs no end.
func (r *Reachability) statements(image Image, stated time.Time) (*vex.Document, error) {
	if r == nil || len(r.Of[image.Digest]) == 0 {
		return nil, nil
	}
	document := openVEX{
		Context: openVEXContext, ID: "urn:tallyman:reachability:" + string(image.Digest), Author: r.Tool,
		Timestamp: stated.UTC(), Version: 1,
	}
	for _, u := range r.Of[image.Digest] {
		s := openVEXStatement{
			Vulnerability: openVEXVulnerability{u.ID, u.Aliases}, Status: string(vex.StatusNotAffected),
			Justification: "vulnerable_code_not_in_execute_path",
			Impact:        r.Tool + " found none of the vulnerable functions in the programs of the image",
		}
		product := openVEXProduct{
			ID: receipt.ResourceURI(image.Repository, string(image.Digest), ""), Hashes: map[string]string{"sha-256": strings.TrimPrefix(string(image.Digest), "sha256:")},
		}
		for _, module := range u.Modules {
			product.Subcomponents = append(product.Subcomponents, openVEXComponent{"pkg:golang/" + module})
		}
		s.Products = []openVEXProduct{product}
		document.Statements = append(document.Statements, s)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	parsed, err := vex.Parse(text, vex.Origin{File: reachabilityFile}, "")
	return &parsed, err
}
