package api

import (
	"net/http"
	"reflect"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/badge"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/registry/hook"
)

// Paths that several operations begin with.
const (
	componentPath = wire.Base + "/components/{repository}"
	releasePath   = componentPath + "/releases/{name}"
)

func shape[T any]() reflect.Type { return reflect.TypeFor[T]() }

// declare lists all operations.
func (a *API) declare() []*operation {
	var all []*operation
	for _, some := range [][]operation{a.ofComponents(), a.ofReleases(), a.ofDocuments(), a.ofDossiers(), a.ofAdvisories(), a.ofWork(), a.ofHooks(), a.ofKept(), a.ofOthers()} {
		for i := range some {
			o := &some[i]
			if o.method == "" {
				o.method = http.MethodGet
			}
			all = append(all, o)
		}
	}
	return all
}

func (a *API) ofComponents() []operation {
	missing := []int{http.StatusNotFound}
	return []operation{
		{
			id: "list-components", path: wire.Base + "/components", tag: "components", summary: "All components, as the overview shows them",
			endpoint: to((*API).components), gives: shape[wire.List[wire.Component]](), paged: true,
		},
		{
			id: "get-component", path: componentPath, tag: "components", summary: "A component",
			endpoint: to((*API).component), gives: shape[wire.Component](), errors: missing,
		},
		{
			id: "list-component-releases", path: componentPath + "/releases", tag: "components", summary: "The releases of a component",
			endpoint: to((*API).componentReleases), gives: shape[wire.List[wire.Release]](), errors: missing, paged: true,
		},
		{
			id: "list-component-kpis", path: componentPath + "/kpis", tag: "components",
			summary:  "Build duration, critical findings and size of each release of a component",
			endpoint: to((*API).kpis), gives: shape[wire.List[wire.KPI]](), errors: missing, paged: true,
		},
		{
			id: "list-component-repairs", path: componentPath + "/repairs", tag: "components",
			summary:     "How long critical vulnerabilities of a component took to be fixed",
			description: "Those of its newest " + itoa(account.RepairsOf) + " releases, of pre-releases only where there is nothing else. What only older ones had is left out.",
			endpoint:    to((*API).repairs), gives: shape[wire.List[wire.Repair]](), errors: missing, paged: true,
		},
		{
			id: "list-releases", path: wire.Base + "/releases", tag: "releases", summary: "The releases of all components",
			endpoint: to((*API).releases), gives: shape[wire.List[wire.Release]](), paged: true,
		},
	}
}

