package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Queue puts tasks where jobs are taken from. It does so within the transaction of
// the change that causes them, so that neither is without the other.
type Queue interface {
	Enqueue(ctx context.Context, tx *sql.Tx, tasks ...release.Task) error
}

// Ledger is what keeps the tally in a [Store]: papers, packages, advisories, findings
// and verdicts. It is a type of its own so that programs which only read the store
// do not carry it. It is safe for concurrent use.
type Ledger struct {
	*Store

	queue    Queue
	packages *packageKeys
	encoder  *zstd.Encoder
	decoder  *zstd.Decoder
}

// maxContent bounds what is decompressed, in bytes. Nothing larger is stored.
const maxContent = 1 << 30

// NewLedger returns a ledger in a store, which must stay open. Tasks go to the queue.
func NewLedger(s *Store, queue Queue) (*Ledger, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
		zstd.WithWindowSize(1<<18), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxContent))
	if err != nil {
		return nil, fmt.Errorf("set up decompression: %w", err)
	}
	return &Ledger{Store: s, queue: queue, packages: newPackageKeys(), encoder: encoder, decoder: decoder}, nil
}

func (l *Ledger) compress(content []byte) []byte {
	return l.encoder.EncodeAll(content, make([]byte, 0, len(content)/4+64))
}

func (l *Ledger) decompress(content []byte) ([]byte, error) {
	plain, err := l.decoder.DecodeAll(content, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return plain, nil
}

// matching says who may change findings at the same time.
type matching int

const (
	// matchingPackages is shared: each matches packages that nobody else has.
	matchingPackages matching = iota
	// matchingAdvisories excludes all others: no package may come, matched against
	// the advisories as they were, while they change.
	matchingAdvisories
)

// packageKeys remembers the keys of packages, which never change or go away. Only
// keys that are committed may be put in.
type packageKeys struct {
	mu   sync.Mutex
	keys map[string]int64
}

// maxPackageKeys bounds what is remembered, some 150 bytes each.
const maxPackageKeys = 1 << 17

func newPackageKeys() *packageKeys { return &packageKeys{keys: make(map[string]int64)} }

// split returns the keys that are known, and the purls of the others.
func (k *packageKeys) split(packages []identified) (known map[string]int64, others map[string]*identified) {
	known, others = make(map[string]int64, len(packages)), make(map[string]*identified)
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range packages {
		p := &packages[i]
		if key, ok := k.keys[p.PURL]; ok {
			known[p.PURL] = key
		} else if _, ok := others[p.PURL]; !ok {
			others[p.PURL] = p
		}
	}
	return known, others
}

func (k *packageKeys) add(fresh map[string]int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys)+len(fresh) > maxPackageKeys {
		clear(k.keys)
	}
	for purl, key := range fresh {
		if len(k.keys) < maxPackageKeys {
			k.keys[purl] = key
		}
	}
}

// batch is how many rows or values one statement carries. Both engines take many
// more; beyond this it makes no difference.
const batch = 200

// bulk inserts rows. The statement is prefix, the rows, suffix.
func bulk(ctx context.Context, tx *transaction, prefix, suffix string, rows [][]any) error {
	for len(rows) > 0 {
		n := min(batch, len(rows))
		args := make([]any, 0, n*len(rows[0]))
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		if _, err := tx.ExecContext(ctx, prefix+" VALUES "+tuples(n, len(rows[0]))+" "+suffix, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// tuples returns "($1, $2), ($3, $4)" for two rows of two columns.
func tuples(rows, columns int) string {
	var b strings.Builder
	b.Grow(rows * columns * 6)
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for j := range columns {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "$%d", i*columns+j+1)
		}
		b.WriteByte(')')
	}
	return b.String()
}

// list returns "($3, $4)" for two values after the first two.
func list(n, after int) string {
	var b strings.Builder
	b.WriteByte('(')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "$%d", after+i+1)
	}
	b.WriteByte(')')
	return b.String()
}

func anys[T any](values []T) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}

// jsonText encodes what is kept as a JSON text. Only values that can be encoded are.
func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return string(text)
}

// jsonList is [jsonText] of a list, for which nil is an empty one.
func jsonList[T any](list []T) string {
	if len(list) == 0 {
		return "[]"
	}
	return jsonText(list)
}

func fromJSON[T any](text string) (v T, err error) {
	if err = json.Unmarshal([]byte(text), &v); err != nil {
		return v, fmt.Errorf("read a JSON column: %w", err)
	}
	return v, nil
}
