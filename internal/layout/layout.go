package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// maxManifests bounds what index.json leads to, and maxDepth how far.
	maxManifests = 1_000
	maxDepth     = 4
)

// Annotations of descriptors in index.json.
const (
	annotationName      = "org.opencontainers.image.ref.name" // image specification, "Pre-Defined Annotation Keys"
	annotationFullName  = "io.containerd.image.name"
	annotationKind      = "kind" // of `cosign save`
	annotationReference = "vnd.docker.reference.digest"
	annotationType      = "vnd.docker.reference.type"
)

// Layout is an image layout that was opened. It is safe for concurrent use.
type Layout struct {
	path  string
	files Files
	// names are those of index.json, and the tags that papers would lie under.
	names map[string][]release.Digest
	// marked are the attestations that stand in index.json itself.
	marked    map[release.Digest][]v1.Descriptor
	images    []Image
	referrers func() (map[release.Digest][]v1.Descriptor, error)
}

// Image is an image in a layout: an index of platforms, or a single manifest.
type Image struct {
	// Names are what index.json calls it; there may be none.
	Names  []string
	Digest release.Digest
	// Platform is what index.json says of a single manifest; zero when it does not.
	Platform release.Platform
}

// Is reports whether a path is an image layout: a folder with oci-layout, or a file
// named .tar.
func Is(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if !info.IsDir() {
		return strings.EqualFold(filepath.Ext(path), ".tar")
	}
	_, err = os.Lstat(filepath.Join(path, fileVersion))
	return err == nil
}

// Open reads index.json of a folder or of a tar, and the manifests that tell images
// from their papers. Close the layout when done.
func Open(path string) (*Layout, error) {
	opened, err := openFiles(path)
	if err != nil {
		return nil, fmt.Errorf("image layout %s: %w", path, err)
	}
	return From(path, opened)
}

// From is [Open] for files that lie elsewhere; path names them in errors. It closes
// them when it fails, and otherwise [Layout.Close] does.
func From(path string, files Files) (*Layout, error) {
	l := &Layout{path: path, files: files, names: make(map[string][]release.Digest), marked: make(map[release.Digest][]v1.Descriptor)}
	l.referrers = sync.OnceValues(l.findReferrers)
	if err := l.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("image layout %s: %w", path, err), files.Close())
	}
	return l, nil
}

func openFiles(path string) (Files, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return openArchive(path)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return folder{root}, nil
}

// Close closes the folder or the tar.
func (l *Layout) Close() error { return l.files.Close() }

// Images returns the images in the order of index.json. With a name or a digest it
// returns the one that it stands for.
func (l *Layout) Images(nameOrDigest string) ([]Image, error) {
	if nameOrDigest == "" {
		if len(l.images) == 0 {
			return nil, fmt.Errorf("image layout %s: expected at least one image in %s, found none", l.path, fileIndex)
		}
		return slices.Clone(l.images), nil
	}
	var found []Image
	var known []string
	for _, image := range l.images {
		known = append(known, image.Names...)
		if string(image.Digest) == nameOrDigest || slices.Contains(image.Names, nameOrDigest) {
			found = append(found, image)
		}
	}
	if len(found) != 1 {
		const shown = 10
		if len(known) > shown {
			known = append(known[:shown], "…")
		}
		return nil, fmt.Errorf("image layout %s: expected one image named %q, found %d; there are %q", l.path, nameOrDigest, len(found), known)
	}
	return found, nil
}

// load reads the two files that every layout has.
func (l *Layout) load() error {
	b, err := l.read(fileVersion, maxManifest)
	if err != nil {
		return err
	}
	var version struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(b, &version); err != nil || !strings.HasPrefix(version.Version, "1.") {
		return fmt.Errorf("%s: expected imageLayoutVersion 1.0.0, found %.100q", fileVersion, b)
	}
	if b, err = l.read(fileIndex, maxManifest); err != nil {
		return err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%s: expected an index: %w", fileIndex, err)
	}
	w := walk{layout: l, children: make(map[release.Digest]bool)}
	if err := w.entries(index.Manifests, 0); err != nil {
		return fmt.Errorf("%s: %w", fileIndex, err)
	}
	w.finish()
	return nil
}

// walk sorts what index.json leads to.
type walk struct {
	layout *Layout
	read   int
	// children are the manifests of the indexes that were found.
	children map[release.Digest]bool
	// kinds are the papers that `cosign save` marks, by suffix of their tag.
	kinds []kind
}

type kind struct {
	suffix string
	name   string
	digest release.Digest
}

