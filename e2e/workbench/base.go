package workbench

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nonroot is distroless' unprivileged user and group.
const nonroot = 65532

var finalFrom = regexp.MustCompile(`(?m)^FROM (gcr\.io/\S+@sha256:[0-9a-f]{64})$`)

// Base makes sure that the images can be built here. Where the pinned base
// image cannot be reached, a stand-in with the content of distroless/static is
// assembled from Debian packages, once, and named in the bench's environment
// (TALLYMAN_BASE). It says which of the two in a sentence.
func (b *Bench) Base(ctx context.Context, repository string) (string, error) {
	reference, err := PinnedBase(repository)
	if err != nil {
		return "", err
	}
	if reachable(ctx, reference) {
		return "base image: " + reference, nil
	}
	context, err := b.assembleBase(ctx)
	if err != nil {
		return "", fmt.Errorf("the base image %s cannot be reached, and no stand-in could be assembled: %w", reference, err)
	}
	b.Setenv("TALLYMAN_BASE", context)
	return "base image: " + reference + " cannot be reached; a stand-in assembled from Debian packages takes its place", nil
}

// PinnedBase is the base image of a repository's images, by digest.
func PinnedBase(repository string) (string, error) {
	dockerfile, err := os.ReadFile(filepath.Join(repository, "build", "Dockerfile.web"))
	if err != nil {
		return "", err
	}
	from := finalFrom.FindSubmatch(dockerfile)
	if from == nil {
		return "", errors.New("build/Dockerfile.web: expected a last stage FROM gcr.io/…@sha256:…")
	}
	return string(from[1]), nil
}

// reachable asks the registry for the manifest, without credentials.
func reachable(ctx context.Context, reference string) bool {
	name, digest, _ := strings.Cut(strings.TrimPrefix(reference, "gcr.io/"), "@")
	repository, _, _ := strings.Cut(name, ":")
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://gcr.io/v2/"+repository+"/manifests/"+digest, nil)
	if err != nil {
		return false
	}
	request.Header.Set("Accept", string(types.OCIImageIndex)+", "+string(types.DockerManifestList))
	response, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// assembleBase writes the stand-in as an OCI image layout and returns it as a
// BuildKit named context: oci-layout://DIR@sha256:….
func (b *Bench) assembleBase(ctx context.Context) (string, error) {
	dir := filepath.Join(b.Dir, "base")
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64"} {
		files, err := b.baseFiles(ctx, arch)
		if err != nil {
			return "", err
		}
		img, err := assemble(arch, files, v1.Config{
			User:       fmt.Sprint(nonroot),
			WorkingDir: "/home/nonroot",
			Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		})
		if err != nil {
			return "", err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: arch},
		}})
	}
	return writeLayout(dir, index)
}

// baseFiles are those of distroless/static
// (https://github.com/GoogleContainerTools/distroless/blob/main/base/README.md).
func (b *Bench) baseFiles(ctx context.Context, arch string) (map[string]entry, error) {
	debs, err := b.packages(ctx, arch, "base-files", "netbase", "tzdata", "ca-certificates")
	if err != nil {
		return nil, err
	}
	files, err := unpack(ctx, debs)
	if err != nil {
		return nil, err
	}
	var certificates bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, "usr/share/ca-certificates/mozilla/") && strings.HasSuffix(name, ".crt") {
			certificates.Write(files[name].content)
		}
	}
	if certificates.Len() == 0 {
		return nil, errors.New("ca-certificates: no certificate in usr/share/ca-certificates/mozilla")
	}
	addFile(files, "etc/ssl/certs/ca-certificates.crt", certificates.Bytes())
	addFile(files, "etc/passwd", []byte("root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"))
	addFile(files, "etc/group", []byte("root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n"))
	addFile(files, "etc/nsswitch.conf", []byte("hosts: files dns\n"))
	addDir(files, "tmp", 0o1777, 0)
	addDir(files, "home/nonroot", 0o700, nonroot)
	return files, nil
}

// ErrNoSeccomp means that the pinned runc was built without libseccomp.
var ErrNoSeccomp = errors.New("runc has no seccomp, which a Dockerfile's RUN needs: install libseccomp-dev and pkg-config, then `make tools`")

// canRun says whether BuildKit can carry out a RUN here.
func (b *Bench) canRun(ctx context.Context) error {
	if b.dockerWorks(ctx) {
		return nil
	}
	out, err := b.Tools.Run(ctx, "runc", "features")
	if err != nil {
		return err
	}
	var features struct {
		Linux struct {
			Seccomp struct {
				Enabled bool `json:"enabled"`
			} `json:"seccomp"`
		} `json:"linux"`
	}
	if err := json.Unmarshal(out, &features); err != nil {
		return fmt.Errorf("runc features: %w", err)
	}
	if !features.Linux.Seccomp.Enabled {
		return ErrNoSeccomp
	}
	return nil
}

