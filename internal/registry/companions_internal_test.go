package registry

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestCompanionsOfWellKnownRegistries(t *testing.T) {
	t.Parallel()
	for registry, want := range map[string]string{
		"index.docker.io":             "auth.docker.io",
		"ghcr.io":                     "pkg-containers.githubusercontent.com",
		"quay.io":                     "cdn03.quay.io",
		"registry.redhat.io":          "quay.io",
		"eu.gcr.io":                   "storage.googleapis.com",
		"europe-west1-docker.pkg.dev": "storage.googleapis.com",
		"registry.k8s.io":             "prod-registry-k8s-io-eu-west-1.s3.dualstack.eu-west-1.amazonaws.com",
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com": "prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com",
		"mcr.microsoft.com":                            "*.data.mcr.microsoft.com",
		"acme.azurecr.io":                              "*.data.azurecr.io",
		"registry.gitlab.com":                          "gitlab.com",
	} {
		if got := companions(registry); !slices.Contains(got, want) {
			t.Errorf("%s: got %q, want %s among them", registry, got, want)
		}
	}
	for _, registry := range []string{
		"", "registry.example", "evilgcr.io", "ghcr.io.example", "ghcr.io:5000", "gcr.io.evil", "pkg.dev", "s3.amazonaws.com", "127.0.0.1:5000",
	} {
		if got := companions(registry); len(got) != 0 {
			t.Errorf("%s: got %q, want none", registry, got)
		}
	}
}

func TestCompanionsAreDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/outbound.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range wellKnown() {
		for _, host := range known.hosts(known.registries[0]) {
			if !strings.Contains(string(doc), "`"+host+"`") && !strings.HasPrefix(host, "prod-registry-k8s-io-") {
				t.Errorf("docs/outbound.md: expected %s, a companion of %s", host, known.registries[0])
			}
		}
	}
}
