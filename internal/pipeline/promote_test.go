package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTagsOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		version  string
		existing []string
		want     []string
	}{
		{"the first release takes all", "v1.0.0", nil, []string{"v1.0.0", "v1.0", "v1", "latest"}},
		{"a newer patch takes all", "v1.0.1", []string{"v1.0.0", "v1.0", "v1", "latest"}, []string{"v1.0.1", "v1.0", "v1", "latest"}},
		{"an older patch line takes its own line only", "v1.0.2", []string{"v1.0.1", "v1.1.0"}, []string{"v1.0.2", "v1.0"}},
		{"an older major line takes its own lines only", "v1.2.0", []string{"v1.1.0", "v2.0.0"}, []string{"v1.2.0", "v1.2", "v1"}},
		{"a late patch takes nothing but itself", "v1.0.1", []string{"v1.0.2", "v1.1.0"}, []string{"v1.0.1"}},
		{"numbers are compared as numbers", "v1.9.0", []string{"v1.10.0"}, []string{"v1.9.0", "v1.9"}},
		{"a line is not a prefix of another's name", "v1.1.0", []string{"v1.10.3", "v10.0.0"}, []string{"v1.1.0", "v1.1"}},
		{"a prerelease takes its own tag only", "v2.0.0-rc.1", []string{"v1.0.0"}, []string{"v2.0.0-rc.1"}},
		{"a prerelease holds no line", "v1.0.0", []string{"v1.1.0-rc.1", "v2.0.0-alpha"}, []string{"v1.0.0", "v1.0", "v1", "latest"}},
		{"a release again takes the same", "v1.1.0", []string{"v1.1.0", "v1.0.0", "latest"}, []string{"v1.1.0", "v1.1", "v1", "latest"}},
		{"papers and commits count for nothing", "v1.0.0", []string{"sha-abcdef0", "v9", "latest"}, []string{"v1.0.0", "v1.0", "v1", "latest"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, TagsOf(c.version, c.existing)); diff != "" {
				t.Errorf("TagsOf(%q, %v) (-want +got):\n%s", c.version, c.existing, diff)
			}
		})
	}
}

func TestParseImage(t *testing.T) {
	t.Parallel()
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		in   string
		want Image
		fail bool
	}{
		{in: "ghcr.io/o/r/web:v1.2.3", want: Image{Repository: "ghcr.io/o/r/web", Tag: "v1.2.3"}},
		{in: "localhost:5000/web@" + digest, want: Image{Repository: "localhost:5000/web", Digest: digest}},
		{in: "localhost:5000/web:sha-1@" + digest, want: Image{Repository: "localhost:5000/web", Tag: "sha-1", Digest: digest}},
		{in: "ghcr.io/o/r/web@sha256:short", fail: true},
		{in: "web:v1", fail: true},
		{in: "", fail: true},
	} {
		t.Run(c.in, func(t *testing.T) {
			t.Parallel()
			got, err := ParseImage(c.in)
			if (err != nil) != c.fail {
				t.Fatalf("ParseImage(%q): got error %v, want failure %t", c.in, err, c.fail)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("ParseImage(%q) (-want +got):\n%s", c.in, diff)
			}
		})
	}
}

func TestVersionTag(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		fail     bool
	}{
		{in: "1.2.3", want: "v1.2.3"},
		{in: "v1.2.3-rc.1", want: "v1.2.3-rc.1"},
		{in: "1.2", fail: true},
		{in: "1.2.3+meta", fail: true},
		{in: "latest", fail: true},
		{in: "", fail: true},
	} {
		t.Run(c.in, func(t *testing.T) {
			t.Parallel()
			got, err := versionTag(c.in)
			if got != c.want || (err != nil) != c.fail {
				t.Errorf("versionTag(%q): got %q, %v; want %q, failure %t", c.in, got, err, c.want, c.fail)
			}
		})
	}
}
