package rebuild_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/rebuild"
	"github.com/tallyman-io/tallyman/internal/release"
)

var update = flag.Bool("update", false, "write the golden files")

// labels are the labels of a configuration that a test may change.
func labels(s *spec) map[string]any {
	all, ok := inner(s)["Labels"].(map[string]any)
	if !ok {
		panic("no labels")
	}
	return all
}

// inner is what the configuration says of how the image is run.
func inner(s *spec) map[string]any {
	config, ok := s.config["config"].(map[string]any)
	if !ok {
		panic("no config")
	}
	return config
}

func TestEachKindOfDifferenceIsNamed(t *testing.T) {
	t.Parallel()
	later := commitTime.Add(time.Hour)
	for _, c := range []struct {
		name   string
		change func(*spec)
		causes string
	}{
		{"a changed byte of our file", func(s *spec) { s.ours = []member{file("web", "a program that serves the console of the tallz")} }, "source"},
		{"a file that is longer", func(s *spec) { s.ours[0].content += ", and more" }, "source"},
		{"a file more and a file less", func(s *spec) { s.ours = []member{file("web2", s.ours[0].content)} }, "source"},
		{"mode by umask", func(s *spec) { s.ours[0].Mode = 0o700 }, "umask"},
		{"mode otherwise", func(s *spec) { s.ours[0].Mode = 0o4755 }, "mode"},
		{"owner", func(s *spec) { s.ours[0].Uid, s.ours[0].Gid, s.ours[0].Uname = 1000, 100, "me" }, "owner"},
		{"mtime", func(s *spec) { s.ours[0].ModTime = later }, "time"},
		{"a link", func(s *spec) {
			s.ours[0] = member{tar.Header{Typeflag: tar.TypeSymlink, Name: "web", Linkname: "other", Mode: 0o755, ModTime: commitTime}, ""}
		}, "source"},
		{"a record of pax", func(s *spec) { s.ours[0].PAXRecords = map[string]string{"SCHILY.xattr.user.a": "b"} }, "writer"},
		{"another base by its files", func(s *spec) { s.base[1].content = "ID=debian\nVERSION_ID=12\n" }, "base"},
		{"another base by its label", func(s *spec) {
			s.annotations["org.opencontainers.image.base.digest"], labels(s)["org.opencontainers.image.base.digest"] = "sha256:22", "sha256:22"
		}, "base"},
		{"a layer more in the base", func(s *spec) {
			s.layers = func(st *store) []map[string]any {
				return []map[string]any{
					st.put(types.OCILayer, zipped(packed(s.base...), s.level)), st.put(types.OCILayer, zipped(packed(file("etc/more", "x")), s.level)),
					st.put(types.OCILayer, zipped(packed(s.ours...), s.level)),
				}
			}
		}, "base"},
		{"created", func(s *spec) { s.config["created"] = "2026-01-02T03:04:06Z" }, "time"},
		{"environment", func(s *spec) { inner(s)["Env"] = []any{"PATH=/bin", "DEBUG=1"} }, "dockerfile"},
		{"version in the labels", func(s *spec) {
			s.annotations["org.opencontainers.image.version"], labels(s)["org.opencontainers.image.version"] = "1.0.1", "1.0.1"
		}, "commit"},
		{"source in the labels", func(s *spec) {
			s.annotations["org.opencontainers.image.source"] = "https://github.com/me/fork"
		}, "repository"},
		{"annotations of manifests", func(s *spec) { s.manifest["annotations"] = map[string]any{"a": "b"} }, "annotations"},
		{"a platform less", func(s *spec) { s.platforms = s.platforms[:1] }, "platforms"},
		{"platforms in another order", func(s *spec) { s.platforms = []string{"arm64", "amd64"} }, "platforms"},
		{"the compressor", func(s *spec) { s.level = gzip.NoCompression }, "compressor"},
		{"the compressor of our layer", func(s *spec) {
			s.layers = func(st *store) []map[string]any {
				return []map[string]any{
					st.put(types.OCILayer, zipped(packed(s.base...), gzip.DefaultCompression)), st.put(types.OCILayer, zipped(packed(s.ours...), gzip.NoCompression)),
				}
			}
		}, "compressor"},
		{"files in another order", func(s *spec) { s.base[0], s.base[1] = s.base[1], s.base[0] }, "writer"},
		{"another format of tar", func(s *spec) { s.ours[0].Format = tar.FormatGNU }, "writer"},
		{"JSON written otherwise", func(s *spec) { s.indent = " " }, "writer"},
		{"a name that is no plain text", func(s *spec) { s.ours = append(s.ours, file("../../etc/\x1b[31mcron", "x")) }, "source"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rebuilt := plainSpec()
			c.change(rebuilt)
			report := compared(t, plainSpec().build(t), rebuilt.build(t), rebuild.Limits{})
			var causes []string
			for _, cause := range report.Causes {
				causes = append(causes, cause.Name)
			}
			if got := strings.Join(causes, " "); got != c.causes {
				t.Errorf("causes: got %q, want %q", got, c.causes)
			}
			var out bytes.Buffer
			if err := report.WriteTable(&out); err != nil {
				t.Fatal(err)
			}
			golden(t, strings.ReplaceAll(c.name, " ", "-")+".txt", out.Bytes())
		})
	}
}

