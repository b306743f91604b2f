package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"github.com/klauspost/compress/zstd"
)

// ErrBadBackup says that a file is no backup, damaged, incomplete, or of another version.
var ErrBadBackup = errors.New("not a usable backup")

func badBackup(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadBackup, fmt.Sprintf(format, args...))
}

// Backup is a backup that is being read. End it with [Backup.Close].
type Backup struct {
	Header BackupHeader

	decoder *zstd.Decoder
	in      *bufio.Reader
	sum     hash.Hash
	// before is the sum of all lines before the current one.
	before []byte
	line   int
	buffer []byte
	// most bounds a line.
	most int
}

// ReadBackup reads the header of a backup. Nothing else of it is known to be right until
// [Ledger.Restore] has read it to its end.
func ReadBackup(r io.Reader) (*Backup, error) { return readBackup(r, maxLine) }

func readBackup(r io.Reader, most int) (*Backup, error) {
	decoder, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	b := &Backup{decoder: decoder, in: bufio.NewReaderSize(decoder, 1<<16), sum: sha256.New(), most: most}
	if err := b.readHeader(); err != nil {
		decoder.Close()
		return nil, fmt.Errorf("read backup: %w", err)
	}
	return b, nil
}

// Close frees what reading took. The file stays open.
func (b *Backup) Close() { b.decoder.Close() }

func (b *Backup) readHeader() error {
	line, err := b.next()
	if err != nil {
		return err
	}
	// Fields that a later version may add do not keep this one from saying what it is.
	if err := json.Unmarshal(line, &b.Header); err != nil || b.Header.Format == 0 {
		return badBackup("expected the header of a backup, found another line")
	}
	if b.Header.Format != backupFormat {
		return badBackup("expected format %d, found %d, made by program %s", backupFormat, b.Header.Format, clip(b.Header.Program))
	}
	return nil
}

// next reads a line, without its end. It is valid until the next one is read.
func (b *Backup) next() ([]byte, error) {
	b.before = b.sum.Sum(b.before[:0])
	b.line++
	b.buffer = b.buffer[:0]
	for {
		part, err := b.in.ReadSlice('\n')
		b.buffer = append(b.buffer, part...)
		switch {
		case len(b.buffer) > b.most:
			return nil, badBackup("line %d: expected at most %d bytes, found more", b.line, b.most)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil, badBackup("expected a line with sums at its end, found that it ends in line %d", b.line)
		case err != nil:
			return nil, badBackup("line %d: %v", b.line, err)
		}
		b.sum.Write(b.buffer)
		line := bytes.TrimSuffix(b.buffer, []byte("\n"))
		if len(line) == 0 || line[0] != '{' && line[0] != '[' {
			return nil, badBackup("line %d: expected a JSON object or array, found another text", b.line)
		}
		return line, nil
	}
}

// end takes the last line, and holds what was read against it.
func (b *Backup) end(line []byte, rows map[string]int64) error {
	trailer, err := decodeLine[backupTrailer](line)
	if err != nil {
		return fmt.Errorf("line %d: %w", b.line, err)
	}
	if sum := hex.EncodeToString(b.before); sum != trailer.SHA256 {
		return badBackup("expected SHA-256 %s, found %s: it was changed or is damaged", clip(trailer.SHA256), sum)
	}
	for _, table := range tables() {
		if n, ok := trailer.Rows[table]; !ok || n != rows[table] {
			return badBackup("table %s: expected %d rows, found %d", table, n, rows[table])
		}
	}
	if len(trailer.Rows) != len(tables()) {
		return badBackup("expected counts of %d tables, found %d", len(tables()), len(trailer.Rows))
	}
	switch _, err := b.in.ReadByte(); {
	case err == nil:
		return badBackup("expected its end after line %d, found more", b.line)
	case !errors.Is(err, io.EOF):
		return badBackup("after line %d: %v", b.line, err)
	}
	return nil
}

// decodeLine reads a JSON object that has no fields but those of T.
func decodeLine[T any](line []byte) (v T, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, badBackup("%s", clip(err.Error()))
	}
	if d.InputOffset() != int64(len(line)) {
		return v, badBackup("expected one JSON object, found more")
	}
	return v, nil
}

// decodeRow reads the values of a row.
func decodeRow(line []byte, columns []column) ([]any, error) {
	var fields []json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, badBackup("%s", clip(err.Error()))
	}
	if len(fields) != len(columns) {
		return nil, badBackup("expected %d values, found %d", len(columns), len(fields))
	}
	values := make([]any, len(columns))
	for i, c := range columns {
		v, err := decodeValue(fields[i], c.Kind)
		if err != nil {
			return nil, badBackup("column %s: expected a %s, found %s", c.Name, c.Kind, clip(string(fields[i][:min(len(fields[i]), maxShown)])))
		}
		values[i] = v
	}
	return values, nil
}

// maxShown bounds what an error repeats of a value.
const maxShown = 200

func decodeValue(field json.RawMessage, k kind) (any, error) {
	if string(field) == "null" {
		return nil, nil //nolint:nilnil // it is the value
	}
	switch k {
	case kindText:
		var v string
		err := json.Unmarshal(field, &v)
		return v, err
	case kindNumber:
		return strconv.ParseInt(string(field), 10, 64)
	case kindTruth:
		var v bool
		err := json.Unmarshal(field, &v)
		return v, err
	case kindBytes:
		v := []byte{}
		if field[0] != '"' { // an array of numbers would do for the decoder
			return nil, ErrBadBackup
		}
		err := json.Unmarshal(field, &v)
		return v, err
	}
	return nil, fmt.Errorf("unknown kind %q", k)
}
