package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
)

// imageNameAnnotation is where BuildKit's OCI exporter writes the name that an
// image was built under (`-t`).
const imageNameAnnotation = "io.containerd.image.name"

// distLine is the line of .goreleaser.yaml that the rehearsal replaces.
var distLine = regexp.MustCompile(`(?m)^dist: .*$`)

// Rehearse builds the images without publishing them: it runs
// `goreleaser release --snapshot` on the same configuration into a folder of
// its own, with an OCI image layout as output. So the rehearsal is the very
// command that a developer reproduces a release with, and what is published
// later must have its digests. It then makes the SBOMs of the rehearsed images.
func (p *Pipeline) Rehearse(ctx context.Context, version string) error {
	if err := os.RemoveAll(p.rehearsal()); err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	if err := p.build(ctx); err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	built, err := readLayout(p.rehearsal("layout"))
	if err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	if err := p.makeSBOMs(ctx, version, built); err != nil {
		return fmt.Errorf("rehearse: %w", err)
	}
	var digests strings.Builder
	for _, img := range built {
		fmt.Fprintf(&digests, "%s  %s\n", img.digest, img.name)
		p.say("rehearse: %s %s is %s", img.name, version, img.digest)
	}
	if p.Getenv("TALLYMAN_BASE") != "" {
		p.say("rehearse: the base image is substituted (TALLYMAN_BASE): these are not the digests of the public release")
	}
	return writeFile(p.rehearsal("digests.txt"), []byte(digests.String()))
}

func (p *Pipeline) build(ctx context.Context) error {
	config, err := os.ReadFile(filepath.Join(p.Root, ".goreleaser.yaml"))
	if err != nil {
		return err
	}
	if len(distLine.FindAll(config, -1)) != 1 {
		return errors.New(".goreleaser.yaml: expected exactly one line `dist: …`")
	}
	file := p.rehearsal("goreleaser.yaml")
	if err := writeFile(file, distLine.ReplaceAll(config, []byte("dist: rehearsal/dist"))); err != nil {
		return err
	}
	tools := p.Tools
	tools.Progress = p.Out
	// The stand-in for `docker` runs buildx and nothing else, so GoReleaser finds
	// no daemon to load single platforms into, and keeps our --output instead.
	tools.Env = append(tools.Env,
		"PATH="+filepath.Join(p.Root, "build", "shim")+string(os.PathListSeparator)+p.Tools.Dir+string(os.PathListSeparator)+p.Getenv("PATH"),
		"TALLYMAN_REHEARSAL="+p.rehearsal("layout"))
	_, err = tools.Run(ctx, "goreleaser", "release", "--snapshot", "--clean",
		"--skip=before,archive,nfpm,sbom,sign", "--config", file)
	return err
}

// builtImage is one image of the rehearsal's layout.
type builtImage struct {
	name        string // "web"
	digest      release.Digest
	annotations map[string]string
	platforms   []builtPlatform
}

type builtPlatform struct {
	platform release.Platform
	image    v1.Image
}

// readLayout reads the images that BuildKit left in an OCI image layout, by name.
func readLayout(dir string) ([]builtImage, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("read image layout: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read image layout %s: %w", dir, err)
	}
	var images []builtImage
	for _, descriptor := range manifest.Manifests {
		name := descriptor.Annotations[imageNameAnnotation]
		if !descriptor.MediaType.IsIndex() || name == "" {
			return nil, fmt.Errorf("image layout %s: %s is %s named %q: expected an index with a name", dir, descriptor.Digest, descriptor.MediaType, name)
		}
		img, err := readIndex(index, descriptor)
		if err != nil {
			return nil, fmt.Errorf("image layout %s: %w", dir, err)
		}
		parsed, err := ParseImage(strings.TrimPrefix(name, "docker.io/"))
		if err != nil {
			return nil, fmt.Errorf("image layout %s: %w", dir, err)
		}
		img.name = path.Base(parsed.Repository)
		images = append(images, img)
	}
	if len(images) == 0 {
		return nil, fmt.Errorf("image layout %s: no image; expected those of dockers_v2", dir)
	}
	sort.Slice(images, func(i, j int) bool { return images[i].name < images[j].name })
	return images, nil
}

