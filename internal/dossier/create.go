package dossier

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/retry"
)

// maxDocument bounds a manifest, a key, a trusted root and dossier.json, in bytes.
const maxDocument = 16 << 20

// Item is an image to put into a dossier, or to copy.
type Item struct {
	Source     Source
	Repository string
	Digest     release.Digest
	// Tag is what it was asked for by; it may be empty.
	Tag string
	// Listed is what the place is called where Source lists referrers, as in
	// [evidence.Config].
	Listed release.Layout
}

// Options say how a dossier is made.
type Options struct {
	// PapersOnly leaves out the layers of images.
	PapersOnly bool
	// At is the time of the dossier and of the report in it, in whole seconds.
	At   time.Time
	Tool Tool
	// Trust is what papers are verified with; it goes into the dossier.
	Trust evidence.Trust
	// Advisories may be nil.
	Advisories *Advisories
	// Records are files of advisory records that go in.
	Records []Attachment
	// Progress may be nil.
	Progress Progress
	// Most bounds what goes in, in bytes before they are compressed, with [ErrLimit] when
	// it is more; 0 for no bound.
	Most int64
	// Wait is between attempts to read from a registry.
	Wait retry.Wait
}

// Attachment is a file that goes into a dossier.
type Attachment struct {
	// Name is what it is called, such as Go/all.zip.
	Name, MediaType string
	Digest          release.Digest
	// Size is in bytes.
	Size int64
	Open func(context.Context) (io.ReadCloser, error)
}

// Created is what came of making a dossier.
type Created struct {
	Manifest Manifest
	// Digest is that of the manifest that carries dossier.json. It covers everything in
	// the dossier, and is the same whatever compressed it.
	Digest release.Digest
	// Examinations are what the report has.
	Examinations []release.Examination
}

// Create writes a dossier of the images. The file is there whole, or as it was before.
// The same images, papers, options and version of this program give the same bytes.
//
// That a paper does not hold is no error: the report says so. That one cannot be read is.
func Create(ctx context.Context, path string, items []Item, o Options) (created Created, err error) {
	failed := func(err error) (Created, error) {
		return Created{}, fmt.Errorf("make dossier %s: %w", path, err)
	}
	o.At = o.At.UTC().Truncate(time.Second)
	c := collection{options: o, walk: newWalk(o.PapersOnly), places: make(map[release.Digest]place), opens: make(map[release.Digest]opener)}
	if err := c.collect(ctx, items); err != nil {
		return failed(err)
	}
	own, err := c.finish()
	if err != nil {
		return failed(err)
	}
	p, err := newPacker(path, o.Wait)
	if err != nil {
		return failed(err)
	}
	if err := c.pack(ctx, p, own); err != nil {
		return failed(errors.Join(err, p.discard()))
	}
	if err := c.prove(ctx, p); err != nil {
		return failed(errors.Join(err, p.discard()))
	}
	if err := p.finish(path); err != nil {
		return failed(errors.Join(err, p.discard()))
	}
	return Created{Manifest: c.manifest, Digest: own.digest, Examinations: c.examinations}, nil
}

// collection is a dossier before it is written.
type collection struct {
	options  Options
	walk     *walk
	manifest Manifest
	// places say where each entry of index.json is read from, and opens where each blob is.
	places       map[release.Digest]place
	opens        map[release.Digest]opener
	examinations []release.Examination
}

type opener func(context.Context) (io.ReadCloser, error)

