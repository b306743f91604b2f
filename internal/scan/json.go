package scan

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

// Schema names the form of the JSON answer. It changes only when fields change
// their meaning or go away.
const Schema = "tallyman.scan/v1"

type jsonReport struct {
	Schema    string         `json:"schema"`
	Database  jsonDatabase   `json:"database"`
	Documents []jsonDocument `json:"documents"`
}

// jsonDatabase tells how old the advisory data are.
type jsonDatabase struct {
	Digest   string     `json:"digest"`
	Imported time.Time  `json:"imported"`
	Newest   *time.Time `json:"newest"` // null when no record says when it changed
	// AgeHours is from newest until the scan; null when unknown.
	AgeHours *int64 `json:"age_hours"`
	Records  int    `json:"records"`
	// AsOf is there for a look back: the advisories are those published by then, each in
	// the state of newest, and those withdrawn since count.
	AsOf *time.Time `json:"as_of,omitempty"`
}

// Data are the advisories that documents were matched against.
type Data struct {
	DB  *advisory.Database
	Now time.Time
	// AsOf is the day that was looked back to; zero for now.
	AsOf time.Time
}

type jsonDocument struct {
	Source string `json:"source"`
	// Image is there for an SBOM that travels with an image, and Refused for one of
	// those that was not read, with the reason.
	Image   *jsonPaper `json:"image,omitempty"`
	Refused string     `json:"refused,omitempty"`
	// Error is why the document could not be read; what could not be counted is
	// null then, not zero.
	Error        string        `json:"error,omitempty"`
	Format       string        `json:"format,omitempty"`
	Packages     *int          `json:"packages"`
	Unidentified *int          `json:"unidentified"`
	Findings     []jsonFinding `json:"findings"`
	Unknown      []jsonUnknown `json:"unknown"`
}

type jsonFinding struct {
	ID        string   `json:"id"`
	IDs       []string `json:"ids"`
	Aliases   []string `json:"aliases"`
	PURL      string   `json:"purl"`
	Also      []string `json:"also"` // further purls of the same source package
	Package   string   `json:"package"`
	Version   string   `json:"version"`
	Ecosystem string   `json:"ecosystem"`
	Severity  string   `json:"severity"`
	// Score is the CVSS base score; null when there is none.
	Score *float64 `json:"score"`
	Fixed []string `json:"fixed"`
	VEX   *jsonVEX `json:"vex"` // null when no statement applies
	Why   string   `json:"why"`
	// Repeated: another SBOM of the same manifest, before this one, has it too.
	Repeated bool `json:"repeated,omitempty"`
}

// jsonVEX is the OpenVEX statement that holds for a finding, and where it is from.
type jsonVEX struct {
	// Suppressed: the finding does not count.
	Suppressed    bool   `json:"suppressed"`
	Status        string `json:"status"`
	Justification string `json:"justification,omitempty"`
	Impact        string `json:"impact_statement,omitempty"`
	Action        string `json:"action_statement,omitempty"`
	Notes         string `json:"status_notes,omitempty"`
	// Expires is the last moment at which the statement holds, null when it has no end.
	Expires *time.Time `json:"expires"`
	// Expired: it would suppress the finding, had it not ended.
	Expired   bool      `json:"expired"`
	Author    string    `json:"author"`
	Timestamp time.Time `json:"timestamp"`
	Document  string    `json:"document"`
	Origin    string    `json:"origin"`
}

type jsonUnknown struct {
	PURL    string `json:"purl"`
	Package string `json:"package"`
	Reason  string `json:"reason"`
	// Repeated is as that of a finding.
	Repeated bool `json:"repeated,omitempty"`
}

// WriteJSON writes the documents for machines.
func WriteJSON(out io.Writer, data Data, documents []Document) error {
	report := jsonReport{Schema: Schema, Database: describe(data), Documents: make([]jsonDocument, 0, len(documents))}
	for i := range documents {
		report.Documents = append(report.Documents, documentJSON(&documents[i]))
	}
	w := bufio.NewWriter(out)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(report); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

func describe(data Data) jsonDatabase {
	db := data.DB
	d := jsonDatabase{Digest: db.Digest(), Imported: db.Built(), Records: db.Records()}
	if newest := db.Newest(); !newest.IsZero() {
		hours := int64(data.Now.Sub(newest) / time.Hour)
		d.Newest, d.AgeHours = &newest, &hours
	}
	if !data.AsOf.IsZero() {
		d.AsOf = &data.AsOf
	}
	return d
}

func documentJSON(d *Document) jsonDocument {
	if d.Err != nil {
		return jsonDocument{Source: d.Source, Image: paperJSON(d.Paper), Error: d.Err.Error()}
	}
	if d.Refused != "" {
		return jsonDocument{Source: d.Source, Image: paperJSON(d.Paper), Refused: d.Refused}
	}
	out := jsonDocument{
		Source: d.Source, Image: paperJSON(d.Paper), Format: string(d.SBOM.Format) + " " + d.SBOM.Version,
		Packages: &d.SBOM.Packages, Unidentified: &d.SBOM.Unidentified,
		Findings: make([]jsonFinding, 0, len(d.Findings)), Unknown: make([]jsonUnknown, 0, len(d.Unknown)),
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		out.Findings = append(out.Findings, jsonFinding{
			ID: f.ID, IDs: f.IDs, Aliases: list(f.Aliases), PURL: f.PURL, Also: list(f.Also), Package: f.Subject.Name, Version: f.Subject.Version,
			Ecosystem: f.Ecosystem, Severity: f.Severity.Level.String(), Score: score(f.Severity), Fixed: list(f.Fixed), VEX: statementJSON(f), Why: f.Why,
			Repeated: f.Repeated,
		})
	}
	for _, u := range d.Unknown {
		out.Unknown = append(out.Unknown, jsonUnknown{u.PURL, u.Name, u.Reason, u.Repeated})
	}
	return out
}

func statementJSON(f *Finding) *jsonVEX {
	s := f.VEX
	if s == nil {
		return nil
	}
	told := &jsonVEX{
		Suppressed: f.Suppressed, Status: string(s.Status), Justification: string(s.Justification), Impact: s.Impact, Action: s.Action,
		Notes: s.Notes, Expired: s.Over, Author: s.Author, Timestamp: s.Timestamp, Document: s.Document, Origin: s.Origin.String(),
	}
	if !s.Expires.IsZero() {
		told.Expires = &s.Expires
	}
	return told
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func score(s advisory.Severity) *float64 {
	if s.Level == advisory.Unscored || s.By == advisory.Rated {
		return nil
	}
	score := float64(s.Tenths) / 10
	return &score
}