func readIndex(parent v1.ImageIndex, descriptor v1.Descriptor) (builtImage, error) {
	img := builtImage{digest: release.Digest(descriptor.Digest.String())}
	index, err := parent.ImageIndex(descriptor.Digest)
	if err != nil {
		return img, fmt.Errorf("index %s: %w", descriptor.Digest, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return img, fmt.Errorf("index %s: %w", descriptor.Digest, err)
	}
	img.annotations = manifest.Annotations
	for _, m := range manifest.Manifests {
		if m.Platform == nil {
			return img, fmt.Errorf("index %s: manifest %s has no platform", descriptor.Digest, m.Digest)
		}
		image, err := index.Image(m.Digest)
		if err != nil {
			return img, fmt.Errorf("manifest %s: %w", m.Digest, err)
		}
		img.platforms = append(img.platforms, builtPlatform{
			platform: release.Platform{
				OS: m.Platform.OS, Architecture: m.Platform.Architecture, Variant: m.Platform.Variant,
				Digest: release.Digest(m.Digest.String()),
			},
			image: image,
		})
	}
	return img, nil
}

// makeSBOMs makes both documents of every platform of every image.
func (p *Pipeline) makeSBOMs(ctx context.Context, version string, images []builtImage) error {
	for _, img := range images {
		for _, platform := range img.platforms {
			if err := p.makeSBOM(ctx, version, img.name, platform); err != nil {
				return fmt.Errorf("SBOM of %s %s: %w", img.name, platform.platform, err)
			}
		}
	}
	return nil
}

func (p *Pipeline) makeSBOM(ctx context.Context, version, name string, platform builtPlatform) error {
	config, err := platform.image.ConfigFile()
	if err != nil {
		return err
	}
	// Syft reads a layout of one manifest; a larger one it refuses.
	single, err := os.MkdirTemp("", "tallyman-layout-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(single) //nolint:errcheck // a temporary folder
	path, err := layout.Write(single, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendImage(platform.image); err != nil {
		return err
	}
	documents, err := sbom.Scan(ctx, p.Tools, sbom.Source{
		Location: "oci-dir:" + single,
		Name:     name,
		Version:  version,
		Digest:   string(platform.platform.Digest),
		Created:  config.Created.Time,
	})
	if err != nil {
		return err
	}
	spdx, cyclonedx := p.sbomFiles(platform.platform.Digest)
	return errors.Join(writeFile(spdx, documents.SPDX), writeFile(cyclonedx, documents.CycloneDX))
}

// sbomFiles are the files of a platform manifest's documents.
func (p *Pipeline) sbomFiles(digest release.Digest) (spdx, cyclonedx string) {
	base := p.rehearsal("sbom", strings.Replace(string(digest), ":", "-", 1))
	return base + ".spdx.json", base + ".cdx.json"
}

// checkRehearsed refuses a digest that the rehearsal did not give.
func (p *Pipeline) checkRehearsed(img Image, published release.Digest) error {
	content, err := os.ReadFile(p.rehearsal("digests.txt"))
	if err != nil {
		return fmt.Errorf("%s: the images were not rehearsed: %w", img.Repository, err)
	}
	for line := range strings.Lines(string(content)) {
		digest, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok || name != img.Name() {
			continue
		}
		if digest != string(published) {
			return fmt.Errorf("%w: %s was published as %s but rehearsed as %s: the build is not reproducible, or something changed between the two",
				ErrRefused, img.Repository, published, digest)
		}
		return nil
	}
	return fmt.Errorf("%w: %s was not rehearsed; rehearsal/digests.txt does not name it", ErrRefused, img.Name())
}
