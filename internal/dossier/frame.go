package dossier

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	blockSize = 512
	// maxUSTAR is the largest size that the octal digits of a header hold, in bytes.
	maxUSTAR = 1<<33 - 1
	// window is how far back a frame refers, in bytes; readers need as much memory.
	window    = 4 << 20
	maxWindow = 8 << 20
)

// header is the one header that an entry has: a regular file that everybody may read,
// of nobody, from 1970. Only a size of 8 GiB and more makes it one of GNU's.
func header(name string, size int64) ([]byte, error) {
	h := tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, Format: tar.FormatUSTAR}
	if size > maxUSTAR {
		h.Format = tar.FormatGNU
	}
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&h); err != nil {
		return nil, fmt.Errorf("tar header of %s: %w", name, err)
	}
	if b.Len() != blockSize {
		return nil, fmt.Errorf("tar header of %s: expected %d bytes, found %d", name, blockSize, b.Len())
	}
	return b.Bytes(), nil
}

// padding is how many zeros follow a content of so many bytes.
func padding(size int64) int64 { return -size & (blockSize - 1) }

// explainHeader says what a header is that is not the expected one.
func explainHeader(found []byte, name string, size int64) error {
	h, err := tar.NewReader(bytes.NewReader(found)).Next()
	if err != nil {
		return fmt.Errorf("tar header: expected that of a regular file, found none that can be read: %w", err)
	}
	what := fmt.Sprintf("%s %.200q of %d bytes", typeName(h.Typeflag), h.Name, h.Size)
	if h.Linkname != "" {
		what += fmt.Sprintf(" to %.200q", h.Linkname)
	}
	if h.Typeflag == tar.TypeReg && h.Name == name && h.Size == size {
		what += fmt.Sprintf(", with mode %#o, owner %d:%d (%.50q:%.50q), time %d, or other fields of its own", h.Mode, h.Uid, h.Gid, h.Uname, h.Gname, h.ModTime.Unix())
	}
	return fmt.Errorf("tar header: expected regular file %q of %d bytes, mode 0644, owner 0:0, time 0, found %s", name, size, what)
}

func typeName(flag byte) string {
	switch flag {
	case tar.TypeReg:
		return "regular file"
	case tar.TypeSymlink:
		return "symbolic link"
	case tar.TypeLink:
		return "hard link"
	case tar.TypeDir:
		return "folder"
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return "device or pipe"
	default:
		return fmt.Sprintf("entry of type %q", flag)
	}
}

// newCompressor returns what makes frames. The settings are part of what makes a
// dossier the same bytes each time.
func newCompressor() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(window),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
}

// newDecompressor reads one frame.
func newDecompressor(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
}

// scanFrame reads a part of a file to its end: its content is handed to content, which
// may stop early, and its bytes are hashed. The first error is that of the hash, the
// second of what content said.
func scanFrame(decoder *zstd.Decoder, r io.ReaderAt, f frame, content func(io.Reader) error) (hashErr, contentErr error) {
	sum := sha256.New()
	packed := io.TeeReader(io.NewSectionReader(r, f.Offset, f.Packed), sum)
	if contentErr = decoder.Reset(packed); contentErr == nil {
		contentErr = content(decoder)
	}
	if _, err := io.Copy(io.Discard, packed); err != nil {
		return fmt.Errorf("read: %w", err), contentErr
	}
	if found := hex.EncodeToString(sum.Sum(nil)); found != f.SHA256 {
		return fmt.Errorf("expected sha256 %s of its compressed bytes, found %s", f.SHA256, found), contentErr
	}
	return nil, contentErr
}

// checkFrame demands exactly one frame, with a checksum, no dictionary and a window
// that is not larger than ours. What a decompressor passes over may not be in it.
func checkFrame(r io.ReaderAt, f frame) error {
	head := make([]byte, min(zstd.HeaderMaxSize, f.Packed))
	if err := readAt(r, head, f.Offset); err != nil {
		return err
	}
	var h zstd.Header
	if err := h.Decode(head); err != nil {
		return fmt.Errorf("expected a Zstandard frame, found %x: %w", head[:min(4, len(head))], err)
	}
	switch {
	case h.Skippable:
		return errors.New("expected a Zstandard frame with content, found a skippable one")
	case !h.HasCheckSum:
		return errors.New("expected a Zstandard frame with a content checksum, found none")
	case h.DictionaryID != 0:
		return fmt.Errorf("expected a Zstandard frame without a dictionary, found dictionary %d", h.DictionaryID)
	case h.SingleSegment && h.FrameContentSize > maxWindow, !h.SingleSegment && h.WindowSize > maxWindow:
		return fmt.Errorf("%w: expected a Zstandard window of at most %d bytes, found %d", ErrLimit, maxWindow, max(h.WindowSize, h.FrameContentSize))
	}
	const checksum = 4
	length, err := skipBlocks(r, f, int64(h.HeaderSize))
	if err != nil {
		return err
	}
	if length+checksum != f.Packed {
		return fmt.Errorf("expected one Zstandard frame of %d bytes, found %d bytes in its place", length+checksum, f.Packed)
	}
	return nil
}

// skipBlocks returns where the blocks of a frame end (RFC 8878, section 3.1.1.2).
func skipBlocks(r io.ReaderAt, f frame, at int64) (int64, error) {
	const head, repeated, reserved = 3, 1, 3
	for {
		var b [head]byte
		if at+head > f.Packed {
			return 0, fmt.Errorf("expected the blocks of a Zstandard frame to end before byte %d, found no end", f.Packed)
		}
		if err := readAt(r, b[:], f.Offset+at); err != nil {
			return 0, err
		}
		bits := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		size := int64(bits >> 3)
		switch kind := bits >> 1 & 3; kind {
		case repeated:
			size = 1
		case reserved:
			return 0, errors.New("expected blocks of a Zstandard frame, found one of the reserved type")
		}
		at += head + size
		if bits&1 != 0 {
			return at, nil
		}
	}
}
