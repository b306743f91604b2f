package pipeline

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
)

// handBuilderID identifies a build that no CI service vouches for.
const handBuilderID = "https://github.com/tallyman-io/tallyman/blob/main/docs/release.md#by-hand"

// builder returns who runs this build and, where there is one, which run it is
// (SLSA v1.0, "builder.id" and "invocationId").
func (p *Pipeline) builder() (id, invocation string) {
	if ref := p.Getenv("GITHUB_WORKFLOW_REF"); ref != "" {
		return "https://github.com/" + ref, fmt.Sprintf("https://github.com/%s/actions/runs/%s/attempts/%s",
			p.Getenv("GITHUB_REPOSITORY"), p.Getenv("GITHUB_RUN_ID"), p.Getenv("GITHUB_RUN_ATTEMPT"))
	}
	return or(p.Getenv("TALLYMAN_BUILDER_ID"), handBuilderID), ""
}

// versionCommands are how each tool that shapes an image tells its version.
var versionCommands = []struct { //nolint:gochecknoglobals // a constant table
	name    string
	command []string
	pattern *regexp.Regexp
}{
	{"goreleaser", []string{"goreleaser", "--version"}, regexp.MustCompile(`GitVersion:\s*(\S+)`)},
	{"buildx", []string{"buildx", "version"}, regexp.MustCompile(`buildx (\S+)`)},
	{"buildkit", []string{"buildx", "inspect"}, regexp.MustCompile(`BuildKit version:\s*(\S+)`)},
	{"syft", []string{"syft", "version"}, regexp.MustCompile(`Version:\s*(\S+)`)},
	{"cosign", []string{"cosign", "version"}, regexp.MustCompile(`GitVersion:\s*(\S+)`)},
}

// versions names the tools of this build. One that does not tell its version
// is "unknown".
func (p *Pipeline) versions(ctx context.Context) map[string]string {
	versions := map[string]string{"go": runtime.Version()}
	for _, v := range versionCommands {
		versions[v.name] = "unknown"
		out, err := p.Tools.Run(ctx, v.command[0], v.command[1:]...)
		if err != nil {
			p.say("seal: version of %s is unknown: %v", v.name, err)
			continue
		}
		if match := v.pattern.FindSubmatch(out); match != nil {
			versions[v.name] = string(match[1])
		}
	}
	return versions
}

// base returns the base image that the rehearsed image says it stands on.
func (p *Pipeline) base(img Image) (name, digest string, err error) {
	built, err := readLayout(p.rehearsal("layout"))
	if err != nil {
		return "", "", err
	}
	for _, b := range built {
		if b.name == img.Name() {
			return b.annotations["org.opencontainers.image.base.name"], b.annotations["org.opencontainers.image.base.digest"], nil
		}
	}
	return "", "", fmt.Errorf("%s is not in the rehearsal's image layout", img.Name())
}