func (w *walk) entries(entries []v1.Descriptor, depth int) error {
	if depth == maxDepth {
		return fmt.Errorf("expected at most %d levels of indexes", maxDepth)
	}
	for _, desc := range entries {
		if w.read++; w.read > maxManifests {
			return fmt.Errorf("expected at most %d manifests", maxManifests)
		}
		digest, err := release.ParseDigest(desc.Digest.String())
		if err != nil {
			return err
		}
		if err := w.entry(desc, digest, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(desc v1.Descriptor, digest release.Digest, depth int) error {
	l := w.layout
	names := namesOf(desc)
	for _, name := range names {
		if !slices.Contains(l.names[name], digest) {
			l.names[name] = append(l.names[name], digest)
		}
	}
	if suffix, ok := suffixOf(desc.Annotations[annotationKind]); ok {
		w.kinds = append(w.kinds, kind{suffix, desc.Annotations[annotationName], digest})
		return nil
	}
	if desc.Annotations[annotationType] == "attestation-manifest" {
		if of, err := release.ParseDigest(desc.Annotations[annotationReference]); err == nil {
			l.marked[of] = append(l.marked[of], desc)
		}
		return nil
	}
	if slices.ContainsFunc(names, isPaperTag) {
		return nil
	}
	content, err := l.manifest(digest)
	if err != nil {
		// It may be an image. Whoever looks at it hears why it cannot be read.
		w.image(desc, digest, names)
		return nil //nolint:nilerr // told by Manifest
	}
	if !types.MediaType(content.MediaType).IsIndex() {
		if isImage(content) {
			w.image(desc, digest, names)
		}
		return nil
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(content.Body))
	if err != nil {
		w.image(desc, digest, names)
		return nil //nolint:nilerr // told by whoever reads the index
	}
	return w.index(desc, digest, names, index.Manifests, depth)
}

// index takes an index of platforms as an image, and looks into one of indexes.
func (w *walk) index(desc v1.Descriptor, digest release.Digest, names []string, entries []v1.Descriptor, depth int) error {
	var nested []v1.Descriptor
	for _, entry := range entries {
		if entry.MediaType.IsIndex() {
			nested = append(nested, entry)
		} else if child, err := release.ParseDigest(entry.Digest.String()); err == nil {
			w.children[child] = true
		}
	}
	if len(nested) == 0 || len(nested) < len(entries) {
		w.image(desc, digest, names)
	}
	return w.entries(nested, depth+1)
}

func (w *walk) image(desc v1.Descriptor, digest release.Digest, names []string) {
	for i := range w.layout.images {
		if known := &w.layout.images[i]; known.Digest == digest {
			known.Names = append(known.Names, names...)
			return
		}
	}
	image := Image{Names: names, Digest: digest}
	if p := desc.Platform; p != nil {
		image.Platform = release.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
	}
	w.layout.images = append(w.layout.images, image)
}

// finish leaves out the manifests of an index that index.json lists once more, and
// gives what `cosign save` keeps the tag that it came from. Of several images a name
// says which one a paper is of; without it the paper is put beside each of them, and
// its signature decides.
func (w *walk) finish() {
	l := w.layout
	l.images = slices.DeleteFunc(l.images, func(image Image) bool {
		return w.children[image.Digest] && len(image.Names) == 0
	})
	for _, kind := range w.kinds {
		for _, image := range l.images {
			if kind.name != "" && len(image.Names) > 0 && !slices.Contains(image.Names, kind.name) {
				continue
			}
			tag := registry.FallbackTag(image.Digest, kind.suffix)
			if !slices.Contains(l.names[tag], kind.digest) {
				l.names[tag] = append(l.names[tag], kind.digest)
			}
		}
	}
}

func namesOf(desc v1.Descriptor) []string {
	var names []string
	for _, annotation := range []string{annotationName, annotationFullName} {
		if name := desc.Annotations[annotation]; name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// suffixOf is the suffix of the tag that cosign keeps papers of a kind under.
func suffixOf(kind string) (string, bool) {
	switch kind {
	case "dev.cosignproject.cosign/sigs":
		return ".sig", true
	case "dev.cosignproject.cosign/atts":
		return ".att", true
	case "dev.cosignproject.cosign/sboms":
		return ".sbom", true
	default:
		return "", false
	}
}

// isPaperTag reports whether a name is one that papers lie under: sha256-<hex>, with
// a suffix or without.
func isPaperTag(name string) bool { return release.KindOfTag(name) == release.TagPaper }

// isImage tells the manifest of an image from that of an artifact.
func isImage(content registry.Content) bool {
	manifest, err := v1.ParseManifest(bytes.NewReader(content.Body))
	return err != nil || manifest.Subject == nil && manifest.Config.MediaType.IsConfig()
}