// Golang puts a stand-in for the golang image of the Dockerfiles' source stage
// together from this machine's Go, and the product's modules from its module
// cache, so that an image can be built from source with no network. It needs
// the very Go version that the Dockerfiles pin.
func (b *Bench) Golang(ctx context.Context, repository string) error {
	if err := b.canRun(ctx); err != nil {
		return err
	}
	dockerfile, err := os.ReadFile(filepath.Join(repository, "build", "Dockerfile.web"))
	if err != nil {
		return err
	}
	from := regexp.MustCompile(`(?m)^FROM \S+ (golang:([0-9.]+)\S*@sha256:[0-9a-f]{64}) AS source$`).FindSubmatch(dockerfile)
	if from == nil {
		return errors.New("build/Dockerfile.web: expected a stage FROM golang:…@sha256:… AS source")
	}
	goroot, err := b.goroot(ctx, string(from[2]))
	if err != nil {
		return err
	}
	debs, err := b.packages(ctx, "amd64", "busybox-static", "ca-certificates")
	if err != nil {
		return err
	}
	files, err := unpack(ctx, debs)
	if err != nil {
		return err
	}
	files["bin/sh"] = entry{header: tar.Header{Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}}
	addDir(files, "tmp", 0o1777, 0)
	addDir(files, "root", 0o700, 0)
	if err := addTree(files, goroot, "usr/local/go"); err != nil {
		return err
	}
	img, err := assemble("amd64", files, v1.Config{
		Env: []string{"PATH=/usr/local/go/bin:/bin:/usr/bin", "GOPATH=/go", "HOME=/root"}, WorkingDir: "/go",
	})
	if err != nil {
		return err
	}
	context, err := writeLayout(filepath.Join(b.Dir, "golang"), img)
	if err != nil {
		return err
	}
	b.Setenv("TALLYMAN_GOLANG", string(from[1])+"="+context)
	return b.modules(ctx, repository)
}

func (b *Bench) goroot(ctx context.Context, version string) (string, error) {
	out, err := b.Tools.Run(ctx, "go", "env", "GOVERSION", "GOROOT")
	if err != nil {
		return "", err
	}
	found, goroot, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if found != "go"+version {
		return "", fmt.Errorf("stand-in for golang:%s: this machine has %s", version, found)
	}
	return goroot, nil
}

// modules copies what the images are built from out of the module cache, as a
// GOPROXY folder.
func (b *Bench) modules(ctx context.Context, repository string) error {
	out, err := b.Tools.Run(ctx, "go", "env", "GOMODCACHE")
	if err != nil {
		return err
	}
	cache := filepath.Join(b.Dir, "modcache")
	for _, arch := range []string{"amd64", "arm64"} {
		tools := b.Tools
		tools.Env = append(tools.Env, "GOMODCACHE="+cache, "GOFLAGS=-modcacherw", "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0",
			"GOPROXY=file://"+filepath.Join(strings.TrimSpace(string(out)), "cache", "download"), "GONOSUMDB=*", "GOWORK=off")
		if _, err := tools.Run(ctx, "go", "-C", repository, "list", "-deps", "./cmd/..."); err != nil {
			return fmt.Errorf("copy the product's modules: %w", err)
		}
	}
	b.Setenv("TALLYMAN_MODULES", filepath.Join(cache, "cache", "download"))
	return nil
}

// addTree adds the regular files of a folder.
func addTree(files map[string]entry, from, to string) error {
	tree := os.DirFS(from)
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// The distribution's own tests are most of its files.
		if d.IsDir() && (name == "test" || name == "doc" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		files[path.Join(to, name)] = entry{
			header: tar.Header{Typeflag: tar.TypeReg, Mode: int64(info.Mode().Perm()) | 0o444}, content: content,
		}
		return nil
	})
}

// assemble makes an image of one layer. Names are sorted and all times are the
// epoch, so that the same packages give the same digest.
func assemble(arch string, files map[string]entry, config v1.Config) (v1.Image, error) {
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		e := files[name]
		header := e.header
		header.Name, header.Size, header.ModTime, header.Format = name, int64(len(e.content)), time.Unix(0, 0), tar.FormatPAX
		header.Uname, header.Gname, header.PAXRecords = "", "", nil
		header.AccessTime, header.ChangeTime = time.Time{}, time.Time{}
		if header.Typeflag == tar.TypeDir {
			header.Name += "/"
		}
		if err := archive.WriteHeader(&header); err != nil {
			return nil, fmt.Errorf("layer: %s: %w", name, err)
		}
		if _, err := archive.Write(e.content); err != nil {
			return nil, fmt.Errorf("layer: %s: %w", name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	opened, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(layer.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.AppendLayers(img, opened)
	if err != nil {
		return nil, err
	}
	described, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	described = described.DeepCopy()
	described.Architecture, described.OS, described.Config = arch, "linux", config
	described.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	return mutate.ConfigFile(img, described)
}

// writeLayout writes an image or index as the only content of a layout and
// returns it as a BuildKit named context.
func writeLayout(dir string, content interface{ Digest() (v1.Hash, error) }) (string, error) {
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	written, err := layout.Write(dir, empty.Index)
	if err != nil {
		return "", err
	}
	switch c := content.(type) {
	case v1.ImageIndex:
		err = written.AppendIndex(c)
	case v1.Image:
		err = written.AppendImage(c)
	}
	if err != nil {
		return "", err
	}
	digest, err := content.Digest()
	if err != nil {
		return "", err
	}
	return "oci-layout://" + dir + "@" + digest.String(), nil
}