// collect finds images and papers, and verifies the papers.
func (c *collection) collect(ctx context.Context, items []Item) error {
	groups, err := group(items)
	if err != nil {
		return err
	}
	var images, papers []v1.Descriptor
	tags := make(map[string]release.Digest)
	for i, g := range groups {
		c.options.Progress.tell("find papers", int64(i), int64(len(groups)))
		at := place{newMemo(g.item.Source), g.Repository}
		found, self, err := beside(ctx, at, g.Digest, c.options.PapersOnly)
		if err != nil {
			return fmt.Errorf("%s@%s: %w", g.Repository, g.Digest, err)
		}
		c.manifest.Images = append(c.manifest.Images, g.Image)
		c.places[g.Digest] = at
		for _, name := range g.names() {
			self.Annotations = map[string]string{annotationName: name}
			images = append(images, self)
		}
		for _, p := range found {
			if other, taken := tags[p.tag]; p.tag != "" && taken && other != p.digest {
				return fmt.Errorf("tag %s: expected the same papers in each repository, found %s and %s; make a dossier of each", p.tag, other, p.digest)
			}
			if desc := p.descriptor(); !slices.ContainsFunc(papers, func(d v1.Descriptor) bool {
				return d.Digest == desc.Digest && d.Annotations[annotationName] == p.tag
			}) {
				tags[p.tag] = p.digest
				papers = append(papers, desc)
			}
			if _, known := c.places[p.digest]; !known {
				c.places[p.digest] = at
			}
		}
		examination, err := c.examine(ctx, g, at)
		if err != nil {
			return err
		}
		c.examinations = append(c.examinations, examination)
	}
	c.manifest.Index = append(images, papers...)
	if err := c.walk.follow(ctx, &c.manifest, func(d release.Digest) place { return c.places[d] }); err != nil {
		return err
	}
	return nil
}

// beside returns the papers of an image, and its descriptor.
func beside(ctx context.Context, at place, digest release.Digest, papersOnly bool) ([]paper, v1.Descriptor, error) {
	w := newWalk(papersOnly)
	if err := w.manifest(ctx, at, digest, goods(), 0); err != nil {
		return nil, v1.Descriptor{}, err
	}
	found, err := findPapers(ctx, at, w.subjects())
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	// What is in the index of the image is no paper beside it.
	found = slices.DeleteFunc(found, func(p paper) bool {
		_, inside := w.blobs[p.digest]
		return inside && p.tag == ""
	})
	b := w.blobs[digest]
	return found, v1.Descriptor{MediaType: types.MediaType(b.MediaType), Digest: hashOf(digest), Size: b.Size}, nil
}

// grouped is an image with all tags that it was asked for by.
type grouped struct {
	Image

	item Item
}

func group(items []Item) ([]grouped, error) {
	var all []grouped
	for _, item := range items {
		at := slices.IndexFunc(all, func(g grouped) bool { return g.Digest == item.Digest })
		if at < 0 {
			at = len(all)
			all = append(all, grouped{Image{item.Repository, []string{}, item.Digest}, item})
		}
		if all[at].Repository != item.Repository {
			return nil, fmt.Errorf("image %s: expected it from one repository, found %s and %s; make a dossier of each", item.Digest, all[at].Repository, item.Repository)
		}
		if item.Tag != "" && !slices.Contains(all[at].Tags, item.Tag) {
			all[at].Tags = append(all[at].Tags, item.Tag)
		}
	}
	for i := range all {
		slices.Sort(all[i].Tags)
	}
	slices.SortFunc(all, func(a, b grouped) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Digest, b.Digest))
	})
	return all, nil
}

func (c *collection) examine(ctx context.Context, g grouped, at place) (release.Examination, error) {
	examiner, err := evidence.New(at.source, evidence.Config{
		Trust: c.options.Trust, Listed: g.item.Listed, Now: func() time.Time { return c.options.At },
	})
	if err != nil {
		return release.Examination{}, err
	}
	return examiner.Examine(ctx, g.Repository, g.Digest)
}

// own are the blobs that a dossier adds, which are small and held.
type own struct {
	walk  *walk
	role  Role
	blobs map[release.Digest][]byte
	// digest is that of the manifest that carries dossier.json, and index is index.json.
	digest release.Digest
	index  []byte
}

// add takes a blob of the role.
func (o *own) add(mediaType, title string, b []byte) v1.Descriptor {
	digest := digestOf(b)
	if _, known := o.walk.blobs[digest]; !known {
		o.walk.blobs[digest] = Blob{Digest: digest, Size: int64(len(b)), MediaType: mediaType, Role: o.role}
	}
	o.blobs[digest] = b
	return describe(mediaType, title, b)
}

// artifact takes a manifest.
func (o *own) artifact(a artifact) (v1.Descriptor, error) {
	b, err := encode(a)
	if err != nil {
		return v1.Descriptor{}, err
	}
	desc := o.add(string(a.MediaType), "", b)
	desc.ArtifactType = a.ArtifactType
	return desc, nil
}