// compared is the report of comparing two images named web.
func compared(t testing.TB, published, rebuilt rebuild.Side, limits rebuild.Limits) *rebuild.Report {
	t.Helper()
	published.Repository = "r.example/tallyman/web"
	differences, err := rebuild.Compare(t.Context(), "web", published, rebuilt, limits)
	if err != nil {
		t.Fatal(err)
	}
	report := &rebuild.Report{
		Claim:       rebuild.Claim{Source: "https://github.com/o/r", Tag: "v1.0.0", Commit: strings.Repeat("ab", 20), Image: "web", Signer: "key cosign.pub"},
		Images:      []rebuild.Image{{Name: "web", Reference: "r.example/tallyman/web@" + string(published.Digest), Published: string(published.Digest), Rebuilt: string(rebuilt.Digest), Identical: published.Digest == rebuilt.Digest}},
		Differences: differences,
	}
	report.Finish()
	return report
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; -update writes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestEqualImagesHaveNoDifference(t *testing.T) {
	t.Parallel()
	report := compared(t, plainSpec().build(t), plainSpec().build(t), rebuild.Limits{})
	if report.Result != rebuild.Identical || len(report.Differences) != 0 || len(report.Causes) != 0 {
		t.Errorf("got %+v, want identical", report)
	}
}

func TestAReportForMachinesIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	rebuilt := plainSpec()
	rebuilt.ours[0].content = "a program that serves the Console"
	rebuilt.config["created"] = "2026-02-02T00:00:00Z"
	published, other := plainSpec().build(t), rebuilt.build(t)
	var first bytes.Buffer
	for i := range 5 {
		var out bytes.Buffer
		if err := compared(t, published, other, rebuild.Limits{}).WriteJSON(&out); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = out
			golden(t, "report.json", out.Bytes())
		} else if !bytes.Equal(first.Bytes(), out.Bytes()) {
			t.Fatalf("another report:\n%s", cmp.Diff(first.String(), out.String()))
		}
	}
}

func TestWhatCannotBeReadIsStillDifferent(t *testing.T) {
	t.Parallel()
	changed := func() *spec {
		s := plainSpec()
		s.ours[0].content = strings.Repeat("x", 1<<20)
		s.config["created"] = "2026-02-02T00:00:00Z"
		return s
	}
	lost := func(s *spec, kind types.MediaType) rebuild.Side {
		side := s.build(t)
		st, ok := side.Source.(*store)
		if !ok {
			t.Fatal("not a store")
		}
		for digest, mediaType := range st.types {
			if mediaType == string(kind) {
				delete(st.blobs, digest)
			}
		}
		return side
	}
	bomb := plainSpec()
	bomb.layers = func(st *store) []map[string]any {
		return []map[string]any{st.put(types.OCILayer, zipped(packed(file("zeros", strings.Repeat("\x00", 8<<20))), gzip.BestCompression))}
	}
	many := plainSpec()
	for range 50 {
		many.ours = append(many.ours, file("f", ""))
	}
	for _, c := range []struct {
		name    string
		rebuilt rebuild.Side
		limits  rebuild.Limits
		want    string
	}{
		{"layers are gone", lost(changed(), types.OCILayer), rebuild.Limits{}, "not found"},
		{"configurations are gone", lost(changed(), types.OCIConfigJSON), rebuild.Limits{}, "not found"},
		{"manifests are gone", lost(changed(), types.OCIManifestSchema1), rebuild.Limits{}, "not found"},
		{"a layer is too large", changed().build(t), rebuild.Limits{Blob: 100}, "too large to look into"},
		{"a layer unpacks to too much", bomb.build(t), rebuild.Limits{Unpacked: 1 << 20}, "it unpacks to more than is read"},
		{"a layer has too many files", many.build(t), rebuild.Limits{Entries: 10}, "more than 10 files"},
		{"a layer is no tar", func() rebuild.Side {
			s := plainSpec()
			s.layers = func(st *store) []map[string]any {
				return []map[string]any{st.put(types.OCILayer, bytes.Repeat([]byte("x"), 2048))}
			}
			return s.build(t)
		}(), rebuild.Limits{}, "tar: "},
		{"a layer breaks off", func() rebuild.Side {
			s := plainSpec()
			whole := zipped(packed(s.ours...), s.level)
			s.layers = func(st *store) []map[string]any {
				return []map[string]any{st.put(types.OCILayer, whole[:len(whole)/2])}
			}
			return s.build(t)
		}(), rebuild.Limits{}, "unexpected EOF"},
		{"a file is too large to be kept", changed().build(t), rebuild.Limits{Binary: 10}, "first difference at byte 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			report := compared(t, plainSpec().build(t), c.rebuilt, c.limits)
			var out bytes.Buffer
			if err := report.WriteTable(&out); err != nil {
				t.Fatal(err)
			}
			if report.Result != rebuild.Different || !strings.Contains(out.String(), c.want) {
				t.Errorf("got %s, want different and %q in\n%s", report.Result, c.want, &out)
			}
		})
	}
}

