package buildinfo

import (
	"bytes"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	const (
		sha  = "0123456789abcdef0123456789abcdef01234567"
		when = "2026-11-24T12:00:00Z"
	)
	tree := []debug.BuildSetting{
		{Key: "vcs.revision", Value: sha},
		{Key: "vcs.time", Value: when},
		{Key: "vcs.modified", Value: "false"},
	}
	dirty := append(tree[:2:2], debug.BuildSetting{Key: "vcs.modified", Value: "true"})
	// What the toolchain records of a module, and what it makes up of a working tree.
	const (
		sum    = "h1:abc="
		pseudo = "v1.2.4-0.20261124120000-0123456789ab"
	)
	module := func(version, sum string) debug.Module {
		return debug.Module{Path: "github.com/tallyman-io/tallyman", Version: version, Sum: sum}
	}
	tests := []struct {
		name                        string
		version, commit, commitTime string
		module                      debug.Module
		settings                    []debug.BuildSetting
		want                        Info
	}{
		{"stamped by the pipeline", "1.2.3", "feed", when, module(pseudo, sum), dirty, Info{Version: "1.2.3", Commit: "feed", CommitTime: when}},
		{"built by hand in a clone", "", "", "", module(pseudo+"+dirty", ""), tree, Info{Version: Devel, Commit: sha, CommitTime: when}},
		{"built by hand with changes", "", "", "", module("(devel)", ""), dirty, Info{Version: Devel, Commit: sha + "-dirty", CommitTime: when}},
		{"nothing known", "", "", "", debug.Module{}, nil, Info{Version: Devel, Commit: Unknown, CommitTime: Unknown}},
		{"stamped without a time never borrows the tree's", "1.2.3", "feed", "", module(pseudo, sum), tree, Info{Version: "1.2.3", Commit: "feed", CommitTime: Unknown}},
		{"installed by its version", "", "", "", module("v1.2.3", sum), nil, Info{Version: "1.2.3", Commit: Unknown, CommitTime: Unknown}},
		{"installed by a commit without a version", "", "", "", module(pseudo, sum), nil, Info{Version: pseudo[1:], Commit: sha[:12], CommitTime: when}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := describe(tt.version, tt.commit, tt.commitTime, &debug.BuildInfo{Main: tt.module, Settings: tt.settings})
			tt.want.Go, tt.want.Platform = runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("describe (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWriteLeavesOutAnUnknownImageDigest(t *testing.T) {
	t.Parallel()
	const digest = "sha256:aaaa"
	for _, known := range []bool{true, false} {
		info := Read("")
		if known {
			info = Read(digest)
		}
		var asJSON, asText bytes.Buffer
		if err := info.WriteJSON(&asJSON); err != nil {
			t.Fatal(err)
		}
		if err := info.WriteText(&asText, "web"); err != nil {
			t.Fatal(err)
		}
		var decoded map[string]string
		if err := json.Unmarshal(asJSON.Bytes(), &decoded); err != nil {
			t.Fatalf("not JSON: %v\n%s", err, asJSON.String())
		}
		if got, ok := decoded["imageDigest"]; ok != known || (known && got != digest) {
			t.Errorf("imageDigest in JSON: got %q, %v; want it there: %v", got, ok, known)
		}
		if got := strings.Contains(asText.String(), digest); got != known {
			t.Errorf("image digest in text: got %v, want %v:\n%s", got, known, asText.String())
		}
		if !strings.HasPrefix(asText.String(), "web ") {
			t.Errorf("text does not begin with the program's name:\n%s", asText.String())
		}
	}
}
