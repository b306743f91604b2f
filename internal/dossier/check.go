package dossier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Checked is a dossier that is whole.
type Checked struct {
	Manifest Manifest
	// Digest is that of the manifest that carries dossier.json, and covers everything.
	Digest release.Digest
	// Absent are the layers that images have and the dossier has not.
	Absent []Blob
}

// Check reads the whole file: every byte is compared with its hash, every entry with
// its name, and what is there with what has to be, nothing missing and nothing beside.
// It says nothing of signatures.
//
// The error is a [DamageError] that names what is damaged; or [ErrVersion], [ErrLimit],
// the end of ctx, or that the file could not be read.
func (f *File) Check(ctx context.Context, progress Progress) (Checked, error) {
	failed := func(err error) (Checked, error) {
		return Checked{}, fmt.Errorf("dossier %s: %w", f.name, err)
	}
	if err := f.checkEntries(ctx, progress); err != nil {
		return failed(err)
	}
	c, own, problem, err := f.checkList()
	if err != nil {
		return failed(err)
	}
	if problem == nil {
		problem, err = f.checkContents(ctx, &c, own)
	}
	if err != nil {
		return failed(err)
	}
	if problem != nil {
		return failed(problem)
	}
	return c, nil
}

// checkEntries compares each entry by itself.
func (f *File) checkEntries(ctx context.Context, progress Progress) error {
	decoder, err := newDecompressor(nil)
	if err != nil {
		return err
	}
	defer decoder.Close()
	var damage DamageError
	note := func(name string, at frame, check func(io.Reader) error) error {
		hashErr, contentErr := scanFrame(decoder, f.r, at, check)
		if hashErr == nil {
			// What the frame is explains more than what became of its content.
			if err := checkFrame(f.r, at); err != nil {
				contentErr = err
			}
		}
		if errors.Is(contentErr, ErrLimit) && hashErr == nil {
			return fmt.Errorf("%s: %w", name, contentErr)
		}
		switch {
		case hashErr != nil && contentErr != nil:
			damage.add(at.problem(name, fmt.Errorf("%w; %w", hashErr, contentErr)))
		case hashErr != nil, contentErr != nil:
			damage.add(at.problem(name, errors.Join(hashErr, contentErr)))
		}
		return nil
	}
	for _, e := range f.table.Entries {
		if err := cancelled(ctx); err != nil {
			return err
		}
		progress.tell("check", e.Offset, f.body)
		if err := note(e.Name, e.frame, e.check); err != nil {
			return err
		}
	}
	if err := note(partEnd, f.table.End, func(r io.Reader) error { return expectZeros(r, 2*blockSize) }); err != nil {
		return err
	}
	return damage.orNil()
}

// check compares the content of a frame with what the entry is to be.
func (e entry) check(r io.Reader) error {
	want, err := header(e.Name, e.Size)
	if err != nil {
		return err
	}
	found := make([]byte, blockSize)
	if _, err := io.ReadFull(r, found); err != nil {
		return fmt.Errorf("tar header: expected %d bytes: %w", blockSize, err)
	}
	if !bytes.Equal(found, want) {
		return explainHeader(found, e.Name, e.Size)
	}
	sum := sha256.New()
	if n, err := io.CopyN(sum, r, e.Size); err != nil {
		return fmt.Errorf("content: expected %d bytes, found %d: %w", e.Size, n, err)
	}
	if name, isBlob := strings.CutPrefix(e.Name, folderBlobs); isBlob {
		if found := hex.EncodeToString(sum.Sum(nil)); found != name {
			return fmt.Errorf("content: expected sha256 %s, found %s", name, found)
		}
	}
	if err := expectZeros(r, padding(e.Size)); err != nil {
		return fmt.Errorf("padding: %w", err)
	}
	return nil
}