func (a *API) ofReleases() []operation {
	missing := []int{http.StatusNotFound}
	return []operation{
		{
			id: "get-release", path: releasePath, tag: "releases", summary: "A release with its evidence, documents and layers",
			endpoint: to((*API).release), gives: shape[wire.ReleaseDetail](), errors: missing,
		},
		{
			id: "list-verdicts", path: releasePath + "/verdicts", tag: "releases", summary: "The history of verdicts of a release, newest first, the one at release last",
			endpoint: to((*API).verdicts), gives: shape[wire.List[wire.Verdict]](), errors: missing, paged: true,
		},
		{
			id: "list-evidence-changes", path: releasePath + "/changes", tag: "releases", summary: "The changes of the evidence of a release, newest first",
			endpoint: to((*API).evidenceChanges), gives: shape[wire.List[wire.EvidenceChange]](), errors: missing, paged: true,
		},
		{
			id: "list-findings", path: releasePath + "/findings", tag: "findings", summary: "The findings of a release, then and now",
			endpoint: to((*API).findings), gives: shape[wire.List[wire.Finding]](), errors: missing, paged: true,
		},
		{
			id: "export-findings-csv", path: releasePath + "/findings.csv", tag: "findings", summary: "The findings of a release as CSV (RFC 4180)",
			description: csvDescription, endpoint: to((*API).findingsCSV), media: []string{csvType}, errors: missing,
		},
		{
			id: "export-findings-sarif", path: releasePath + "/findings.sarif", tag: "findings", summary: "The findings of a release as SARIF 2.1.0",
			description: "What could not be told is a notification, and the execution is not successful then: an empty list of results is not \"none\".",
			endpoint:    to((*API).findingsSARIF), media: []string{sarifType}, errors: missing,
		},
		{
			id: "list-packages", path: releasePath + "/packages", tag: "packages", summary: "The packages of a release",
			endpoint: to((*API).packages), gives: shape[wire.List[wire.Package]](), errors: missing, paged: true,
		},
		{
			id: "export-packages-csv", path: releasePath + "/packages.csv", tag: "packages", summary: "The packages of a release as CSV (RFC 4180)",
			description: csvDescription, endpoint: to((*API).packagesCSV), media: []string{csvType}, errors: missing,
		},
		{
			id: "compare-releases", path: wire.Base + "/compare", tag: "releases", summary: "What differs between two releases",
			description: "Of each of the lists of packages the answer has a part, by name, and the total. A list goes on where its cursor says, and begins anew without one.",
			endpoint:    to((*API).compare), gives: shape[wire.Comparison](), errors: missing,
		},
		{
			id: "search", path: wire.Base + "/search", tag: "search",
			summary:     "Releases by package, with @version or @range, by advisory, by digest or by name",
			description: "They are sorted by when they were first seen, and those that ship a package by when their SBOM was read.",
			endpoint:    to((*API).search), gives: shape[wire.Found](), paged: true,
		},
		{
			id: "get-verdict", path: wire.Base + "/verdicts/{digest}", tag: "verdicts", summary: "Whether an image may be used, for CI and admission",
			description: "One request by the digest of an index or of a platform. The answer is 200 for a digest that is known, whatever the result; only pass is a pass. " +
				"A digest that is not known is 404, which is unknown: not a pass. Of several releases with the digest the worst counts.",
			endpoint: to((*API).verdict), gives: shape[wire.DigestVerdict](), errors: missing, cache: cacheShort,
		},
	}
}

func (a *API) ofDocuments() []operation {
	chosen := []int{http.StatusNotFound, http.StatusConflict}
	return []operation{
		{
			id: "get-sbom", path: releasePath + "/sbom", tag: "documents", summary: "The SBOM of a release, byte for byte as it was attested",
			description: "The ETag is the digest of the bytes. Where there are several, platform and format choose; the problem lists them.",
			endpoint:    to((*API).sbom), media: []string{"application/spdx+json", "application/vnd.cyclonedx+json", "application/octet-stream"}, errors: chosen,
		},
		{
			id: "upload-sbom", method: http.MethodPost, path: releasePath + "/sbom", tag: "documents", scope: grant.Upload, status: http.StatusAccepted,
			summary:     "Hand in the SBOM of an image whose registry cannot hold it",
			description: "It has to be SPDX 2.x or CycloneDX 1.x as JSON. It is marked as uploaded, and by whom, and is not verified. An image that has a verified one keeps that. The worker takes it in; watch says where to see that it did.",
			endpoint:    to((*API).upload), gives: shape[wire.Receipt](),
			accepts: []string{"application/spdx+json", "application/vnd.cyclonedx+json", "application/json"},
			errors: []int{
				http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
			},
		},
		{
			id: "get-vex", path: releasePath + "/vex", tag: "documents", summary: "A VEX document of a release, byte for byte",
			description: "Where there are several, platform or document chooses; the problem lists them.",
			endpoint:    to((*API).vex), media: []string{"application/vnd.openvex+json"}, errors: chosen,
		},
		{
			id: "get-receipt", path: releasePath + "/receipt", tag: "documents", summary: "The gate receipt of a release, the predicate byte for byte",
			description: "The SLSA verification summary of what let it out, of a verified attestation: the policy, the counts, the advisory data and the waivers then. Where there are several, platform or document chooses; the problem lists them.",
			endpoint:    to((*API).receipt), media: []string{"application/json"}, errors: chosen,
		},
		{
			id: "list-documents", path: releasePath + "/documents", tag: "documents", summary: "The documents that count for a release, or were attached to it",
			endpoint: to((*API).documents), gives: shape[wire.List[wire.Document]](), errors: []int{http.StatusNotFound}, paged: true,
		},
		{
			id: "get-document", path: wire.Base + "/documents/{digest}", tag: "documents", summary: "A document by its digest, byte for byte",
			endpoint: to((*API).documentBytes), errors: []int{http.StatusNotFound}, cache: cacheEver,
			media: []string{
				"application/spdx+json", "application/vnd.cyclonedx+json", "application/vnd.openvex+json", "application/json", "application/octet-stream",
			},
		},
	}
}