func TestAnImageThatIsNotThereCannotBeTold(t *testing.T) {
	t.Parallel()
	there := plainSpec().build(t)
	gone := rebuild.Side{Source: newStore(), Digest: release.Digest("sha256:" + strings.Repeat("0", 64))}
	for _, sides := range [][2]rebuild.Side{{there, gone}, {gone, there}} {
		if _, err := rebuild.Compare(t.Context(), "web", sides[0], sides[1], rebuild.Limits{}); err == nil || !strings.Contains(err.Error(), "not found") {
			t.Errorf("got %v, want that it is not found", err)
		}
	}
}

func TestManyDifferencesAreCounted(t *testing.T) {
	t.Parallel()
	rebuilt := plainSpec()
	for i := range 200 {
		rebuilt.ours = append(rebuilt.ours, file("f"+strings.Repeat("x", i), "x"))
	}
	report := compared(t, plainSpec().build(t), rebuilt.build(t), rebuild.Limits{Differences: 7})
	if len(report.Differences) != 7 || !strings.Contains(report.Differences[6].Shallow, "more differences of web are not told") {
		t.Errorf("got %d differences, the last %+v; want 7, and that there are more", len(report.Differences), report.Differences[len(report.Differences)-1])
	}
}

func TestPagesOfReleasesAreCompared(t *testing.T) {
	t.Parallel()
	published, rebuilt := t.TempDir(), t.TempDir()
	write := func(dir, name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one := zipped(packed(file("LICENSE", "text"), file("tallyman", "program")), gzip.DefaultCompression)
	other := zipped(packed(file("LICENSE", "text"), file("tallyman", "progrem")), gzip.DefaultCompression)
	write(published, "t_linux_amd64.tar.gz", one)
	write(rebuilt, "t_linux_amd64.tar.gz", other)
	write(published, "checksums.txt", []byte(hexOf(one)+"  t_linux_amd64.tar.gz\n"+hexOf([]byte("x"))+"  t_linux_arm64.tar.gz\n"+hexOf([]byte("y"))+"  gone.tar.gz\n"))
	write(rebuilt, "checksums.txt", []byte(hexOf(other)+"  t_linux_amd64.tar.gz\n"+hexOf([]byte("x"))+"  t_linux_arm64.tar.gz\n"))
	write(rebuilt, "t_linux_arm64.tar.gz", []byte("x"))
	// Those that checksums.txt does not name are compared as well.
	for _, name := range []string{"t_linux_amd64.deb", "t_linux_amd64.rpm", "t_linux_amd64.apk"} {
		write(published, name, []byte(name+" 1"))
		write(rebuilt, name, []byte(name+" 2"))
	}
	files, differences, err := rebuild.ComparePage(t.Context(), published, rebuilt, rebuild.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	report := rebuild.Report{Files: files, Differences: differences}
	report.Finish()
	var out bytes.Buffer
	if err := report.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "page.txt", out.Bytes())

	write(published, "t_linux_arm64.tar.gz", []byte("z"))
	if _, _, err := rebuild.ComparePage(t.Context(), published, rebuilt, rebuild.Limits{}); err == nil || !strings.Contains(err.Error(), "it is not what was released") {
		t.Errorf("an archive that is not that of checksums.txt: got %v, want a refusal", err)
	}
	if _, _, err := rebuild.ComparePage(t.Context(), t.TempDir(), rebuilt, rebuild.Limits{}); err == nil || !strings.Contains(err.Error(), "found none") {
		t.Errorf("an empty folder: got %v, want a refusal", err)
	}
	if _, _, err := rebuild.ComparePage(t.Context(), filepath.Join(published, "none"), rebuilt, rebuild.Limits{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: got %v, want that it does not exist", err)
	}
	for name, text := range map[string]string{
		"a folder in a name": hexOf(nil) + "  ../x\n", "no sum": "x\n", "two sums of one name": hexOf(nil) + "  x\n" + hexOf([]byte("y")) + "  x\n",
	} {
		if _, err := rebuild.ParseChecksums([]byte(text)); err == nil {
			t.Errorf("checksums with %s: got no error", name)
		}
	}
}
