package pipeline_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1" //nolint:gosec // what an apk names the content of its files by
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packed is a file of an archive or package.
type packed struct {
	Mode       int64
	Owner      string
	Time, Hash string
}

// packagesInstall holds each package against the archive of its platform, and installs
// those of this machine's.
func (s *suite) packagesInstall(t *testing.T) {
	for _, tool := range []string{"dpkg-deb", "rpm", "rpm2archive", "man", "groff", "bash", "zsh", "fish"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	sums, err := os.ReadFile(filepath.Join(s.clone.Dir, "dist", "checksums.txt"))
	must(t, err)
	files := 0
	for _, arch := range []string{"amd64", "arm64"} {
		archive := readGzip(t, s.product("linux_"+arch+".tar.gz"))
		for format, read := range map[string]func(*testing.T, string) map[string]packed{"deb": s.readDeb, "rpm": s.readRPM, "apk": s.readAPK} {
			product := s.product("linux_" + arch + "." + format)
			got := read(t, product)
			if diff := cmp.Diff(installedFrom(archive, format), got); diff != "" {
				t.Errorf("%s (-archive +package):\n%s", filepath.Base(product), diff)
			}
			if !strings.Contains(string(sums), "  "+filepath.Base(product)+"\n") {
				t.Errorf("checksums.txt: no %s in\n%s", filepath.Base(product), sums)
			}
			files = len(got)
		}
	}
	s.installs(t)
	root := t.TempDir()
	s.run(t, nil, "dpkg-deb", "--extract", s.product("linux_"+runtime.GOARCH+".deb"), root)
	s.usable(t, root)
	s.figures["13"] = fmt.Sprintf("%d files in each, for two platforms", files)
}

// product is a file of the release page.
func (s *suite) product(suffix string) string {
	return filepath.Join(s.clone.Dir, "dist", "tallyman_"+strings.TrimPrefix(second, "v")+"_"+suffix)
}

// installedFrom is where a package puts what the archive has.
func installedFrom(archive map[string]packed, format string) map[string]packed {
	want := make(map[string]packed)
	for name, file := range archive {
		switch {
		case name == "tallyman":
			want["usr/bin/tallyman"] = file
		case name == "LICENSE" && format == "deb":
			want["usr/share/doc/tallyman/copyright"] = file
		case name == "LICENSE":
			want["usr/share/licenses/tallyman/LICENSE"] = file
		case name == "share/zsh/site-functions/_tallyman" && format == "deb":
			want["usr/share/zsh/vendor-completions/_tallyman"] = file
		case strings.HasPrefix(name, "share/"):
			want["usr/"+name] = file
		}
	}
	return want
}

// run runs a program that has to succeed, and returns what it printed.
func (s *suite) run(t *testing.T, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	// dpkg looks for programs that are not on everybody's PATH.
	cmd.Env = append(append(cmd.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin"), env...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, &complaints)
	}
	return out
}

// readTar reads the regular files of an archive. Every folder in it has to be one that
// all may read.
func readTar(t *testing.T, r io.Reader, visit func(*tar.Header, []byte)) map[string]packed {
	t.Helper()
	files := make(map[string]packed)
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		must(t, err)
		if header.Typeflag == tar.TypeDir {
			if header.Mode&0o777 != 0o755 {
				t.Errorf("folder %s: got mode %o, want 755", header.Name, header.Mode)
			}
			continue
		}
		content, err := io.ReadAll(archive)
		must(t, err)
		if visit != nil {
			visit(header, content)
		}
		sum := sha256.Sum256(content)
		files[strings.TrimPrefix(header.Name, "./")] = packed{Mode: header.Mode & 0o7777, Owner: header.Uname + ":" + header.Gname, Time: header.ModTime.UTC().String(), Hash: hex.EncodeToString(sum[:])}
	}
}

func readGzip(t *testing.T, file string) map[string]packed {
	t.Helper()
	in, err := os.Open(file)
	must(t, err)
	defer in.Close()
	unpacked, err := gzip.NewReader(in)
	must(t, err)
	return readTar(t, unpacked, nil)
}

func (s *suite) readDeb(t *testing.T, file string) map[string]packed {
	t.Helper()
	return readTar(t, bytes.NewReader(s.run(t, nil, "dpkg-deb", "--fsys-tarfile", file)), nil)
}

func (s *suite) readRPM(t *testing.T, file string) map[string]packed {
	t.Helper()
	// The digests of header and content, as rpm checks them before it installs.
	s.run(t, nil, "rpm", "--checksig", "--nosignature", file)
	if host := s.run(t, nil, "rpm", "--query", "--package", "--nosignature", "--queryformat", "%{BUILDHOST}", file); string(host) != "tallyman" {
		t.Errorf("build host of %s: got %q, want none of any machine", filepath.Base(file), host)
	}
	in, err := os.Open(file)
	must(t, err)
	defer in.Close()
	cmd := exec.CommandContext(t.Context(), "rpm2archive", "--nocompression", "-")
	cmd.Stdin = in
	out, err := cmd.Output()
	must(t, err)
	return readTar(t, bytes.NewReader(out), nil)
}

// readAPK reads the two parts of a package without a signature: what is said of it, with
// the sum of the rest, and the files, each with the sum of its content
// (https://wiki.alpinelinux.org/wiki/Apk_spec).
func (s *suite) readAPK(t *testing.T, file string) map[string]packed {
	t.Helper()
	content, err := os.ReadFile(file)
	must(t, err)
	rest := bufio.NewReader(bytes.NewReader(content))
	control, err := gzip.NewReader(rest)
	must(t, err)
	control.Multistream(false)
	said, err := io.ReadAll(control)
	must(t, err)
	data, err := io.ReadAll(rest)
	must(t, err)
	sum := sha256.Sum256(data)
	for _, want := range []string{"pkgname = tallyman\n", "pkgver = " + strings.TrimPrefix(second, "v") + "\n", "license = Apache-2.0\n", "datahash = " + hex.EncodeToString(sum[:]) + "\n"} {
		if !bytes.Contains(said, []byte(want)) {
			t.Errorf("%s: %q is not in\n%s", filepath.Base(file), want, said)
		}
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	must(t, err)
	return readTar(t, unpacked, func(header *tar.Header, content []byte) {
		sum := sha1.Sum(content) //nolint:gosec // as above
		if got := header.PAXRecords["APK-TOOLS.checksum.SHA1"]; got != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: %s: got sum %q, want %x", filepath.Base(file), header.Name, got, sum)
		}
	})
}

// installs has dpkg and rpm install into folders of their own, which takes root, and
// verify what they installed.
func (s *suite) installs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not installed with dpkg and rpm, which takes root: unpacked alone")
		return
	}
	root := t.TempDir()
	for _, dir := range []string{"var/lib/rpm", "var/lib/dpkg/info", "var/lib/dpkg/updates"} {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for _, name := range []string{"status", "available"} {
		writeFile(t, filepath.Join(root, "var/lib/dpkg"), name, "")
	}
	s.run(t, nil, "dpkg", "--root="+root, "--log=/dev/null", "--install", s.product("linux_"+runtime.GOARCH+".deb"))
	s.run(t, nil, "dpkg", "--root="+root, "--verify", "tallyman")
	s.run(t, nil, "dpkg", "--root="+root, "--log=/dev/null", "--purge", "tallyman")
	if left, err := filepath.Glob(filepath.Join(root, "usr", "*")); err != nil || len(left) > 0 {
		t.Errorf("after dpkg --purge: got %q, %v, want nothing", left, err)
	}
	// The dependencies are not there to be found in a folder with nothing else.
	rpm := func(args ...string) { s.run(t, nil, "rpm", append([]string{"--root", root}, args...)...) }
	rpm("--initdb")
	rpm("--install", "--nodeps", "--nosignature", s.product("linux_"+runtime.GOARCH+".rpm"))
	rpm("--verify", "--nodeps", "tallyman")
	rpm("--erase", "tallyman")
	if left, err := filepath.Glob(filepath.Join(root, "usr", "bin", "*")); err != nil || len(left) > 0 {
		t.Errorf("after rpm --erase: got %q, %v, want nothing", left, err)
	}
}

