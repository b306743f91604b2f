package console

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/release"
)

// download is a file that the API makes from what is known.
type download struct{ Label, Says, URL string }

func downloads(r *account.Release) []download {
	at := wire.ReleasePath(wire.RefOf(&r.Standing))
	return []download{
		{"Packages, CSV", "name, version, purl, licences and findings of each", at + "/packages.csv"},
		{"Findings, SARIF", "for code scanning and other tools", at + "/findings.sarif"},
		{"Findings, CSV", "then, now, and what VEX says", at + "/findings.csv"},
	}
}

// dossier is how the dossier of a release stands.
type dossier struct {
	State state
	Says  string
	// URL is where it can be had; empty where it cannot.
	URL string
	// Ask: somebody may have it made.
	Ask bool
}

func newDossier(d *account.Dossier, r *account.Release, p *page) dossier {
	v := dossier{Ask: true}
	switch d.State {
	case account.DossierReady:
		v.URL = wire.ReleasePath(wire.RefOf(&r.Standing)) + "/dossier"
		v.Says = fmt.Sprintf("%s, made %s, kept until %s; its digest is %s", size(d.Size), newMoment(d.MadeAt, p.at).Ago, newMoment(d.ExpiresAt, p.at).Full, d.Digest)
		if v.Ask = d.Outdated; d.Outdated {
			v.State = state{Class: "unknown", Word: "Old"}
			v.Says += "; evidence has changed since"
		}
	case account.DossierMaking:
		v.Ask, v.State = false, state{Class: "running", Word: "Being made"}
		v.Says = "asked for " + newMoment(d.AskedAt, p.at).Ago + "; reload to see whether it is there"
	case account.DossierFailed:
		v.State, v.Says = state{Class: "bad", Word: "Failed"}, "it could not be made: "+d.Failure
	default:
		v.Says = "one file with everything that was published beside the image, which tallyman dossier verify checks without a network; none is made yet"
	}
	return v
}

// longestFilter is the longest text that the API looks for in a list, in bytes.
const longestFilter = 200

// listDownloads are a list of a release as files, chosen as the page has it: pairs of
// parameter and value. None where there is no API, or none that takes them.
func (c *Console) listDownloads(r *account.Release, list string, pairs ...string) []download {
	if c.docs() == "" {
		return nil
	}
	for _, text := range pairs {
		if len(text) > longestFilter {
			return nil
		}
	}
	at := wire.ReleasePath(wire.RefOf(&r.Standing)) + "/" + list
	all := []download{{Label: "This list as CSV", URL: withQuery(at+".csv", pairs...)}}
	if list == "findings" {
		all = append(all, download{Label: "This list as SARIF", URL: withQuery(at+".sarif", pairs...)})
	}
	return all
}

// document is a document that can be had.
type document struct {
	Name, On, URL string
	Digest        string
	State         state
	Signer        string
	Uploaded      string
	Size          string
	Packages      string
	Failure       string
}

// newDocuments has one line for each document, about however many manifests it is.
func newDocuments(all []account.Document) []document {
	var list []document
	for i := range all {
		d := newDocument(all[i])
		same := slices.IndexFunc(list, func(o document) bool {
			return o.Digest == d.Digest && o.Name == d.Name && o.State == d.State && o.Signer == d.Signer && o.Uploaded == d.Uploaded
		})
		if same < 0 {
			list = append(list, d)
		} else {
			list[same].On += ", " + d.On
		}
	}
	return list
}

func newDocument(d account.Document) document {
	v := document{
		Name: documentName(d), On: d.On, URL: documentURL(d.Digest), Digest: string(d.Digest),
		Signer: d.Signer, Uploaded: d.Uploaded, Size: size(d.Size), Failure: d.Failure,
		State: state{Class: "absent", Word: "Not verified"},
	}
	switch {
	case d.Verified:
		v.State = evidenceState(release.StateVerified)
	case d.Uploaded != "":
		v.State.Word = "Uploaded"
	}
	if d.Kind == release.PaperSBOM {
		v.Packages = plural(d.Packages, "package")
		if d.Unidentified > 0 {
			v.Packages += fmt.Sprintf(", %d of them without a purl", d.Unidentified)
		}
	}
	return v
}

// documentName says what a document is.
func documentName(d account.Document) string {
	if d.Kind == release.PaperSBOM {
		return strings.TrimSpace("SBOM " + strings.TrimSpace(d.Format+" "+d.Version))
	}
	return kindName(d.Kind)
}
