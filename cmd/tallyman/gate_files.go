package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/gate"
	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/pipeline"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tool"
)

// annotationCreated is when an image says that it was made (image specification,
// "Pre-Defined Annotation Keys"): the time of the commit, for ours.
const annotationCreated = "org.opencontainers.image.created"

// builtImages are the images of a layout, and when the first of them was made.
type builtImages struct {
	images  []gate.Image
	created time.Time
}

// readBuilt reads the images of a layout, and their SBOMs from a folder.
func readBuilt(ctx context.Context, path, sboms, version string) (built builtImages, err error) {
	opened, err := layout.Open(path)
	if err != nil {
		return built, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	images, err := opened.Images("")
	if err != nil {
		return built, err
	}
	for _, found := range images {
		image, created, err := readImage(ctx, opened, found, sboms)
		if err != nil {
			return built, fmt.Errorf("image layout %s: %w", path, err)
		}
		if version != "" {
			image.Tag = "v" + strings.TrimPrefix(version, "v")
		}
		built.images = append(built.images, image)
		if built.created.IsZero() || !created.IsZero() && created.Before(built.created) {
			built.created = created
		}
	}
	slices.SortStableFunc(built.images, func(a, b gate.Image) int { return strings.Compare(a.Repository, b.Repository) })
	if built.created.IsZero() {
		built.created = time.Now()
	}
	return built, nil
}

func readImage(ctx context.Context, opened *layout.Layout, found layout.Image, sboms string) (gate.Image, time.Time, error) {
	image := gate.Image{Digest: found.Digest}
	named, err := nameOf(found)
	if err != nil {
		return image, time.Time{}, err
	}
	image.Repository = named.Repository
	if release.KindOfTag(named.Tag) == release.TagVersion {
		image.Tag = named.Tag
	}
	shape, err := evidence.ShapeOf(ctx, opened, named.Repository, found.Digest)
	if err != nil {
		return image, time.Time{}, err
	}
	image.Base = shape.Base
	for _, platform := range shape.Platforms {
		p := gate.Platform{Platform: platform}
		if p.SBOMs, err = readSBOMs(sboms, platform.Digest); err != nil {
			return image, time.Time{}, err
		}
		if len(p.SBOMs) == 0 {
			p.Missing = "there is none in " + filepath.Base(sboms)
		}
		image.Platforms = append(image.Platforms, p)
	}
	content, err := opened.Manifest(ctx, named.Repository, string(found.Digest))
	if err != nil {
		return image, time.Time{}, err
	}
	// An index and a manifest have their annotations in the same place.
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(content.Body))
	if err != nil {
		return image, time.Time{}, err
	}
	created, err := time.Parse(time.RFC3339, manifest.Annotations[annotationCreated])
	if err != nil {
		created = time.Time{} // it does not say
	}
	return image, created, nil
}

// nameOf is the name that says where the image will be published: BuildKit writes it
// beside its tag alone.
func nameOf(found layout.Image) (pipeline.Image, error) {
	for _, name := range found.Names {
		if named, err := pipeline.ParseImage(strings.TrimPrefix(name, "docker.io/")); err == nil {
			return named, nil
		}
	}
	return pipeline.Image{}, fmt.Errorf("%s: expected a name as REPOSITORY:TAG, found %q", found.Digest, found.Names)
}

// readSBOMs reads the documents of a manifest; there may be none.
func readSBOMs(dir string, digest release.Digest) ([]gate.Document, error) {
	var all []gate.Document
	for _, suffix := range []string{".spdx.json", ".cdx.json"} {
		name := strings.Replace(string(digest), ":", "-", 1) + suffix
		content, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("SBOM of %s: %w", digest, err)
		}
		all = append(all, gate.Document{Name: name, Content: content})
	}
	return all, nil
}

// waiverFlags say which statements are believed.
type waiverFlags struct {
	vex                   []string
	key, identity, issuer string
}

func (f *waiverFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.vex, "vex", nil, "file, or folder of files, whose statements are believed; may be repeated (default "+waiversFolder+" of the checkout, where there is one)")
	flags.StringVar(&f.key, "vex-key", "", "public key (PEM): then every file has to be signed, in FILE.sigstore.json")
	flags.StringVar(&f.identity, "vex-identity", "", "the same with a certificate identity, exactly")
	flags.StringVar(&f.issuer, "vex-issuer", "", "OIDC issuer of the identity, exactly")
}