// usable uses what a package put below root: the command, its manual pages, and what
// each shell offers.
func (s *suite) usable(t *testing.T, root string) {
	t.Helper()
	bin, share := filepath.Join(root, "usr", "bin"), filepath.Join(root, "usr", "share")
	env := []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "XDG_DATA_DIRS=" + share, "HOME=" + t.TempDir(), "MANPATH=" + filepath.Join(share, "man")}
	said := string(s.run(t, env, filepath.Join(bin, "tallyman"), "version"))
	if !strings.HasPrefix(said, "tallyman     "+strings.TrimPrefix(second, "v")+"\n") || !strings.Contains(said, s.commits[second]) {
		t.Errorf("tallyman version: got %s, want %s", said, second)
	}
	if found := string(s.run(t, env, "man", "--where", "tallyman-db-update")); strings.TrimSpace(found) != filepath.Join(share, "man/man1/tallyman-db-update.1.gz") {
		t.Errorf("man --where: got %s", found)
	}
	pages, err := filepath.Glob(filepath.Join(share, "man", "man1", "*.1.gz"))
	must(t, err)
	for _, page := range pages {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", `zcat "$0" | groff -man -ww -z`, page)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff %s: %v: %s", filepath.Base(page), err, out)
		}
	}
	if len(pages) < 25 {
		t.Errorf("got %d manual pages, want one for each command", len(pages))
	}
	offered := map[string]string{
		"bash": string(s.run(t, env, "bash", "--norc", "-c", bashCompletes, filepath.Join(share, "bash-completion/completions/tallyman"))),
		"fish": string(s.run(t, env, "fish", "--command", `complete --do-complete "tallyman verify --format "`)),
	}
	for shell, got := range offered {
		if !strings.Contains(got, "table") || !strings.Contains(got, "json") {
			t.Errorf("%s offers %q for verify --format, want table and json", shell, got)
		}
	}
	s.run(t, env, "zsh", "-n", filepath.Join(share, "zsh/vendor-completions/_tallyman"))
}

// bashCompletes asks for what Tab would offer. The function that it defines is the part of
// bash-completion that the script needs.
const bashCompletes = `
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}; }
source "$0"
COMP_WORDS=(tallyman verify --format ""); COMP_CWORD=3; COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
__start_tallyman 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"`