func (a *API) ofDossiers() []operation {
	asked := []int{http.StatusNotFound, http.StatusConflict}
	return []operation{
		{
			id: "ask-dossier", method: http.MethodPost, path: releasePath + "/dossier", tag: "dossiers", scope: grant.Read, least: access.Auditor, status: http.StatusAccepted,
			summary: "Ask for a dossier of the papers of a release",
			description: "The worker makes one file of everything that was published beside the image, which tallyman dossier verify checks without a network, and it can be had for 24 hours. " +
				"Layers are not in it. One that is being made, or is kept and not outdated, is not made again; state says which.",
			endpoint: to((*API).askDossier), gives: shape[wire.Dossier](), errors: asked,
		},
		{
			id: "get-dossier", path: releasePath + "/dossier", tag: "dossiers", summary: "The dossier of the papers of a release, a file",
			description: "404 says how to ask for it. While it is being made the answer is 409, and Retry-After says when to come back. The ETag is the digest of the file.",
			endpoint:    to((*API).dossier), media: []string{dossierType}, errors: asked,
		},
		{
			id: "get-dossier-state", path: releasePath + "/dossier/state", tag: "dossiers", summary: "How the dossier of a release stands",
			endpoint: to((*API).dossierState), gives: shape[wire.Dossier](), errors: []int{http.StatusNotFound},
		},
	}
}

func (a *API) ofAdvisories() []operation {
	missing := []int{http.StatusNotFound}
	return []operation{
		{
			id: "get-advisory-data", path: wire.Base + "/feeds", tag: "advisories", summary: "The feeds of advisories, and how old their data are",
			endpoint: to((*API).feeds), gives: shape[wire.AdvisoryData](),
		},
		{
			id: "list-advisories", path: wire.Base + "/advisories", tag: "advisories", summary: "Advisories",
			endpoint: to((*API).advisories), gives: shape[wire.List[wire.Advisory]](), paged: true,
		},
		{
			id: "get-advisory", path: wire.Base + "/advisories/{id}", tag: "advisories", summary: "An advisory with its record and the versions of it that were seen",
			endpoint: to((*API).advisory), gives: shape[wire.AdvisoryDetail](), errors: missing,
		},
		{
			id: "list-advisory-releases", path: wire.Base + "/advisories/{id}/releases", tag: "advisories", summary: "The releases that an advisory is about",
			endpoint: to((*API).advisoryReleases), gives: shape[wire.List[wire.Hit]](), errors: missing, paged: true,
		},
		{
			id: "list-new-findings", path: wire.Base + "/findings", tag: "findings", summary: "Findings that came up in releases that were there already",
			endpoint: to((*API).newFindings), gives: shape[wire.List[wire.NewFinding]](), paged: true,
		},
	}
}

