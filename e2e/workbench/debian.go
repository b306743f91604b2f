package workbench

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// packages fetches Debian packages of one architecture with the machine's own
// apt sources, in a state of its own: the machine stays as it is. It returns
// the folder with the .deb files.
func (b *Bench) packages(ctx context.Context, arch string, names ...string) (string, error) {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return "", errors.New("no apt-get to fetch Debian packages with")
	}
	root := filepath.Join(b.Dir, "apt-"+arch)
	debs := filepath.Join(root, "debs")
	for _, dir := range []string{"lists/partial", "cache/archives/partial", "debs"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return "", err
		}
	}
	status := filepath.Join(root, "status")
	if err := os.WriteFile(status, nil, 0o600); err != nil {
		return "", err
	}
	options := []string{
		"-qq",
		"-o", "Dir::State::lists=" + filepath.Join(root, "lists"),
		"-o", "Dir::State::status=" + status,
		"-o", "Dir::Cache=" + filepath.Join(root, "cache"),
		"-o", "APT::Architecture=" + arch,
		"-o", "APT::Architectures=" + arch,
		"-o", "APT::Sandbox::User=root",
		"-o", "Acquire::Languages=none",
	}
	for _, args := range [][]string{{"update"}, append([]string{"download"}, names...)} {
		cmd := exec.CommandContext(ctx, apt, append(slices.Clone(options), args...)...)
		cmd.Dir = debs
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("apt-get %s for %s: %w: %s", args[0], arch, err, bytes.TrimSpace(out))
		}
	}
	return debs, nil
}

// entry is one member of a layer to be.
type entry struct {
	header  tar.Header
	content []byte
}

// unpack reads the files of every .deb in a folder, and keeps each package's
// control data under var/lib/dpkg/status.d, where SBOM tools look for the
// packages of a distroless image.
func unpack(ctx context.Context, debs string) (map[string]entry, error) {
	files := map[string]entry{}
	// Syft finds what is in the folder only where the folder has an entry of its own.
	addDir(files, "var/lib/dpkg/status.d", 0o755, 0)
	matches, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return nil, err
	}
	if len(matches) == 0 {
		return nil, fmt.Errorf("%s: no Debian package", debs)
	}
	for _, deb := range matches {
		archive, err := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb).Output()
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
		}
		if err := readTar(bytes.NewReader(archive), files); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
		}
		control, err := exec.CommandContext(ctx, "dpkg-deb", "--field", deb).Output()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Base(deb), err)
		}
		name, _, _ := strings.Cut(filepath.Base(deb), "_")
		addFile(files, "var/lib/dpkg/status.d/"+name, control)
	}
	return files, nil
}

// readTar adds the files of an archive, without the parts of a package that a
// distroless image leaves out.
func readTar(r io.Reader, files map[string]entry) error {
	unwanted := []string{"usr/share/man/", "usr/share/lintian/", "usr/share/locale/", "usr/share/info/", "etc/cron", "etc/init"}
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.Trim(strings.TrimPrefix(header.Name, "./"), "/")
		skip := name == "" || name == "." || slices.ContainsFunc(unwanted, func(p string) bool { return strings.HasPrefix(name+"/", p) }) ||
			(strings.HasPrefix(name, "usr/share/doc/") && header.Typeflag == tar.TypeReg && filepath.Base(name) != "copyright")
		if skip {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return err
		}
		files[name] = entry{header: *header, content: content}
	}
}

func addFile(files map[string]entry, name string, content []byte) {
	files[name] = entry{header: tar.Header{Typeflag: tar.TypeReg, Mode: 0o644}, content: content}
}

func addDir(files map[string]entry, name string, mode int64, id int) {
	files[name] = entry{header: tar.Header{Typeflag: tar.TypeDir, Mode: mode, Uid: id, Gid: id}}
}
