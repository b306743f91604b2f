// Package buildinfo tells which build of a program is running: the values the
// release pipeline stamps into the binary, and what the Go toolchain recorded.
//
// The pipeline stamps with
//
//	-ldflags "-X github.com/tallyman-io/tallyman/internal/buildinfo.version=1.2.3
//	          -X github.com/tallyman-io/tallyman/internal/buildinfo.commit=<40 hex>
//	          -X github.com/tallyman-io/tallyman/internal/buildinfo.commitTime=2026-11-24T12:00:00Z"
//
// Only facts about the commit are stamped, never the wall clock, so that the
// same commit gives the same bytes. A program that `go install` made of a module,
// which nobody stamps, has its version from the module
// (https://go.dev/ref/mod#go-install).
package buildinfo

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/mod/module"
)

// Set by the linker; see the package comment. Empty in any other build.
var (
	version    string
	commit     string
	commitTime string
)

// What is said of a build that was not stamped.
const (
	Devel   = "devel"   // version of a build by hand
	Unknown = "unknown" // commit or commit time that nobody recorded
)

// Info identifies one build, and the image it runs from when that is known.
type Info struct {
	// Version is the semantic version without a leading v, or Devel.
	Version string `json:"version"`
	// Commit is the full git commit, with "-dirty" behind it when the Go
	// toolchain saw uncommitted changes, or Unknown. Of a module that has no
	// version tag it is the 12 hex digits of the pseudo-version.
	Commit string `json:"commit"`
	// CommitTime is the committer's time in RFC 3339, UTC, or Unknown, as it
	// is for a module with a version tag.
	CommitTime string `json:"commitTime"`
	// Go is the toolchain's version, such as go1.26.8.
	Go string `json:"go"`
	// Platform is os/arch.
	Platform string `json:"platform"`
	// ImageDigest is the digest of the image this process runs from. A binary
	// cannot know it: the platform hands it in. Empty means unknown.
	ImageDigest string `json:"imageDigest,omitempty"`
}

// Read returns what this binary knows about itself. imageDigest is what the
// platform said about the image, or "".
func Read(imageDigest string) Info {
	recorded, ok := debug.ReadBuildInfo()
	if !ok {
		recorded = &debug.BuildInfo{}
	}
	info := describe(version, commit, commitTime, recorded)
	info.ImageDigest = imageDigest
	return info
}

// describe prefers the stamped values; for a program that was not stamped, the
// toolchain's record of the module or of the working tree fills in.
func describe(version, commit, commitTime string, recorded *debug.BuildInfo) Info {
	info := Info{
		Version:    version,
		Commit:     commit,
		CommitTime: commitTime,
		Go:         runtime.Version(),
		Platform:   runtime.GOOS + "/" + runtime.GOARCH,
	}
	unstamped := version == "" && commit == ""
	if unstamped && recorded.Main.Sum != "" {
		info.fromModule(recorded.Main.Version)
	}
	vcs := make(map[string]string, len(recorded.Settings))
	for _, s := range recorded.Settings {
		vcs[s.Key] = s.Value
	}
	if info.Version == "" {
		info.Version = Devel
	}
	if info.Commit == "" {
		info.Commit = vcs["vcs.revision"]
		if info.Commit != "" && vcs["vcs.modified"] == "true" {
			info.Commit += "-dirty"
		}
		if info.CommitTime == "" {
			info.CommitTime = vcs["vcs.time"]
		}
	}
	if info.Commit == "" {
		info.Commit = Unknown
	}
	if info.CommitTime == "" {
		info.CommitTime = Unknown
	}
	return info
}

// fromModule takes what the version of a module says. Only one with a sum is
// somebody's publication; of a working tree the toolchain makes a version up.
func (i *Info) fromModule(version string) {
	i.Version = strings.TrimPrefix(version, "v")
	if !module.IsPseudoVersion(version) {
		return
	}
	if revision, err := module.PseudoVersionRev(version); err == nil {
		i.Commit = revision
	}
	if at, err := module.PseudoVersionTime(version); err == nil {
		i.CommitTime = at.UTC().Format(time.RFC3339)
	}
}

// WriteJSON writes the build as one indented JSON object and a newline.
func (i Info) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(i); err != nil {
		return fmt.Errorf("write version as JSON: %w", err)
	}
	return nil
}

// WriteText writes the build for people, the program's name and version first.
func (i Info) WriteText(w io.Writer, program string) error {
	rows := [][2]string{
		{program, i.Version},
		{"commit", i.Commit},
		{"commit time", i.CommitTime},
		{"go", i.Go},
		{"platform", i.Platform},
	}
	if i.ImageDigest != "" {
		rows = append(rows, [2]string{"image digest", i.ImageDigest})
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if _, err := fmt.Fprintf(t, "%s\t%s\n", r[0], r[1]); err != nil {
			return fmt.Errorf("lay out version: %w", err)
		}
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("lay out version: %w", err)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write version: %w", err)
	}
	return nil
}
