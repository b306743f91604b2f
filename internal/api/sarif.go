package api

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
)

const sarifType = "application/sarif+json"

// The parts of SARIF 2.1.0 that are written
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html). Rules, results and
// fingerprints are those of `tallyman scan`; that package reads SBOMs and the database of
// the command, of which there is nothing here.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string         `json:"id"`
		Short      *sarifText     `json:"shortDescription,omitempty"`
		HelpURI    string         `json:"helpUri"`
		Properties map[string]any `json:"properties"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
		Properties    map[string]any      `json:"properties"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Properties   map[string]any     `json:"properties"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	// sarifSuppression is external: it stands outside of what was scanned (3.35.2).
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
	}
)

func (a *API) findingsSARIF(ctx context.Context, in *findingsExport) (*answer, error) {
	found, r, why, err := a.exported(ctx, in)
	if err != nil {
		return nil, err
	}
	data, err := a.cfg.Store.AdvisoryData(ctx)
	if err != nil {
		return nil, err
	}
	id := wire.ID(wire.RefOf(&r.Standing))
	invocation := sarifInvocation{Successful: why == "", Properties: map[string]any{"advisories": wire.DataAgeOf(&data), "release": id}}
	if why != "" {
		invocation.Notifications = []sarifNotification{{"warning", sarifText{id + ": " + why}}}
	}
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "tallyman", Version: a.cfg.Version, InformationURI: "https://github.com/tallyman-io/tallyman", Rules: []sarifRule{}}},
		Invocations: []sarifInvocation{invocation}, Results: make([]sarifResult, 0, len(found)),
	}
	image := r.Image.Repository + "@" + string(r.Image.Digest)
	known := make(map[string]bool)
	for i := range found {
		f := &found[i]
		if !f.GoneAt.IsZero() {
			continue // SARIF has no word for it but a baseline, which would need the run before
		}
		if !known[f.ID] {
			known[f.ID] = true
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(f))
		}
		run.Results = append(run.Results, sarifResultOf(f, image))
	}
	log := sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
	return &answer{raw: encode(log), media: sarifType, filename: filename(id+"-findings.sarif", &account.Document{})}, nil
}

// reference is the name of an image as a relative reference: the colon of a port would make
// a scheme of the host (RFC 3986, section 4.2).
func reference(image string) string {
	host, path, _ := strings.Cut(image, "/")
	return strings.ReplaceAll(host, ":", "%3A") + "/" + path
}

func sarifRuleOf(f *account.Finding) sarifRule {
	told := wire.FindingOf(f)
	r := sarifRule{
		ID: f.ID, HelpURI: "https://osv.dev/vulnerability/" + url.PathEscape(f.ID),
		Properties: map[string]any{"aliases": told.Aliases, "severity": told.Severity.Level},
	}
	if f.Summary != "" {
		r.Short = &sarifText{f.Summary}
	}
	if s := told.Severity.Score; s != nil {
		r.Properties["security-severity"] = decimal(s) // as GitHub code scanning reads it
	}
	return r
}

func sarifResultOf(f *account.Finding, image string) sarifResult {
	r := sarifResult{
		RuleID: f.ID, Level: "warning", Message: sarifText{f.Why},
		Locations:    []sarifLocation{{sarifPhysical{sarifArtifact{reference(image)}}, []sarifLogical{{f.PURL}}}},
		Fingerprints: map[string]string{"purlAdvisory/v1": f.PURL + " " + f.ID},
		Properties:   map[string]any{"occurrence": f.Occurrence, "fixed": append([]string{}, f.Fixed...)},
	}
	switch f.Severity.Level {
	case "critical", "high":
		r.Level = "error"
	case "low", "none":
		r.Level = "note"
	}
	if f.Why == "" {
		r.Message.Text = f.ID
	}
	if f.Suppressed() {
		s := f.Statement
		r.Suppressions = []sarifSuppression{{"external", "accepted", s.Status + " " + s.Justification + " (" + s.Author + ", " + s.Origin + ")"}}
	}
	return r
}

// decimal is a score with its one decimal, empty when there is none.
func decimal(n *float64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatFloat(*n, 'f', 1, 64)
}