// expectZeros demands n zeros, and the end behind them.
func expectZeros(r io.Reader, n int64) error {
	b, err := io.ReadAll(io.LimitReader(r, n+1))
	if err != nil {
		return err
	}
	if found := int64(len(b)); found > n {
		return fmt.Errorf("expected %d bytes and the end, found more", n)
	} else if found < n {
		return fmt.Errorf("expected %d bytes, found %d", n, found)
	}
	for i, c := range b {
		if c != 0 {
			return fmt.Errorf("expected zeros, found %#02x at %d", c, i)
		}
	}
	return nil
}

// problem makes a DamageError about one entry.
func (f *File) problem(name string, err error) *DamageError {
	return &DamageError{Problems: []Problem{f.byName[name].problem(name, err)}}
}

// checkList reads index.json and dossier.json, and compares the first with the second.
// The result has the artifact that carries dossier.json.
func (f *File) checkList() (c Checked, own v1.Descriptor, problem, err error) {
	if b, err := f.content(nameVersion); err != nil || string(b) != versionFile {
		return c, own, f.problem(nameVersion, fmt.Errorf("expected %s, found %.100q%s", versionFile, b, behind(err))), nil
	}
	b, err := f.content(nameIndex)
	if err != nil {
		return c, own, f.problem(nameIndex, err), nil
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(b))
	if err != nil {
		return c, own, f.problem(nameIndex, fmt.Errorf("expected an index: %w", err)), nil
	}
	if n := len(index.Manifests); n == 0 || index.Manifests[n-1].ArtifactType != MediaType {
		return c, own, f.problem(nameIndex, fmt.Errorf("expected the last entry to be an artifact of type %s, found %s", MediaType, lastType(index))), nil
	}
	own = index.Manifests[len(index.Manifests)-1]
	c.Digest = release.Digest(own.Digest.String())
	carrier, err := f.carrier(c.Digest)
	if err != nil {
		return c, own, f.problem(blobPath(c.Digest), err), nil
	}
	list := release.Digest(carrier.Layers[0].Digest.String())
	document, err := f.blob(list)
	if err == nil {
		c.Manifest, err = parseManifest(document)
	}
	if errors.Is(err, ErrVersion) {
		return c, own, nil, fmt.Errorf("dossier.json, %s: %w", blobPath(list), err)
	} else if err != nil {
		return c, own, f.problem(blobPath(list), fmt.Errorf("dossier.json: %w", err)), nil
	}
	if want, err := c.Manifest.index(own); err != nil || !bytes.Equal(want, b) {
		return c, own, f.problem(nameIndex, fmt.Errorf("expected what dossier.json says, found another%s", behind(err))), nil
	}
	return c, own, nil, nil
}

