package rebuild

import "context"

// Limits bound what is read of the images and archives that are compared. The zero
// value of a field stands for its default.
type Limits struct {
	// Blob bounds a layer or an archive as it lies there, in bytes; 512 MiB. Two are
	// in memory at the same time.
	Blob int64
	// Unpacked bounds what a layer or archive is unpacked to, in bytes; 4 GiB. It is
	// read through, never kept.
	Unpacked int64
	// Binary bounds a file whose Go build information is read, in bytes; 256 MiB.
	Binary int64
	// Entries bounds the files of a layer or archive; 200 000.
	Entries int
	// Differences bounds those that are told of one image, or of one archive; 60.
	Differences int

	// work is shared by all looks at one image, or at one release page.
	work *work
}

// work bounds what is unpacked in all, and ends it with its context.
type work struct {
	done <-chan struct{}
	left int64
}

// unpackedInAll is how many times Unpacked is read of one image or page: each file whose
// bytes are looked at is found by unpacking again.
const unpackedInAll = 16

// with returns the limits with defaults, for one image or page.
func (l Limits) with(ctx context.Context) Limits {
	l = l.withDefaults()
	l.work = &work{done: ctx.Done(), left: unpackedInAll * l.Unpacked}
	return l
}

func (l Limits) withDefaults() Limits {
	if l.Blob <= 0 {
		l.Blob = 512 << 20
	}
	if l.Unpacked <= 0 {
		l.Unpacked = 4 << 30
	}
	if l.Binary <= 0 {
		l.Binary = 256 << 20
	}
	if l.Entries <= 0 {
		l.Entries = 200_000
	}
	if l.Differences <= 0 {
		l.Differences = 60
	}
	return l
}

const (
	// maxConfig bounds an image configuration, in bytes, as manifests are bounded
	// (distribution specification, "Pushing Manifests").
	maxConfig = 4 << 20
	// maxPlatforms bounds the manifests of an index, as in package registry.
	maxPlatforms = 64
	// maxLayers bounds the layers of a manifest. Overlay file systems stop at 127.
	maxLayers = 512
	// maxHeaders bounds the headers of a tar on each side, in bytes: long names and
	// PAX records count, content does not.
	maxHeaders = 64 << 20
)