// finish makes what the dossier adds: trust, report, advisory records and the list of
// everything.
func (c *collection) finish() (*own, error) {
	o := &own{walk: c.walk, blobs: make(map[release.Digest][]byte), role: RoleTrust}
	trust, err := o.addTrust(c.options.Trust)
	if err != nil {
		return nil, err
	}
	m := &c.manifest
	m.Schema, m.Created, m.Tool, m.Trust, m.Advisories = Schema, c.options.At, c.options.Tool, trust, c.options.Advisories
	m.Contents = ContentsImages
	if c.options.PapersOnly {
		m.Contents = ContentsPapers
	}
	if trust != "" {
		desc := describe(string(types.OCIManifestSchema1), "", o.blobs[trust])
		desc.ArtifactType = TrustMediaType
		m.Index = append(m.Index, desc)
	}
	var report bytes.Buffer
	if err := evidence.WriteJSON(&report, c.examinations); err != nil {
		return nil, err
	}
	o.role = RoleReport
	layers := []v1.Descriptor{o.add(ReportMediaType, "report.json", report.Bytes())}
	m.Report = digestOf(report.Bytes())
	for _, a := range c.options.Records {
		if _, known := c.walk.blobs[a.Digest]; !known {
			c.walk.blobs[a.Digest] = Blob{Digest: a.Digest, Size: a.Size, MediaType: a.MediaType, Role: RoleAdvisories}
			c.opens[a.Digest] = a.Open
		}
		layers = append(layers, v1.Descriptor{
			MediaType: types.MediaType(a.MediaType), Digest: hashOf(a.Digest), Size: a.Size,
			Annotations: map[string]string{annotationTitle: a.Name},
		})
	}
	o.role = RoleDossier
	empty := o.add(emptyMediaType, "", []byte("{}"))
	m.Blobs = c.walk.sorted()
	b, err := encode(m)
	if err != nil {
		return nil, err
	}
	layers = append([]v1.Descriptor{o.add(MediaType, "dossier.json", b)}, layers...)
	desc, err := o.artifact(newArtifact(MediaType, empty, layers...))
	if err != nil {
		return nil, err
	}
	o.digest = release.Digest(desc.Digest.String())
	o.index, err = m.index(desc)
	return o, err
}

// prove checks what was written as a reader does, before it gets its name.
func (c *collection) prove(ctx context.Context, p *packer) error {
	f, err := read(p.file.Name(), p.file, p.at, Limits{Size: math.MaxInt64, Entries: 2 * maxBlobs})
	if err != nil {
		return err
	}
	_, err = f.Check(ctx, c.options.Progress)
	return err
}

// pack writes everything in the order of names.
func (c *collection) pack(ctx context.Context, p *packer, o *own) error {
	all := c.walk.sorted()
	c.open(o)
	var done, total int64
	for _, b := range all {
		total += b.Size
	}
	if most := c.options.Most; most > 0 && total > most {
		return fmt.Errorf("%w: expected at most %d bytes, found %d", ErrLimit, most, total)
	}
	for _, b := range all {
		c.options.Progress.tell("write", done, total)
		if err := cancelled(ctx); err != nil {
			return err
		}
		if err := p.add(ctx, blobPath(b.Digest), b.Size, c.opens[b.Digest]); err != nil {
			return err
		}
		done += b.Size
	}
	if err := p.add(ctx, nameIndex, int64(len(o.index)), bytesOf(o.index)); err != nil {
		return err
	}
	if err := p.add(ctx, nameVersion, int64(len(versionFile)), bytesOf([]byte(versionFile))); err != nil {
		return err
	}
	return p.end()
}

// open says where each blob comes from.
func (c *collection) open(o *own) {
	for digest, b := range o.blobs {
		c.opens[digest] = bytesOf(b)
	}
	for _, content := range c.walk.manifests {
		c.opens[content.Digest] = bytesOf(content.Body)
	}
	for digest, at := range c.walk.from {
		c.opens[digest] = func(ctx context.Context) (io.ReadCloser, error) {
			return at.source.Stream(ctx, at.repository, digest, c.walk.blobs[digest].Size)
		}
	}
}

// versionFile is oci-layout (image specification, "oci-layout file").
const versionFile = `{"imageLayoutVersion":"1.0.0"}`

func cancelled(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
