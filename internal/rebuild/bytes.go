package rebuild

import (
	"encoding/hex"
	"errors"
	"io"
	"strings"
)

// excerpt is how many bytes of each side are shown from where they part.
const excerpt = 16

// firstDifference reads two contents side by side up to the first byte that differs.
// It returns nil where they are equal, and keeps nothing of them.
func firstDifference(published, rebuilt io.Reader) (*Bytes, error) {
	const chunk = 64 << 10
	a, b := make([]byte, chunk), make([]byte, chunk)
	for offset := int64(0); ; {
		n, err := fill(published, a)
		if err != nil {
			return nil, err
		}
		m, err := fill(rebuilt, b)
		if err != nil {
			return nil, err
		}
		if same := common(a[:n], b[:m]); same < max(n, m) {
			one, err := more(published, a[same:n])
			if err != nil {
				return nil, err
			}
			other, err := more(rebuilt, b[same:m])
			if err != nil {
				return nil, err
			}
			return &Bytes{Offset: offset + int64(same), Published: spaced(one), Rebuilt: spaced(other)}, nil
		}
		if n < chunk {
			return nil, nil
		}
		offset += chunk
	}
}

// fill reads until b is full or the content ends, which is no error. A stream that
// breaks off is one: its reader says so with another error than io.EOF.
func fill(r io.Reader, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := r.Read(b[n:])
		n += m
		if errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
	return n, nil
}

func common(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// more completes an excerpt that starts with have, from r.
func more(r io.Reader, have []byte) ([]byte, error) {
	if len(have) >= excerpt {
		return have[:excerpt], nil
	}
	out := make([]byte, excerpt)
	n := copy(out, have)
	m, err := fill(r, out[n:])
	return out[:n+m], err
}

// spaced writes bytes as "68 65 6c".
func spaced(b []byte) string {
	pairs := make([]string, len(b))
	for i := range b {
		pairs[i] = hex.EncodeToString(b[i : i+1])
	}
	return strings.Join(pairs, " ")
}

// readable writes what spaced wrote as text, with a dot for what does not print.
func readable(hexadecimal string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(hexadecimal, " ", ""))
	if err != nil {
		return ""
	}
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '.'
		}
	}
	return string(b)
}
