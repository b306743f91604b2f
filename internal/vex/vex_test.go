package vex_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/vex"
)

const (
	index  = release.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")
	amd64  = release.Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")
	arm64  = release.Digest("sha256:3333333333333333333333333333333333333333333333333333333333333333")
	others = release.Digest("sha256:4444444444444444444444444444444444444444444444444444444444444444")
)

// example reads one of the specification's examples
// (github.com/openvex/spec@d29fab0c81cf; commas that it forgets, or has too many of,
// are put right).
func example(t *testing.T, name string) vex.Document {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := vex.Read(name, f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestExamplesOfTheSpecification(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file       string
		names      []string
		purl       string
		status     vex.Status
		suppressed bool
	}{
		"fixed, of an architecture":       {"spec-minimal.json", []string{"CVE-2023-12345"}, "pkg:apk/wolfi/git@2.39.0-r1?arch=x86_64&distro=wolfi", vex.StatusFixed, true},
		"of another architecture":         {"spec-minimal.json", []string{"CVE-2023-12345"}, "pkg:apk/wolfi/git@2.39.0-r1?arch=aarch64", "", false},
		"of another version":              {"spec-minimal.json", []string{"CVE-2023-12345"}, "pkg:apk/wolfi/git@2.39.0-r2?arch=x86_64", "", false},
		"without an architecture":         {"spec-minimal.json", []string{"CVE-2023-12345"}, "pkg:apk/wolfi/git@2.39.0-r1", "", false},
		"another vulnerability":           {"spec-minimal.json", []string{"CVE-2023-12346"}, "pkg:apk/wolfi/git@2.39.0-r1?arch=x86_64", "", false},
		"before the update":               {"spec-update-before.json", []string{"CVE-2023-12345"}, "pkg:apk/wolfi/git@2.39.0-r1?arch=armv7", vex.StatusUnderInvestigation, false},
		"after the update":                {"spec-update-after.json", []string{"CVE-2023-12345"}, "pkg:apk/wolfi/git@2.39.0-r1?arch=armv7", vex.StatusFixed, true},
		"not affected, by its name":       {"spec-spring.json", []string{"CVE-2021-44228"}, "pkg:maven/org.springframework.boot/spring-boot@2.6.0-M3", vex.StatusNotAffected, true},
		"not affected, by an alias":       {"spec-spring.json", []string{"ghsa-jfh8-c2jp-5v3q"}, "pkg:maven/org.springframework.boot/spring-boot@2.6.0-M3?type=jar", vex.StatusNotAffected, true},
		"of all structures, by the @id":   {"spec-structs.json", []string{"DSA-4686-1"}, "pkg:apk/wolfi/product@1.23.0-r1?arch=armv7", vex.StatusFixed, true},
		"of all structures, by its purl":  {"spec-structs.json", []string{"USN-4495"}, "pkg:maven/org.apache.logging.log4j/log4j-core@2.4", vex.StatusFixed, true},
		"of all structures, neither name": {"spec-structs.json", []string{"USN-4495"}, "pkg:maven/org.apache.logging.log4j/log4j-api@2.4", "", false},
	} {
		statement, suppressed := vex.NewSet(example(t, c.file)).Apply(vex.Image{}, vex.Finding{Names: c.names, PURLs: []string{c.purl}}, now)
		if statement.Status != c.status || suppressed != c.suppressed {
			t.Errorf("%s: got %q, suppressed %t", name, statement.Status, suppressed)
		}
	}
}

func TestStatementSaysWhoAndWhy(t *testing.T) {
	t.Parallel()
	statement := example(t, "spec-spring.json").Statements[0]
	const want = "not affected (vulnerable_code_not_in_execute_path) according to Spring Builds <spring-builds@users.noreply.github.com>, file spec-spring.json: Spring Boot users are only"
	if got := statement.String(); !strings.HasPrefix(got, want) {
		t.Errorf("got %s", got)
	}
	statement.Origin = vex.Origin{Paper: amd64, Signer: release.Signer{Key: "release"}}
	if got := statement.String(); !strings.Contains(got, "attestation "+string(amd64)+" signed by key release") {
		t.Errorf("got %s", got)
	}
}

// TestAttestationOfTheSpecification has statements without products: the subject of
// the attestation is theirs.
func TestAttestationOfTheSpecification(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("testdata", "spec-attestation.json"))
	if err != nil {
		t.Fatal(err)
	}
	var attestation struct{ Predicate json.RawMessage }
	if err := json.Unmarshal(raw, &attestation); err != nil {
		t.Fatal(err)
	}
	d, err := vex.Parse(attestation.Predicate, vex.Origin{Paper: others}, index)
	if err != nil {
		t.Fatal(err)
	}
	finding := vex.Finding{Names: []string{"CVE-2023-12345"}, PURLs: []string{"pkg:apk/wolfi/git@1"}}
	for name, c := range map[string]struct {
		image vex.Image
		want  bool
	}{
		"its subject":               {vex.Image{Digest: index}, true},
		"a platform of its subject": {vex.Image{Digest: index, Platforms: []vex.Platform{{amd64, "amd64"}}}, true},
		"another image":             {vex.Image{Digest: others}, false},
		"no image":                  {vex.Image{}, false},
	} {
		if _, got := vex.NewSet(d).Apply(c.image, finding, now); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
	if _, err := vex.Parse(attestation.Predicate, vex.Origin{File: "x.json"}, ""); err == nil || !strings.Contains(err.Error(), "file x.json: statements[0]: products: expected at least one, found none") {
		t.Errorf("a file has no subject: got %v", err)
	}
}

// document makes one of statements.
func document(t *testing.T, statements ...string) vex.Document {
	t.Helper()
	return parse(t, "2026-01-01T00:00:00Z", 1, statements...)
}

func parse(t *testing.T, at string, version int, statements ...string) vex.Document {
	t.Helper()
	d, err := vex.Parse([]byte(text(at, version, statements...)), vex.Origin{File: "x.json"}, "")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func text(at string, version int, statements ...string) string {
	return fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://openvex.dev/docs/example/%s","author":"A","timestamp":%q,"version":%d,"statements":[%s]}`,
		at, at, version, strings.Join(statements, ","))
}

func notAffected(product string) string {
	return `{"vulnerability":{"name":"CVE-1"},"products":[` + product + `],"status":"not_affected","justification":"component_not_present"}`
}

func TestProducts(t *testing.T) {
	t.Parallel()
	const pkg = "pkg:golang/example.com/Mod@v1.2.3?type=module"
	image := vex.Image{Repository: "index.docker.io/acme/web", Tag: "v1.0.0", Digest: index, Platforms: []vex.Platform{{amd64, "amd64"}}}
	both := image
	both.Platforms = []vex.Platform{{amd64, "amd64"}, {arm64, "arm64"}}
	sub := func(product, purl string) string {
		return `{"@id":"` + product + `","subcomponents":[{"@id":"` + purl + `"}]}`
	}
	id := func(product string) string { return `{"@id":"` + product + `"}` }
	for name, c := range map[string]struct {
		product string
		image   vex.Image
		want    bool
	}{
		"the index by digest":                     {id("pkg:oci/web@" + string(index)), image, true},
		"the index, escaped, lying elsewhere":     {id("pkg:oci/web@sha256%3A" + string(index[7:]) + "?repository_url=ghcr.io/acme/web&tag=x"), image, true},
		"the platform by digest":                  {id("pkg:oci/web@" + string(amd64)), image, true},
		"another digest":                          {id("pkg:oci/web@" + string(others)), image, false},
		"a digest as @id":                         {id(string(index)), image, true},
		"an image with its digest as @id":         {id("ghcr.io/acme/web@" + string(index)), image, true},
		"a hash":                                  {`{"hashes":{"sha-256":"` + string(amd64[7:]) + `"}}`, image, true},
		"another hash":                            {`{"hashes":{"sha-256":"` + string(others[7:]) + `"}}`, image, false},
		"a hash of another kind":                  {`{"hashes":{"sha-512":"` + string(amd64[7:]) + `"}}`, image, false},
		"the repository":                          {id("pkg:oci/web?repository_url=docker.io/acme/web"), image, true},
		"the repository without its name":         {id("pkg:oci/web?repository_url=https://docker.io/acme/"), image, true},
		"another repository":                      {id("pkg:oci/web?repository_url=ghcr.io/acme/web"), image, false},
		"a name":                                  {id("pkg:oci/web"), image, true},
		"another name":                            {id("pkg:oci/worker"), image, false},
		"a tag":                                   {id("pkg:oci/web?tag=v1.0.0"), image, true},
		"another tag":                             {id("pkg:oci/web?tag=v1.0.1"), image, false},
		"its architecture":                        {id("pkg:oci/web@" + string(index) + "?arch=amd64"), image, true},
		"another architecture":                    {id("pkg:oci/web@" + string(index) + "?arch=arm64"), image, false},
		"one of two architectures":                {id("pkg:oci/web@" + string(index) + "?arch=arm64"), both, false},
		"one of two platforms":                    {id("pkg:oci/web@" + string(amd64)), both, false},
		"both platforms":                          {id("pkg:oci/web@"+string(amd64)) + "," + id("pkg:oci/web@"+string(arm64)), both, true},
		"a qualifier that nothing is known of":    {id("pkg:oci/web?vcs=x"), image, false},
		"type docker, by digest":                  {id("pkg:docker/acme/web@" + string(index)), image, true},
		"type docker, by tag":                     {id("pkg:docker/acme/web@v1.0.0"), image, false},
		"no image is known":                       {id("pkg:oci/web"), vex.Image{}, false},
		"the image, in the package":               {sub("pkg:oci/web@"+string(index), pkg), image, true},
		"the image, in all versions of it":        {sub("pkg:oci/web@"+string(index), "pkg:golang/example.com/Mod"), image, true},
		"the image, in another package":           {sub("pkg:oci/web@"+string(index), "pkg:golang/example.com/other"), image, false},
		"another image, in the package":           {sub("pkg:oci/web@"+string(others), pkg), image, false},
		"the image, in what has no purl":          {`{"@id":"pkg:oci/web","subcomponents":[{"identifiers":{"cpe23":"cpe:2.3:a:x:y:1:*:*:*:*:*:*:*"}}]}`, image, false},
		"the package":                             {id(pkg), vex.Image{}, true},
		"the package in small letters, without v": {id("pkg:golang/example.com/mod@1.2.3"), vex.Image{}, true},
		"the package by its identifier":           {`{"@id":"https://example.com/x","identifiers":{"purl":"` + pkg + `"}}`, vex.Image{}, true},
		"another version of the package":          {id("pkg:golang/example.com/Mod@v1.2.4"), vex.Image{}, false},
		"a part of the package":                   {id("pkg:golang/example.com/Mod@v1.2.3#cmd"), vex.Image{}, false},
		"a package of another type":               {id("pkg:npm/example.com/Mod@v1.2.3"), vex.Image{}, false},
		"a purl that is none":                     {id("pkg:"), image, false},
	} {
		set := vex.NewSet(document(t, notAffected(c.product)))
		if _, got := set.Apply(c.image, vex.Finding{Names: []string{"CVE-1"}, PURLs: []string{pkg}}, now); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestFindingOfSeveralPackages(t *testing.T) {
	t.Parallel()
	set := vex.NewSet(document(t, notAffected(`{"@id":"pkg:deb/debian/libssl3"}`)))
	for name, c := range map[string]struct {
		purls []string
		want  bool
	}{
		"the one that is spoken of": {[]string{"pkg:deb/debian/libssl3@3?arch=amd64"}, true},
		"another as well":           {[]string{"pkg:deb/debian/libssl3@3", "pkg:deb/debian/libcrypto3@3"}, false},
		"none that is known":        {nil, false},
		"one that is no purl":       {[]string{"libssl3"}, false},
	} {
		if _, got := set.Apply(vex.Image{}, vex.Finding{Names: []string{"CVE-1"}, PURLs: c.purls}, now); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestTheLatestStatementHolds(t *testing.T) {
	t.Parallel()
	statement := func(status, at string) string {
		more := ""
		if status == "not_affected" {
			more = `,"impact_statement":"it is not used"`
		}
		if at != "" {
			more += `,"timestamp":"` + at + `"`
		}
		return `{"vulnerability":{"name":"CVE-1"},"products":[{"@id":"pkg:npm/a"}],"status":"` + status + `"` + more + `}`
	}
	const first, second = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
	for name, c := range map[string]struct {
		documents []vex.Document
		status    vex.Status
	}{
		"in one document, by time": {[]vex.Document{parse(t, first, 1, statement("fixed", second), statement("affected", first))}, vex.StatusFixed},
		"in one document, the last of one time": {
			[]vex.Document{parse(t, first, 1, statement("affected", ""), statement("not_affected", ""))},
			vex.StatusNotAffected,
		},
		"of documents, by time, in any order": {
			[]vex.Document{parse(t, second, 1, statement("affected", "")), parse(t, first, 1, statement("fixed", ""))},
			vex.StatusAffected,
		},
		"a statement's time before its document's": {
			[]vex.Document{parse(t, second, 1, statement("affected", first)), parse(t, "2026-01-15T00:00:00Z", 1, statement("fixed", ""))},
			vex.StatusFixed,
		},
		"of documents of one time, what does not suppress": {[]vex.Document{document(t, statement("under_investigation", "")), func() vex.Document {
			other := document(t, statement("fixed", ""))
			other.ID = "https://openvex.dev/docs/example/other"
			return other
		}()}, vex.StatusUnderInvestigation},
		"what a newer version no longer says": {
			[]vex.Document{parse(t, first, 1, statement("fixed", "")), parse(t, first, 2, strings.Replace(statement("fixed", ""), "CVE-1", "CVE-2", 1))},
			"",
		},
	} {
		got, suppressed := vex.NewSet(c.documents...).Apply(vex.Image{}, vex.Finding{Names: []string{"CVE-1"}, PURLs: []string{"pkg:npm/a@1.0.0"}}, now)
		if got.Status != c.status || suppressed != got.Suppresses() {
			t.Errorf("%s: got %q, suppressed %t; want %q", name, got.Status, suppressed, c.status)
		}
	}
}

func TestDocumentsThatAreNone(t *testing.T) {
	t.Parallel()
	good := text("2026-01-01T00:00:00Z", 1, notAffected(`{"@id":"pkg:npm/a"}`))
	change := func(from, to string) string {
		changed := strings.Replace(good, from, to, 1)
		if changed == good {
			t.Fatalf("%s is not in %s", from, good)
		}
		return changed
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":                    {"", "expected JSON"},
		"cut off":                  {good[:len(good)-2], "expected JSON"},
		"not UTF-8":                {good[:len(good)-1] + "\xff", "expected UTF-8"},
		"two values":               {good + "{}", "expected one JSON value"},
		"too deep":                 {strings.Repeat("[", 100), "expected at most 32 levels"},
		"too large":                {strings.Repeat(" ", 17<<20), "expected at most 16777216 bytes"},
		"a member twice":           {change(`"status":`, `"status":"affected","status":`), `expected "status" once`},
		"a member twice, by case":  {change(`"status":`, `"Status":"affected","status":`), `expected "status" once`},
		"another format":           {`{"bomFormat":"CycloneDX"}`, "@context: expected https://openvex.dev/ns/v0.2.0"},
		"another version":          {change("v0.2.0", "v0.3.0"), "found \"https://openvex.dev/ns/v0.3.0\""},
		"a list":                   {"[]", "cannot unmarshal array"},
		"the form of v0.0.1":       {change(`{"name":"CVE-1"}`, `"CVE-1"`), "cannot unmarshal string"},
		"no author":                {change(`"author":"A",`, ""), "author: expected a name"},
		"no time":                  {change(`"timestamp":"2026-01-01T00:00:00Z",`, ""), "timestamp: expected a time"},
		"a time that is none":      {change(`"timestamp":"2026-01-01T00:00:00Z"`, `"timestamp":"yesterday"`), "cannot parse"},
		"no version":               {change(`"version":1`, `"version":0`), "version: expected 1 or more, found 0"},
		"a version that is none":   {change(`"version":1`, `"version":"one"`), `version: expected a number, found "one"`},
		"no id":                    {change(`"@id":"https://openvex.dev/docs/example/2026-01-01T00:00:00Z",`, ""), "@id: expected an IRI"},
		"no statements":            {text("2026-01-01T00:00:00Z", 1), "statements: expected at least one"},
		"no vulnerability":         {change(`"name":"CVE-1"`, ""), "statements[0]: vulnerability.name: expected an id"},
		"no status":                {change(`"status":"not_affected",`, ""), `status: expected not_affected, affected, fixed or under_investigation, found ""`},
		"another status":           {change("not_affected", "ignored"), `found "ignored"`},
		"no reason":                {change(`,"justification":"component_not_present"`, ""), "expected a justification or an impact_statement for not_affected"},
		"another reason":           {change("component_not_present", "because"), `justification: expected component_not_present, vulnerable_code_not_present`},
		"no products":              {change(`{"@id":"pkg:npm/a"}`, ""), "products: expected at least one"},
		"a product without a name": {change(`{"@id":"pkg:npm/a"}`, "{}"), "products[0]: expected an @id, identifiers or hashes"},
		"a part without a name":    {change(`{"@id":"pkg:npm/a"}`, `{"@id":"pkg:npm/a","subcomponents":[{}]}`), "products[0].subcomponents[0]: expected"},
	} {
		_, err := vex.Parse([]byte(c.text), vex.Origin{File: "x.json"}, "")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "OpenVEX of file x.json: ") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestNoSetSuppressesNothing(t *testing.T) {
	t.Parallel()
	var none *vex.Set
	if _, suppressed := none.Apply(vex.Image{}, vex.Finding{Names: []string{"CVE-1"}}, now); suppressed || len(none.Documents()) > 0 {
		t.Error("a set that is none suppresses")
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"spec-minimal.json", "spec-spring.json", "spec-structs.json", "spec-update-after.json"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := vex.Parse(raw, vex.Origin{Paper: others}, index)
		if err != nil {
			return
		}
		set := vex.NewSet(d, d)
		for _, s := range d.Statements {
			if s.Timestamp.IsZero() || s.Vulnerability == "" || s.String() == "" {
				t.Fatalf("not a statement: %+v", s)
			}
			finding := vex.Finding{Names: []string{s.Vulnerability}, PURLs: []string{"pkg:apk/wolfi/git@2.39.0-r1?arch=armv7"}}
			if got, suppressed := set.Apply(vex.Image{Repository: "a/b", Digest: index}, finding, now); suppressed != got.SuppressesAt(now) {
				t.Fatalf("suppressed %t by %+v", suppressed, got)
			}
		}
	})
}
