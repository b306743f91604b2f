package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Fleet makes releases as a company has them: a few hundred modules that nearly
// everything ships, thousands that few do, and versions that move slowly from one
// release to the next. Equal seeds make equal fleets.
type Fleet struct {
	seed uint64
	// Modules are the names of the Go modules, the popular ones first.
	Modules []string
	// Each is how many packages a release ships.
	Each int
}

// NewFleet returns a fleet of releases with each so many packages.
func NewFleet(seed uint64, modules, each int) *Fleet {
	f := &Fleet{seed: seed, Each: each}
	f.Modules = append(f.Modules, "stdlib")
	for i := 1; i < modules; i++ {
		f.Modules = append(f.Modules, fmt.Sprintf("example.com/team%d/module%d", i%97, i))
	}
	return f
}

// Version is the version of a module in the release of a number: a new one every
// hundred releases or so, differently for each module. With twenty services that is
// one in five releases of each.
func Version(module, number int) string {
	if module == 0 { // stdlib
		return fmt.Sprintf("1.%d.%d", 20+number/150%7, number/15%10)
	}
	return fmt.Sprintf("1.%d.%d", (number+7*module)/100%40, module%5)
}

// Packages returns what the release of a number ships, as purls.
func (f *Fleet) Packages(number int) []release.Package {
	random := rand.New(rand.NewPCG(f.seed, uint64(number))) //nolint:gosec // not for secrets
	packages := make([]release.Package, 0, f.Each)
	taken := make(map[int]bool, f.Each)
	for len(packages) < min(f.Each, len(f.Modules)) {
		// Squared, so that the first modules are in nearly every release.
		x := random.Float64()
		i := int(x * x * float64(len(f.Modules)))
		if len(packages) == 0 {
			i = 0
		}
		if taken[i] {
			continue
		}
		taken[i] = true
		name, version := f.Modules[i], Version(i, number)
		purl := "pkg:golang/" + name + "@v" + version
		if i == 0 {
			purl = "pkg:golang/stdlib@" + version
		}
		packages = append(packages, release.Package{PURL: purl, Name: name, Version: version, Licences: []string{"MIT"}})
	}
	return packages
}

// Image returns the image and the version of the release of a number.
func (f *Fleet) Image(repository string, number int, at time.Time) (release.Image, string) {
	digest := DigestOf(fmt.Sprintf("%s#%d", repository, number))
	return release.Image{
		Repository: repository, Digest: digest, MediaType: "application/vnd.oci.image.index.v1+json", Created: at,
		Platforms: []release.Platform{{OS: "linux", Architecture: "amd64", Digest: DigestOf("amd64 " + string(digest)), CompressedSize: 1}},
	}, fmt.Sprintf("v1.%d.0", number)
}

// DigestOf is a digest that stands for a name.
func DigestOf(name string) release.Digest {
	sum := sha256.Sum256([]byte(name))
	return release.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// SPDX writes packages as an SPDX 2.3 document.
func SPDX(name string, packages []release.Package) []byte {
	type ref struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	type entry struct {
		ID       string `json:"SPDXID"`
		Name     string `json:"name"`
		Version  string `json:"versionInfo"`
		Licence  string `json:"licenseDeclared"`
		External []ref  `json:"externalRefs"`
	}
	document := struct {
		Version  string  `json:"spdxVersion"`
		ID       string  `json:"SPDXID"`
		Name     string  `json:"name"`
		Packages []entry `json:"packages"`
	}{Version: "SPDX-2.3", ID: "SPDXRef-DOCUMENT", Name: name}
	for i, p := range packages {
		document.Packages = append(document.Packages, entry{
			ID: fmt.Sprintf("SPDXRef-Package-go-module-%d", i), Name: p.Name, Version: p.Version, Licence: "MIT",
			External: []ref{{"PACKAGE-MANAGER", "purl", p.PURL}},
		})
	}
	raw, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return raw
}

// Advisory writes an OSV record of a Go module: all versions up to fixed are affected.
func Advisory(id, module, fixed string, modified time.Time, score string) []byte {
	record := map[string]any{
		"schema_version": "1.6.0", "id": id, "modified": modified.UTC().Format(time.RFC3339), "published": modified.UTC().Format(time.RFC3339),
		"summary": "A vulnerability of " + module,
		"affected": []any{map[string]any{
			"package": map[string]any{"ecosystem": "Go", "name": module},
			"ranges":  []any{map[string]any{"type": "SEMVER", "events": []any{map[string]any{"introduced": "0"}, map[string]any{"fixed": fixed}}}},
		}},
	}
	if score != "" {
		record["severity"] = []any{map[string]any{"type": "CVSS_V3", "score": score}}
	}
	raw, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	return raw
}
