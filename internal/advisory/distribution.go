package advisory

import (
	"fmt"
	"strconv"
	"strings"
)

// distributionSubject maps a package of a Linux distribution. Its release comes
// from the distro qualifier, as NAME-VERSION of os-release(5); what Syft and Trivy
// write. Advisories of Debian, Ubuntu, Alpine and their kin speak of source
// packages, which the upstream qualifier names.
func distributionSubject(p PURL) (Subject, error) {
	s := Subject{Name: p.Name, Version: p.Version}
	id, release := distro(p)
	switch p.Type {
	case "rpm":
		return rpmSubject(p, id, release)
	case "deb":
		s.Name, s.Version = source(p)
		return debSubject(s, id, release)
	default:
		s.Name, s.Version = source(p)
		return apkSubject(s, id, release)
	}
}

// distro returns the name and the release, either empty when not given.
func distro(p PURL) (id, release string) {
	id, release, _ = strings.Cut(strings.ToLower(p.Qualifiers["distro"]), "-")
	namespace := strings.ToLower(p.Namespace)
	if id == "opensuse" || id == "sle" { // opensuse-leap-15.6, opensuse-tumbleweed-20240101
		kind, rest, _ := strings.Cut(release, "-")
		if kind == "leap" || kind == "tumbleweed" {
			return id + "-" + kind, rest
		}
	}
	switch {
	case id == "":
		return namespace, ""
	case release == "" && namespace != "" && id != namespace && !knownDistros[id]:
		return namespace, id // a code name, or a bare number
	}
	return id, release
}

//nolint:gochecknoglobals // a constant table
var knownDistros = map[string]bool{
	"debian": true, "ubuntu": true, "alpine": true, "wolfi": true, "chainguard": true, "rhel": true, "almalinux": true,
	"rocky": true, "sles": true, "sled": true, "opensuse": true, "opensuse-leap": true, "opensuse-tumbleweed": true,
}

// source returns the source package and its version, from upstream=NAME[@VERSION].
func source(p PURL) (name, version string) {
	upstream := p.Qualifiers["upstream"]
	if upstream == "" {
		return p.Name, p.Version
	}
	name, version, ok := strings.Cut(upstream, "@")
	if !ok || version == "" {
		version = p.Version
	}
	return name, version
}

//nolint:gochecknoglobals // a constant table
var debianReleases = map[string]string{
	"wheezy": "7", "jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12",
	"trixie": "13", "forky": "14", "duke": "15",
}

//nolint:gochecknoglobals // a constant table
var ubuntuReleases = map[string]string{
	"trusty": "14.04", "xenial": "16.04", "bionic": "18.04", "focal": "20.04", "jammy": "22.04", "noble": "24.04",
}

func debSubject(s Subject, id, release string) (Subject, error) {
	switch id {
	case "debian":
		if number, ok := debianReleases[release]; ok {
			release = number
		}
		release, _, _ = strings.Cut(release, ".")
		if _, err := strconv.Atoi(release); err != nil {
			return noRelease("Debian", release)
		}
		s.Family, s.Ecosystem = "Debian", "Debian:"+release
	case "ubuntu":
		if number, ok := ubuntuReleases[release]; ok {
			release = number
		}
		year, month, ok := strings.Cut(release, ".")
		month, _, _ = strings.Cut(month, ".") // 20.04.6 is a point release of 20.04
		n, err := strconv.Atoi(year)
		if err != nil || !ok {
			return noRelease("Ubuntu", release)
		}
		s.Family, s.Ecosystem = "Ubuntu", "Ubuntu:"+year+"."+month
		if n%2 == 0 && month == "04" || year == "6" && month == "06" {
			s.Ecosystem += ":LTS"
		}
	default:
		return Subject{}, fmt.Errorf("distribution %q: %w", id, ErrNotCovered)
	}
	return s, nil
}

