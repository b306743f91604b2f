package reach

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// maxProgram bounds a program, in bytes.
	maxProgram = 1 << 30
	// maxPrograms bounds how many an image may have.
	maxPrograms = 64
)

// extract writes the Go programs of an image, on every platform, into a folder.
func extract(layoutDir string, digest release.Digest, dir string) ([]string, error) {
	root, err := layout.ImageIndexFromPath(layoutDir)
	if err != nil {
		return nil, err
	}
	hash, err := v1.NewHash(string(digest))
	if err != nil {
		return nil, err
	}
	images, err := imagesOf(root, hash)
	if err != nil {
		return nil, err
	}
	e := extraction{dir: dir}
	for i, image := range images {
		if err := e.image(i, image); err != nil {
			return nil, err
		}
	}
	return e.programs, nil
}

// imagesOf are the platforms of an index, or the one image.
func imagesOf(root v1.ImageIndex, hash v1.Hash) ([]v1.Image, error) {
	index, err := root.ImageIndex(hash)
	if err != nil {
		image, err := root.Image(hash)
		return []v1.Image{image}, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		image, err := root.Image(hash) // its media type is not that of an index
		return []v1.Image{image}, err
	}
	var images []v1.Image
	for _, m := range manifest.Manifests {
		if !m.MediaType.IsImage() || m.Platform == nil || m.Platform.OS == "unknown" {
			continue
		}
		image, err := index.Image(m.Digest)
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	return images, nil
}

type extraction struct {
	dir      string
	programs []string
}

// image takes the programs of all layers: also of those that a later layer hides, which
// ship all the same.
func (e *extraction) image(i int, image v1.Image) error {
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for j, layer := range layers {
		in, err := layer.Uncompressed()
		if err != nil {
			return err
		}
		err = e.layer(fmt.Sprintf("%d-%d", i, j), tar.NewReader(in))
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (e *extraction) layer(place string, in *tar.Reader) error {
	for n := 0; ; n++ {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		magic := make([]byte, len(elf.ELFMAG))
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if read, _ := io.ReadFull(in, magic); read < len(magic) || string(magic) != elf.ELFMAG {
			continue
		}
		if header.Size > maxProgram || len(e.programs) >= maxPrograms {
			return fmt.Errorf("expected at most %d programs of %d bytes, found more", maxPrograms, maxProgram)
		}
		// The name is the image's; the folder around it is ours.
		file := filepath.Join(e.dir, fmt.Sprintf("%s-%d", place, n), path.Base(path.Clean("/"+header.Name)))
		if err := writeProgram(file, io.MultiReader(bytes.NewReader(magic), in)); err != nil {
			return err
		}
		if _, err := buildinfo.ReadFile(file); err != nil {
			continue // not written in Go
		}
		e.programs = append(e.programs, file)
	}
}

func writeProgram(file string, in io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, maxProgram))
	return errors.Join(err, out.Close())
}

func isStripped(program string) (bool, error) {
	f, err := elf.Open(program)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // it was only read from
	_, err = f.Symbols()
	if errors.Is(err, elf.ErrNoSymbols) {
		return true, nil
	}
	return false, err
}

// twin links a program of the checkout again, beside it, with its symbols kept.
func (l Look) twin(ctx context.Context, program string) (string, error) {
	if l.Checkout == "" {
		return "", errors.New("there is no checkout to link it from")
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", err
	}
	file := program + ".twin"
	tools := l.Tools
	tools.Env = append(slices.Clone(tools.Env), "GOTOOLCHAIN="+info.GoVersion, "GOFLAGS=-mod=readonly", "GOWORK=off")
	args := []string{"build", "-C", l.Checkout, "-trimpath", "-buildvcs=false", "-ldflags=-w -buildid=", "-o", file}
	for _, s := range info.Settings {
		switch {
		case s.Key == "-tags" || s.Key == "-gcflags":
			args = append(args, s.Key+"="+s.Value)
		case strings.HasPrefix(s.Key, "GO") || s.Key == "CGO_ENABLED":
			tools.Env = append(tools.Env, s.Key+"="+s.Value)
		}
	}
	if _, err := tools.Run(ctx, "go", append(args, info.Path)...); err != nil {
		return "", err
	}
	again, err := buildinfo.ReadFile(file)
	if err != nil {
		return "", err
	}
	if difference := compare(info, again); difference != "" {
		return "", errors.New(difference)
	}
	return file, nil
}

// compare says what makes a twin none: another toolchain, other modules, other settings
// of the compiler. Empty when there is nothing.
func compare(shipped, twin *debug.BuildInfo) string {
	if shipped.GoVersion != twin.GoVersion || shipped.Path != twin.Path {
		return fmt.Sprintf("expected %s of %s, found %s of %s", shipped.Path, shipped.GoVersion, twin.Path, twin.GoVersion)
	}
	modules := func(info *debug.BuildInfo) []string {
		var all []string
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			all = append(all, m.Path+" "+m.Version+" "+m.Sum)
		}
		return all
	}
	if !slices.Equal(modules(shipped), modules(twin)) {
		return "expected the modules of the program, found others: the checkout is not what it was built from"
	}
	settings := func(info *debug.BuildInfo) []string {
		var all []string
		for _, s := range info.Settings {
			if s.Key != "-ldflags" && !strings.HasPrefix(s.Key, "vcs") {
				all = append(all, s.Key+"="+s.Value)
			}
		}
		slices.Sort(all)
		return all
	}
	if a, b := settings(shipped), settings(twin); !slices.Equal(a, b) {
		return fmt.Sprintf("expected settings %v, found %v", a, b)
	}
	return ""
}
