package advisory

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Cases of the purl specification's test suite
// (https://github.com/package-url/purl-spec, tests), and what tools write. Unlike
// there, names keep their case: advisories have theirs.
func TestParsePURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]PURL{
		"pkg:maven/org.apache.commons/io":                               {Type: "maven", Namespace: "org.apache.commons", Name: "io"},
		"pkg:maven/org.apache.commons/io@1.3.4":                         {Type: "maven", Namespace: "org.apache.commons", Name: "io", Version: "1.3.4"},
		"pkg:GOLANG/google.golang.org/genproto@abcdedf#/googleapis/api": {Type: "golang", Namespace: "google.golang.org", Name: "genproto", Version: "abcdedf", Subpath: "googleapis/api"},
		"pkg:golang/github.com/Azure/go-ntlmssp@v0.1.0":                 {Type: "golang", Namespace: "github.com/Azure", Name: "go-ntlmssp", Version: "v0.1.0"},
		"pkg:bitbucket/birKenfeld/pyGments-main@244fd47e07d1014f0aed9c": {Type: "bitbucket", Namespace: "birKenfeld", Name: "pyGments-main", Version: "244fd47e07d1014f0aed9c"},
		"pkg:deb/debian/curl@7.50.3-1?arch=i386&Distro=jessie": {
			Type: "deb", Namespace: "debian", Name: "curl", Version: "7.50.3-1", Qualifiers: map[string]string{"arch": "i386", "distro": "jessie"},
		},
		"pkg:docker/customer/dockerimage@sha256%3A244fd47e07d1004f0aed9c?repository_url=gcr.io": {
			Type: "docker", Namespace: "customer", Name: "dockerimage", Version: "sha256:244fd47e07d1004f0aed9c", Qualifiers: map[string]string{"repository_url": "gcr.io"},
		},
		"pkg:npm/%40angular/animation@12.3.1": {Type: "npm", Namespace: "@angular", Name: "animation", Version: "12.3.1"},
		"pkg:npm/@angular/animation@12.3.1":   {Type: "npm", Namespace: "@angular", Name: "animation", Version: "12.3.1"},
		"pkg:npm/@angular/animation":          {Type: "npm", Namespace: "@angular", Name: "animation"},
		"pkg:npm//foobar@12.3.1":              {Type: "npm", Name: "foobar", Version: "12.3.1"},
		"pkg://gem/ruby-advisory-db@1":        {Type: "gem", Name: "ruby-advisory-db", Version: "1"},
		"pkg:rpm/fedora/curl@7.50.3-1.fc25?arch=i386&distro=fedora-25": {
			Type: "rpm", Namespace: "fedora", Name: "curl", Version: "7.50.3-1.fc25", Qualifiers: map[string]string{"arch": "i386", "distro": "fedora-25"},
		},
		"pkg:golang/example.com/x@v1.0.0%2Bincompatible": {Type: "golang", Namespace: "example.com", Name: "x", Version: "v1.0.0+incompatible"},
		"pkg:deb/debian/x@1:2+b1?upstream=y%401:2&empty=": {
			Type: "deb", Namespace: "debian", Name: "x", Version: "1:2+b1", Qualifiers: map[string]string{"upstream": "y@1:2"},
		},
		"pkg:pypi/100%@1": {Type: "pypi", Name: "100%", Version: "1"},
	} {
		got, err := ParsePURL(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
	for _, bad := range []string{
		"", "pkg:", "pkg:maven", "pkg:maven/", "maven/org/x", "EnterpriseLibrary.Common@6.0.1304", "pkg:EnterpriseLibrary.Common@6.0.1304",
		"pkg:n&g?inx/nginx@0.8.9", "pkg:3nginx/nginx@0.8.9", "http:npm/a", "pkg:npm/a\xff", "pkg:npm/" + strings.Repeat("a", 1<<14),
	} {
		if got, err := ParsePURL(bad); err == nil {
			t.Errorf("%.50q: got %+v, want an error", bad, got)
		}
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	for purl, want := range map[string]string{
		"pkg:golang/github.com/Azure/go-ntlmssp@v0.1.0":                                      "Go github.com/Azure/go-ntlmssp 0.1.0",
		"pkg:golang/github.com/docker/cli@v20.10.17%2Bincompatible":                          "Go github.com/docker/cli 20.10.17+incompatible",
		"pkg:golang/stdlib@1.22.5":                                                           "Go stdlib 1.22.5",
		"pkg:golang/stdlib@go1.22rc1":                                                        "Go stdlib 1.22.0-rc.1",
		"pkg:golang/stdlib@go1.22.5%20X:boringcrypto":                                        "Go stdlib 1.22.5",
		"pkg:golang/std@1.20":                                                                "Go stdlib 1.20",
		"pkg:golang/toolchain@go1.21.0":                                                      "Go toolchain 1.21.0",
		"pkg:golang/example.com/a@(devel)":                                                   "Go example.com/a (devel) doubtful",
		"pkg:golang/example.com/a@UNKNOWN":                                                   "Go example.com/a UNKNOWN doubtful",
		"pkg:golang/k8s.io/kubernetes@v0.0.0-20240717014424-cbb86e0d7f4a":                    "Go k8s.io/kubernetes 0.0.0-20240717014424-cbb86e0d7f4a doubtful",
		"pkg:npm/%40babel/core@7.0.0":                                                        "npm @babel/core 7.0.0",
		"pkg:pypi/Foo_Bar.baz@1.0":                                                           "PyPI foo-bar-baz 1.0",
		"pkg:cargo/serde_json@1.0.0":                                                         "crates.io serde_json 1.0.0",
		"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.0":                               "Maven org.apache.logging.log4j:log4j-core 2.14.0",
		"pkg:gem/rails@7.0.0":                                                                "RubyGems rails 7.0.0",
		"pkg:nuget/Newtonsoft.Json@12.0.1":                                                   "NuGet newtonsoft.json 12.0.1",
		"pkg:composer/Symfony/HTTP-kernel@5.0":                                               "Packagist symfony/http-kernel 5.0",
		"pkg:deb/debian/libssl1.1@1.1.1n-0?upstream=openssl&distro=debian-11":                "Debian:11 openssl 1.1.1n-0",
		"pkg:deb/debian/bsdutils@1:2.36.1-8?upstream=util-linux%402.36.1-8&distro=debian-11": "Debian:11 util-linux 2.36.1-8",
		"pkg:deb/debian/curl@7.50.3-1?distro=jessie":                                         "Debian:8 curl 7.50.3-1",
		"pkg:deb/debian/curl@7?distro=debian-12.5":                                           "Debian:12 curl 7",
		"pkg:deb/ubuntu/curl@7?distro=ubuntu-22.04":                                          "Ubuntu:22.04:LTS curl 7",
		"pkg:deb/ubuntu/curl@7?distro=ubuntu-23.10":                                          "Ubuntu:23.10 curl 7",
		"pkg:deb/ubuntu/curl@7?distro=ubuntu-20.04.6":                                        "Ubuntu:20.04:LTS curl 7",
		"pkg:alpine/libssl1.1@1.1.1c-r0?upstream=openssl&distro=alpine-3.10.2":               "Alpine:v3.10 openssl 1.1.1c-r0",
		"pkg:apk/alpine/musl@1.2?distro=3.16.3":                                              "Alpine:v3.16 musl 1.2",
		"pkg:apk/alpine/musl@1.2?distro=alpine-edge":                                         "Alpine:edge musl 1.2",
		"pkg:apk/wolfi/busybox@1.36?upstream=busybox&distro=wolfi-20230201":                  "Wolfi busybox 1.36",
		"pkg:apk/chainguard/busybox@1.36?distro=chainguard-20230214":                         "Chainguard busybox 1.36",
		"pkg:rpm/almalinux/openssl@1.1.1k-7.el8_6?epoch=1&upstream=openssl-1.1.1k-7.el8_6.src.rpm&distro=almalinux-8.7": "AlmaLinux:8 openssl 1:1.1.1k-7.el8_6",
		"pkg:rpm/rocky/bash@5.1-1.el9?distro=rocky-9.2":                                                                 "Rocky Linux:9 bash 5.1-1.el9",
		"pkg:rpm/opensuse/libopenssl3@3.1-1?upstream=openssl-3-3.1-1.src.rpm&distro=opensuse-leap-15.6":                 "openSUSE:Leap 15.6 openssl-3 3.1-1",
		"pkg:rpm/opensuse/bash@5?distro=opensuse-tumbleweed-20240101":                                                   "openSUSE:Tumbleweed bash 5",
	} {
		p, err := ParsePURL(purl)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Identify(p)
		if err != nil {
			t.Errorf("%s: %v", purl, err)
			continue
		}
		got := s.Ecosystem + " " + s.Name + " " + s.Version
		if s.Doubt != "" {
			got += " doubtful"
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", purl, got, want)
		}
	}
}

func TestIdentifyByProduct(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		purl    string
		in, out []string
	}{
		{
			"pkg:rpm/redhat/openssl@3.0?distro=rhel-9.2",
			[]string{"Red Hat:enterprise_linux:9::baseos", "Red Hat:enterprise_linux:9::appstream"},
			[]string{"Red Hat:enterprise_linux:8::baseos", "Red Hat:openshift:9::el9", "Red Hat"},
		},
		{
			"pkg:rpm/sles/openssl@3.0?distro=sles-15.4",
			[]string{"SUSE:Linux Enterprise Server 15 SP4", "SUSE:Linux Enterprise Module for Basesystem 15 SP4"},
			[]string{"SUSE:Linux Enterprise Server 15 SP5", "SUSE:Linux Enterprise Server 15", "openSUSE:Leap 15.4"},
		},
		{"pkg:composer/drupal/ctools@3.0", []string{"Packagist", "Packagist:https://packages.drupal.org/8"}, []string{"Packagist:https://example.com"}},
	} {
		p, err := ParsePURL(c.purl)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Identify(p)
		if err != nil || s.In == nil {
			t.Fatalf("%s: got %+v, %v", c.purl, s, err)
		}
		for _, e := range c.in {
			if !s.In(e) {
				t.Errorf("%s: %s does not count", c.purl, e)
			}
		}
		for _, e := range c.out {
			if s.In(e) {
				t.Errorf("%s: %s counts", c.purl, e)
			}
		}
	}
}

func TestIdentifySaysWhyItCannot(t *testing.T) {
	t.Parallel()
	for purl, want := range map[string]error{
		"pkg:generic/openssl@1":                        ErrNotCovered,
		"pkg:rpm/fedora/curl@7?distro=fedora-38":       ErrNotCovered,
		"pkg:deb/debian/curl@7":                        ErrNoRelease,
		"pkg:deb/debian/curl@7?distro=debian-unstable": ErrNoRelease,
		"pkg:deb/ubuntu/curl@7":                        ErrNoRelease,
		"pkg:apk/alpine/musl@1":                        ErrNoRelease,
		"pkg:rpm/redhat/bash@5":                        ErrNoRelease,
		"pkg:oci/web@sha256%3Aabc":                     ErrCarrier,
	} {
		p, err := ParsePURL(purl)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := Identify(p); !errors.Is(err, want) {
			t.Errorf("%s: got %+v, %v; want %v", purl, s, err, want)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	f.Add("pkg:deb/debian/libssl1.1@1.1.1n-0?upstream=openssl&distro=debian-11")
	f.Add("pkg:golang/stdlib@go1.22rc1#x")
	f.Add("pkg:rpm/sles/a@1?distro=sles-15.4&epoch=1&upstream=a-1-1.src.rpm")
	f.Fuzz(func(t *testing.T, purl string) {
		p, err := ParsePURL(purl)
		if err != nil {
			return
		}
		if s, err := Identify(p); err == nil && (s.Family == "" || s.Ecosystem == "" && s.In == nil) {
			t.Errorf("%q: identified as nothing: %+v", purl, s)
		}
	})
}