func apkSubject(s Subject, id, release string) (Subject, error) {
	switch id {
	case "wolfi":
		s.Family, s.Ecosystem = "Wolfi", "Wolfi"
	case "chainguard":
		s.Family, s.Ecosystem = "Chainguard", "Chainguard"
	case "alpine", "": // Syft of 2022 wrote pkg:alpine/NAME without a namespace
		parts := strings.Split(strings.TrimPrefix(release, "v"), ".")
		switch {
		case strings.HasPrefix(release, "edge") || strings.Contains(release, "_alpha"):
			release = "edge"
		case len(parts) < 2 || !digits(parts[0]) || !digits(parts[1]):
			return noRelease("Alpine", release)
		default:
			release = "v" + parts[0] + "." + parts[1]
		}
		s.Family, s.Ecosystem = "Alpine", "Alpine:"+release
	default:
		return Subject{}, fmt.Errorf("distribution %q: %w", id, ErrNotCovered)
	}
	return s, nil
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// rpmSubject maps the RPM families. Advisories of Red Hat, AlmaLinux and Rocky
// speak of binary packages, those of SUSE of source packages.
func rpmSubject(p PURL, id, release string) (Subject, error) {
	s := Subject{Name: p.Name, Version: p.Version}
	if epoch := p.Qualifiers["epoch"]; epoch != "" && p.Version != "" && !strings.Contains(p.Version, ":") {
		s.Version = epoch + ":" + p.Version
	}
	major, minor, _ := strings.Cut(release, ".")
	switch id {
	case "almalinux", "alma":
		s.Family, s.Ecosystem = "AlmaLinux", "AlmaLinux:"+major
	case "rocky", "rockylinux":
		s.Family, s.Ecosystem = "Rocky Linux", "Rocky Linux:"+major
	case "rhel", "redhat":
		s.Family, s.products = "Red Hat", "Red Hat "+major
		s.In = func(e string) bool { return redHatProduct(e, major) }
	case "sles", "sled", "suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed":
		return suseSubject(p, s, id, major, minor)
	default:
		return Subject{}, fmt.Errorf("distribution %q: %w", id, ErrNotCovered)
	}
	if !digits(major) {
		return noRelease(s.Family, release)
	}
	return s, nil
}

// redHatProduct holds for Red Hat:enterprise_linux:9::baseos and its kin; the part
// after the family is a CPE (OSV schema, "Defined ecosystems").
func redHatProduct(ecosystem, major string) bool {
	rest, ok := strings.CutPrefix(ecosystem, "Red Hat:enterprise_linux:")
	version, _, _ := strings.Cut(rest, ":")
	return ok && version == major
}

func suseSubject(p PURL, s Subject, id, major, minor string) (Subject, error) {
	if upstream := p.Qualifiers["upstream"]; upstream != "" {
		s.Name = sourceRPM(upstream)
	}
	switch {
	case id == "opensuse-tumbleweed" || strings.HasPrefix(major, "tumbleweed"):
		s.Family, s.Ecosystem = "openSUSE", "openSUSE:Tumbleweed"
	case strings.HasPrefix(id, "opensuse"):
		if !digits(major) || minor == "" {
			return noRelease("openSUSE", major)
		}
		s.Family, s.Ecosystem = "openSUSE", "openSUSE:Leap "+major+"."+minor
	case !digits(major):
		return noRelease("SUSE", major)
	default:
		release := " " + major
		if minor != "" && minor != "0" {
			release += " SP" + minor
		}
		s.Family, s.products = "SUSE", "SUSE"+release
		s.In = func(e string) bool {
			return strings.HasPrefix(e, "SUSE:Linux Enterprise ") && strings.HasSuffix(e, release)
		}
	}
	return s, nil
}

// sourceRPM returns the name of NAME-VERSION-RELEASE.src.rpm.
func sourceRPM(file string) string {
	name := strings.TrimSuffix(file, ".src.rpm")
	if name == file {
		return file
	}
	for range 2 {
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
	}
	return name
}

func noRelease(family, found string) (Subject, error) {
	if found == "" {
		return Subject{}, fmt.Errorf("%s: %w", family, ErrNoRelease)
	}
	return Subject{}, fmt.Errorf("%s release %q: %w", family, found, ErrNoRelease)
}