// waivers reads the files, and verifies them where somebody has to have signed.
func (f *waiverFlags) waivers(ctx context.Context, root string, stated time.Time) (*gate.Waivers, error) {
	files, err := f.files(root)
	if err != nil {
		return nil, err
	}
	verify, err := f.verifier(ctx, root)
	if err != nil {
		return nil, err
	}
	all := new(gate.Waivers)
	seen := make(map[string]bool)
	for _, file := range files {
		if verify != nil {
			if err := verify(file); err != nil {
				return nil, err
			}
		}
		content, err := readBounded(file, gate.MaxWaivers+1)
		if err != nil {
			return nil, configError{fmt.Errorf("--vex: %w", err)}
		}
		name := nameIn(root, file)
		if seen[name] {
			return nil, configError{fmt.Errorf("--vex: expected files of different names, found two %s", name)}
		}
		seen[name] = true
		if err := all.Add(name, content, verify != nil, stated); err != nil {
			return nil, configError{err}
		}
	}
	return all, nil
}

// files are those of --vex, with folders read, or those of the checkout's folder.
func (f *waiverFlags) files(root string) ([]string, error) {
	named := f.vex
	if len(named) == 0 {
		dir := filepath.Join(root, waiversFolder)
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		named = []string{dir}
	}
	var files []string
	for _, name := range named {
		info, err := os.Stat(name)
		if err != nil {
			return nil, configError{fmt.Errorf("--vex: %w", err)}
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, configError{fmt.Errorf("--vex: %w", err)}
		}
		for _, e := range entries {
			ext := filepath.Ext(e.Name())
			if !e.IsDir() && (ext == ".json" || ext == ".yaml" || ext == ".yml") && !strings.HasSuffix(e.Name(), bundleSuffix) {
				files = append(files, filepath.Join(name, e.Name()))
			}
		}
	}
	return files, nil
}

// bundleSuffix is behind the name of what a Sigstore bundle signs.
const bundleSuffix = ".sigstore.json"

// verifier returns what verifies a file, nil where nobody has to have signed.
func (f *waiverFlags) verifier(ctx context.Context, root string) (func(file string) error, error) {
	if f.key == "" && f.identity == "" && f.issuer == "" {
		return nil, nil
	}
	client, err := cosign.New(ctx, toolsOf(root), cosign.Identity{PublicKey: f.key, Subject: f.identity, Issuer: f.issuer}, "")
	if err != nil {
		return nil, configError{fmt.Errorf("--vex-key, --vex-identity: %w", err)}
	}
	return func(file string) error {
		if _, err := os.Stat(file + bundleSuffix); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w: waivers: %s: expected its signature in %s, found no such file", errNotVerified, file, filepath.Base(file)+bundleSuffix)
		}
		err := client.VerifyBlob(ctx, file, file+bundleSuffix)
		var failure *tool.Failure
		if !errors.As(err, &failure) || cosign.Passing(err) || ctx.Err() != nil {
			return err // nil, or cosign gave no answer
		}
		return fmt.Errorf("%w: waivers: %w", errNotVerified, err)
	}, nil
}

// toolsOf finds the pinned commands of a checkout, or those on PATH where there is none.
func toolsOf(root string) tool.Box {
	if root == "" {
		return tool.Box{}
	}
	return tool.Box{Dir: filepath.Join(root, ".tools", "bin")}
}

// nameIn is a file's name in the checkout, or its last element: what is published names
// no folder of a machine.
func nameIn(root, file string) string {
	absolute, err := filepath.Abs(file)
	if err == nil && root != "" {
		if name, err := filepath.Rel(root, absolute); err == nil && filepath.IsLocal(name) {
			return filepath.ToSlash(name)
		}
	}
	return filepath.Base(file)
}

func readBounded(file string, limit int64) ([]byte, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // it was only read from
	return io.ReadAll(io.LimitReader(in, limit))
}

// replaceFile leaves the old content or the new, and nothing between.
func replaceFile(name string, content []byte) error {
	temporary := name + ".new"
	if err := os.WriteFile(temporary, content, 0o644); err != nil { //nolint:gosec // a public document
		return err
	}
	return os.Rename(temporary, name)
}

// thisProgram describes the program that runs.
func thisProgram() (map[string]string, *receipt.Descriptor, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program: %w", err)
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read this program: %w", err)
	}
	defer in.Close() //nolint:errcheck // it was only read from
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return nil, nil, fmt.Errorf("read this program: %w", err)
	}
	info := buildinfo.Read("")
	return map[string]string{"tallyman": info.Version, "go": info.Go},
		&receipt.Descriptor{Name: "tallyman", Digest: map[string]string{"sha256": hex.EncodeToString(sum.Sum(nil))}}, nil
}
