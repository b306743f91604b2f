package rebuild

import (
	"slices"
	"strconv"
	"strings"
)

// Cause is what usually makes differences like those that were found.
type Cause struct {
	// Name is one of a fixed set: go, base, module, flags, vcs, source, commit,
	// repository, time, umask, owner, platforms, compressor, writer.
	Name string `json:"name"`
	// Says is one sentence for people.
	Says string `json:"says"`
}

// labelPrefix is before the labels and annotations of the image specification.
const labelPrefix = "org.opencontainers.image."

// Causes names what usually makes such differences, the most telling first. It is a
// reading of the differences, not a proof.
func Causes(all []Difference) []Cause {
	r := reading{}
	for i := range all {
		r.read(&all[i])
	}
	return r.causes()
}

// reading is what the differences tell, each name with what it says.
type reading struct {
	said map[string]string
	// content is a file of the release's own that differs, and golang that it is a Go
	// binary.
	content string
	golang  bool
	// explained are files whose Go build information differs, so that their contents do.
	explained map[string]bool
	files     []string
}

func (r *reading) say(name, says string) {
	if r.said == nil {
		r.said = make(map[string]string)
	}
	if _, known := r.said[name]; !known {
		r.said[name] = says
	}
}

func (r *reading) read(d *Difference) {
	switch d.Level {
	case LevelBinary:
		r.binary(d)
	case LevelFile:
		r.file(d)
	case LevelLayer, LevelArchive:
		r.archive(d)
	default:
		r.document(d)
	}
}

func (r *reading) binary(d *Difference) {
	if r.explained == nil {
		r.explained = make(map[string]bool)
	}
	between := ": expected " + d.Published + ", found " + d.Rebuilt
	switch name, what, _ := strings.Cut(d.Field, " "); {
	case d.Field == "go":
		r.say("go", "another Go version"+between)
	case name == "module":
		r.say("module", "another version of the module "+printable(what)+between)
	case name == "main":
		r.say("commit", "another main module"+between)
	case name == "function":
		r.content = d.File
		return // what a change of the source leaves; it explains nothing
	case strings.HasPrefix(d.Field, "build setting vcs"):
		r.say("vcs", "another commit, or a stamp of the version control system on one side ("+what+")"+between)
	default:
		r.say("flags", "other flags of go build ("+printable(d.Field)+")"+between)
	}
	r.explained[d.Where()] = true
}

func (r *reading) file(d *Difference) {
	if d.base {
		r.say("base", "another base image: "+printable(d.File)+" of a layer below the release's own differs")
		return
	}
	switch d.Field {
	case "mtime", "atime", "ctime":
		r.say("time", "time stamps: SOURCE_DATE_EPOCH was another, or rewrite-timestamp was not set")
	case "mode":
		if onlyUmask(d.Published, d.Rebuilt) {
			r.say("umask", "another umask: modes differ in what group and others may")
		} else {
			r.say("mode", "another mode of "+printable(d.File))
		}
	case "owner", "owner name":
		r.say("owner", "another owner: files were archived as the user who built")
	case "content", "size", "file", "link", "type":
		r.files = append(r.files, d.Where())
		if r.content == "" {
			r.content = d.File
		}
		r.golang = r.golang || d.golang
	default:
		r.say("writer", "another builder version: it writes the records of a tar otherwise ("+printable(d.Field)+")")
	}
}

// onlyUmask reports whether two octal modes differ in nothing but the permissions of
// group and others.
func onlyUmask(published, rebuilt string) bool {
	a, errA := strconv.ParseInt(published, 8, 64)
	b, errB := strconv.ParseInt(rebuilt, 8, 64)
	return errA == nil && errB == nil && (a^b)&^0o077 == 0
}

func (r *reading) archive(d *Difference) {
	switch d.Field {
	case "compression":
		r.say("compressor", "another compressor: another version of BuildKit or GoReleaser packs equal content otherwise")
	case "tar", "order of files":
		r.say("writer", "another builder version: it writes a tar of equal files otherwise")
	case "layer", "mediaType":
		if d.base {
			r.say("base", "another base image: its layers are others")
		}
	case "archive":
		r.say("files", "another set of files on the release page: the configuration of GoReleaser is another")
	}
}

func (r *reading) document(d *Difference) {
	between := ": expected " + printable(d.Published) + ", found " + printable(d.Rebuilt)
	label := ""
	if at := strings.Index(d.Field, labelPrefix); at >= 0 {
		label = strings.TrimSuffix(d.Field[at+len(labelPrefix):], "]")
	}
	switch {
	case label == "base.digest":
		r.say("base", "another base image"+between)
	case label == "base.name" && r.said["base"] == "":
		r.say("base", "another base image"+between)
	case label == "revision", label == "version":
		r.say("commit", "another commit or tag"+between)
	case label == "source":
		r.say("repository", "another repository in the labels (GITHUB_REPOSITORY)"+between)
	case label == "created", d.Field == "created":
		r.say("time", "time stamps: SOURCE_DATE_EPOCH was not the commit's time"+between)
	case strings.HasPrefix(d.Field, "platform "), d.Field == "order of platforms":
		r.say("platforms", "another set of platforms: "+printable(d.Field)+between)
	case d.Field == "JSON":
		r.say("writer", "another builder version: it writes equal JSON otherwise")
	case d.Field == "mediaType":
		r.say("writer", "another output of the builder: media types"+between)
	case strings.HasPrefix(d.Field, "history[") && strings.HasSuffix(d.Field, ".created"):
		// Goes with created, or with the base image.
	case strings.HasPrefix(d.Field, "history["):
		r.say("dockerfile", "another Dockerfile or builder: a step of the history differs"+between)
	case d.Level == LevelConfig:
		r.say("dockerfile", "another Dockerfile or base image: "+printable(d.Field)+" of the configuration differs"+between)
	case strings.HasPrefix(d.Field, "annotations"):
		r.say("annotations", "other annotations: the configuration of GoReleaser is another"+between)
	}
}

// order is from what causes much to what is caused.
func order() []string {
	return []string{
		"go", "base", "module", "flags", "vcs", "commit", "source", "repository", "platforms", "dockerfile", "annotations", "files",
		"time", "umask", "owner", "mode", "compressor", "writer",
	}
}

func (r *reading) causes() []Cause {
	unexplained := slices.ContainsFunc(r.files, func(where string) bool { return !r.explained[where] })
	if r.content != "" && unexplained {
		says := "changed source: " + printable(r.content) + " differs"
		if r.golang {
			says += ", and what the binary says of Go version, modules and flags does not"
		}
		r.say("source", says)
	}
	// What another base or commit brings along is not a cause of its own.
	if r.said["base"] != "" {
		delete(r.said, "dockerfile")
	}
	if r.said["commit"] != "" {
		delete(r.said, "time")
	}
	var all []Cause
	for _, name := range order() {
		if says := r.said[name]; says != "" {
			all = append(all, Cause{name, says})
		}
	}
	return all
}