func (a *API) ofWork() []operation {
	missing := []int{http.StatusNotFound}
	asked := []int{http.StatusNotFound, http.StatusConflict}
	return []operation{
		{
			id: "list-activity", path: wire.Base + "/activity", tag: "activity", summary: "What came in and what it did",
			endpoint: to((*API).activity), gives: shape[wire.List[wire.Wave]](), paged: true,
		},
		{
			id: "get-wave", path: wire.Base + "/waves/{id}", tag: "activity", summary: "Something that came in, with what it did",
			description: "Of each of its three lists the answer has a part and the total. A list goes on where its cursor says, and begins anew without one.",
			endpoint:    to((*API).wave), gives: shape[wire.WaveDetail](), errors: missing,
		},
		{
			id: "list-progress", path: wire.Base + "/progress", tag: "activity", summary: "How far jobs are: those that run, then those that ended last",
			description: "What ended is forgotten after an hour. Of all there are at most 200, of a release as many as there are; unknown_because says when there are more.",
			endpoint:    to((*API).progress), gives: shape[wire.List[wire.Progress]](), errors: missing, paged: true,
		},
		{
			id: "get-queue", path: wire.Base + "/queue", tag: "activity", summary: "How many jobs wait, run and failed",
			endpoint: to((*API).queue), gives: shape[wire.Queue](),
		},
		{
			id: "get-component-rescan", path: componentPath + "/rescan", tag: "activity", summary: "How far the latest request is for a look at a repository",
			endpoint: to((*API).componentRescan), gives: shape[wire.Rescan](), errors: missing,
		},
		{
			id: "get-release-rescan", path: releasePath + "/rescan", tag: "activity", summary: "How far the latest request is for a look at the papers of a release",
			endpoint: to((*API).releaseRescan), gives: shape[wire.Rescan](), errors: missing,
		},
		{
			id: "rescan-component", method: http.MethodPost, path: componentPath + "/rescan", tag: "activity", scope: grant.Rescan, status: http.StatusAccepted,
			summary: "Ask for a look at a repository now", endpoint: to((*API).rescanComponent), gives: shape[wire.Accepted](), errors: asked,
		},
		{
			id: "rescan-release", method: http.MethodPost, path: releasePath + "/rescan", tag: "activity", scope: grant.Rescan, status: http.StatusAccepted,
			summary: "Ask for a look at the papers of a release now", endpoint: to((*API).rescanRelease), gives: shape[wire.Accepted](), errors: asked,
		},
	}
}

func (a *API) ofHooks() []operation {
	return []operation{{
		id: "announce", method: http.MethodPost, path: wire.Base + "/hooks/{kind}", tag: "hooks", public: true, status: http.StatusAccepted,
		summary: "A registry tells of a push, so that it is looked at now",
		description: "It is known by the secret that it shares with web (hooks.secret): in Authorization as a bearer token, as the password of any user, or alone, or by a signature of the message in X-Hub-Signature-256. " +
			"Of the repositories that it names those that are watched are looked at. The same message again does no harm.",
		endpoint: to((*API).announced), read: a.receiveHook, most: hook.MaxBody, gives: shape[wire.Announced](),
		accepts: []string{
			"application/json", "application/cloudevents+json", "application/vnd.docker.distribution.events.v1+json", "application/vnd.docker.distribution.events.v2+json",
		},
		errors: []int{http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType},
	}}
}

func (a *API) ofOthers() []operation {
	missing := []int{http.StatusNotFound}
	return []operation{
		{
			id: "get-component-badge", path: wire.Base + "/badges/{repository}/{badge}", tag: "badges", summary: "A badge of the latest release of a component, SVG",
			endpoint: to((*API).componentBadge), media: []string{badge.ContentType}, errors: missing, embedded: true,
		},
		{
			id: "get-release-badge", path: wire.Base + "/badges/{repository}/{name}/{badge}", tag: "badges", summary: "A badge of a release, SVG",
			endpoint: to((*API).releaseBadge), media: []string{badge.ContentType}, errors: missing, embedded: true,
		},
		{
			id: "get-releases-atom", path: wire.Base + "/atom/releases", tag: "feeds", summary: "The newest releases as an Atom feed (RFC 4287)",
			endpoint: to((*API).releasesAtom), media: []string{atomType}, errors: missing,
		},
		{
			id: "get-findings-atom", path: wire.Base + "/atom/findings", tag: "feeds", summary: "The newest findings as an Atom feed (RFC 4287)",
			endpoint: to((*API).findingsAtom), media: []string{atomType},
		},
		{
			id: "get-metrics", path: wire.Base + "/metrics", tag: "metrics", summary: "Build duration and critical findings of the newest releases, for Prometheus",
			description: "The text format 0.0.4. What is not known has no sample; the gauges whose names end in _known tell it apart from 0.",
			endpoint:    to((*API).metrics), media: []string{"text/plain"}, cache: cacheNever,
		},
		{
			id: "get-openapi", path: wire.Base + "/openapi.json", tag: "document", summary: "This document",
			endpoint: to((*API).openAPI), media: []string{"application/openapi+json"},
		},
	}
}