func behind(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func lastType(index *v1.IndexManifest) string {
	if len(index.Manifests) == 0 {
		return "none"
	}
	return fmt.Sprintf("%.100q", index.Manifests[len(index.Manifests)-1].ArtifactType)
}

// carrier reads the manifest that carries dossier.json as its first layer.
func (f *File) carrier(digest release.Digest) (*v1.Manifest, error) {
	b, err := f.blob(digest)
	if err != nil {
		return nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("expected a manifest: %w", err)
	}
	if len(manifest.Layers) == 0 || manifest.Layers[0].MediaType != MediaType {
		return nil, fmt.Errorf("expected %s as the first layer, found another", MediaType)
	}
	return manifest, nil
}

// checkContents follows everything from the entries of index.json, and compares that
// with the list of blobs and with what is in the file.
func (f *File) checkContents(ctx context.Context, c *Checked, own v1.Descriptor) (problem, err error) {
	l, err := f.Layout()
	if err != nil {
		return f.problem(nameIndex, err), nil
	}
	w := newWalk(c.Manifest.Contents == ContentsPapers)
	at := place{l, f.name}
	if err := w.follow(ctx, &c.Manifest, func(release.Digest) place { return at }); err != nil {
		return f.followProblem(ctx, err)
	}
	if err := f.followOwn(w, at, c, own); err != nil {
		return f.problem(blobPath(c.Digest), err), nil
	}
	var damage DamageError
	compareLists(&damage, w.sorted(), c.Manifest.Blobs)
	f.compareEntries(&damage, c, own)
	c.Absent = w.left
	return damage.orNil(), nil
}

// followProblem tells what is wrong with the file from what kept it from being read.
func (f *File) followProblem(ctx context.Context, err error) (problem, failure error) {
	if stopped := cancelled(ctx); stopped != nil {
		return nil, stopped
	}
	if errors.Is(err, ErrLimit) {
		return nil, err
	}
	var failed *registry.Error
	if errors.As(err, &failed) && failed.Cause != release.CauseNotFound && failed.Cause != release.CauseInvalid {
		return nil, err
	}
	return f.problem(nameIndex, err), nil
}

// followOwn takes what the dossier's own artifact leads to.
func (f *File) followOwn(w *walk, at place, c *Checked, own v1.Descriptor) error {
	carrier, err := f.carrier(c.Digest)
	if err != nil {
		return err
	}
	reported := false
	for _, layer := range carrier.Layers[1:] {
		role := RoleAdvisories
		if layer.MediaType == ReportMediaType {
			role, reported = RoleReport, true
			if digest := release.Digest(layer.Digest.String()); digest != c.Manifest.Report {
				return fmt.Errorf("report: expected %s, found %s", c.Manifest.Report, digest)
			}
		}
		if err := w.leaf(at, layer, role); err != nil {
			return err
		}
	}
	if !reported {
		return errors.New("expected a report, found none")
	}
	if size := f.byName[blobPath(c.Digest)].Size; own.Size != size {
		return fmt.Errorf("expected %d bytes, as %s says, found %d", own.Size, nameIndex, size)
	}
	return w.leaf(at, carrier.Config, RoleDossier)
}

// compareLists compares what has to be with what dossier.json lists. Both are sorted.
func compareLists(damage *DamageError, want, listed []Blob) {
	found := make(map[release.Digest]Blob, len(listed))
	for _, b := range listed {
		found[b.Digest] = b
	}
	for _, b := range want {
		switch other, ok := found[b.Digest]; {
		case !ok:
			damage.add(Problem{Entry: blobPath(b.Digest), Err: fmt.Errorf("dossier.json: expected this %s in the list of blobs, found it missing", b.Role)})
		case other != b:
			damage.add(Problem{Entry: blobPath(b.Digest), Err: fmt.Errorf("dossier.json: expected %d bytes of %s as %s, found %d bytes of %.100q as %.100q",
				b.Size, b.MediaType, b.Role, other.Size, other.MediaType, other.Role)})
		}
		delete(found, b.Digest)
	}
	for _, b := range listed {
		if _, left := found[b.Digest]; left {
			damage.add(Problem{Entry: blobPath(b.Digest), Err: errors.New("dossier.json: expected what something leads to, found a blob that nothing leads to")})
		}
	}
}

// compareEntries compares what dossier.json lists with the entries of the tar.
func (f *File) compareEntries(damage *DamageError, c *Checked, own v1.Descriptor) {
	carrier, err := f.carrier(c.Digest)
	if err != nil {
		damage.add(f.byName[blobPath(c.Digest)].problem(blobPath(c.Digest), err))
		return
	}
	wanted := map[string]bool{
		nameIndex: true, nameVersion: true,
		blobPath(release.Digest(own.Digest.String())):               true,
		blobPath(release.Digest(carrier.Layers[0].Digest.String())): true,
	}
	for _, b := range c.Manifest.Blobs {
		name := blobPath(b.Digest)
		wanted[name] = true
		e, ok := f.byName[name]
		switch {
		case !ok:
			damage.add(Problem{Entry: name, Err: fmt.Errorf("expected a %s of %d bytes, found it missing", b.Role, b.Size)})
		case e.Size != b.Size:
			damage.add(e.problem(name, fmt.Errorf("expected a %s of %d bytes, found %d", b.Role, b.Size, e.Size)))
		}
	}
	for _, e := range f.table.Entries {
		if !wanted[e.Name] {
			damage.add(e.problem(e.Name, errors.New("expected what dossier.json lists, found an entry beside")))
		}
	}
}
