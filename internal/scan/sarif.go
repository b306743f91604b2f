package scan

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

// The parts of SARIF 2.1.0 that are written
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html).
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
		Properties map[string]any `json:"properties,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
		Properties    map[string]any      `json:"properties,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   map[string]any    `json:"properties,omitempty"`
		// Suppressions is absent where nothing suppresses the result (3.27.23).
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	// sarifSuppression is external: it stands outside of what was scanned (3.35.2).
	sarifSuppression struct {
		Kind          string         `json:"kind"`
		Status        string         `json:"status"`
		Justification string         `json:"justification"`
		Properties    map[string]any `json:"properties"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
		} `json:"physicalLocation"`
		Logical []sarifLogical `json:"logicalLocations"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
	}
)

// WriteSARIF writes the documents for tools that show code scanning results. What
// could not be told is a notification: an empty list of results is not "none".
func WriteSARIF(out io.Writer, data Data, documents []Document, version string) error {
	invocation := sarifInvocation{Successful: true, Properties: map[string]any{"advisories": describe(data)}}
	run := sarifRun{
		Tool:    sarifTool{sarifDriver{Name: "tallyman", Version: version, InformationURI: "https://github.com/tallyman-io/tallyman", Rules: []sarifRule{}}},
		Results: []sarifResult{},
	}
	known := make(map[string]bool)
	for i := range documents {
		d := &documents[i]
		if d.Err != nil {
			invocation.Successful = false
		}
		invocation.Notifications = append(invocation.Notifications, notes(d)...)
		for _, u := range d.Unknown {
			if u.Repeated {
				continue
			}
			invocation.Notifications = append(invocation.Notifications, sarifNotification{"warning", sarifText{d.Source + ": " + u.PURL + ": " + u.Reason}})
		}
		for j := range d.Findings {
			f := &d.Findings[j]
			if f.Repeated {
				continue
			}
			if !known[f.ID] {
				known[f.ID] = true
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule(f))
			}
			run.Results = append(run.Results, result(d, f))
		}
	}
	run.Invocations = []sarifInvocation{invocation}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}); err != nil {
		return fmt.Errorf("write SARIF: %w", err)
	}
	return nil
}

func rule(f *Finding) sarifRule {
	r := sarifRule{ID: f.ID, HelpURI: "https://osv.dev/vulnerability/" + f.ID}
	if f.Summary != "" {
		r.Short = &sarifText{f.Summary}
	}
	r.Properties = map[string]any{"aliases": list(f.Aliases), "severity": f.Severity.String()}
	if s := score(f.Severity); s != nil {
		r.Properties["security-severity"] = fmt.Sprintf("%.1f", *s) // as GitHub code scanning reads it
	}
	return r
}

func result(d *Document, f *Finding) sarifResult {
	r := sarifResult{
		RuleID: f.ID, Level: "warning", Message: sarifText{f.Why},
		Fingerprints: map[string]string{"purlAdvisory/v1": f.PURL + " " + f.ID},
	}
	switch {
	case f.Severity.Level >= advisory.High:
		r.Level = "error"
	case f.Severity.Level == advisory.Low, f.Severity.Level == advisory.None:
		r.Level = "note"
	}
	var l sarifLocation
	l.Physical.Artifact.URI = d.Source
	if d.Paper != nil {
		l.Physical.Artifact.URI = d.Paper.Image
		r.Properties = map[string]any{"sbom": d.Source, "verified": d.Paper.Verified}
	}
	l.Logical = []sarifLogical{{f.PURL}}
	r.Locations = []sarifLocation{l}
	if f.Suppressed {
		r.Suppressions = []sarifSuppression{{"external", "accepted", f.VEX.String(), map[string]any{"vex": statementJSON(f)}}}
	}
	return r
}
