package sbom

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	lexerBuffer = 64 << 10
	// maxString bounds a string that is kept. Those that are skipped may be of
	// any length.
	maxString = 64 << 10
	maxDepth  = 512
)

// lexer reads JSON (RFC 8259) from a stream without building values: what is of
// no interest is skipped at the speed of a byte search. It never holds more than
// its buffer.
type lexer struct {
	r     io.Reader
	buf   []byte
	pos   int   // next byte to read
	end   int   // end of what buf holds
	base  int64 // offset of buf[0] in the document
	depth int
	text  []byte // of the last string that did not lie in buf as it is
}

func newLexer(r io.Reader) *lexer { return &lexer{r: r, buf: make([]byte, lexerBuffer)} }

func (l *lexer) offset() int64 { return l.base + int64(l.pos) }

func (l *lexer) errorf(format string, args ...any) error {
	return fmt.Errorf("at byte %d: %w", l.offset(), fmt.Errorf(format, args...))
}

// more reads on after everything in the buffer was used. io.EOF is the end.
func (l *lexer) more() error {
	l.base += int64(l.end)
	l.pos, l.end = 0, 0
	for range 100 {
		n, err := l.r.Read(l.buf)
		l.end = n
		if n > 0 {
			return nil // an error comes again with the next read
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// mustMore is more where the document may not end.
func (l *lexer) mustMore() error {
	err := l.more()
	if errors.Is(err, io.EOF) {
		return l.errorf("the document ends early: %w", io.ErrUnexpectedEOF)
	}
	if err != nil {
		return l.errorf("read: %w", err)
	}
	return nil
}

// peek returns the next byte that is no white space, and leaves it.
func (l *lexer) peek() (byte, error) {
	for {
		for l.pos < l.end {
			switch c := l.buf[l.pos]; c {
			case ' ', '\n', '\r', '\t':
				l.pos++
			default:
				return c, nil
			}
		}
		if err := l.mustMore(); err != nil {
			return 0, err
		}
	}
}

func (l *lexer) expect(want byte) error {
	c, err := l.peek()
	if err != nil {
		return err
	}
	if c != want {
		return l.errorf("expected %q, found %q", want, c)
	}
	l.pos++
	return nil
}

// done checks that nothing but white space follows.
func (l *lexer) done() error {
	for {
		for l.pos < l.end {
			switch l.buf[l.pos] {
			case ' ', '\n', '\r', '\t', 0: // NUL pads some files of fixed size
				l.pos++
			default:
				return l.errorf("more follows the document")
			}
		}
		if err := l.more(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return l.errorf("read: %w", err)
		}
	}
}

func (l *lexer) enter(open byte) error {
	if err := l.expect(open); err != nil {
		return err
	}
	if l.depth++; l.depth > maxDepth {
		return l.errorf("nested deeper than %d", maxDepth)
	}
	return nil
}

// next tells whether another member or element follows in what was entered, and
// steps over the comma before it or the bracket that ends it.
func (l *lexer) next(closing byte, first bool) (bool, error) {
	c, err := l.peek()
	if err != nil {
		return false, err
	}
	switch {
	case c == closing:
		l.pos++
		l.depth--
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, l.errorf("expected ',' or %q, found %q", closing, c)
	}
	l.pos++
	return true, nil
}

// object calls member with each key; member must consume the value. The key is
// valid until then.
func (l *lexer) object(member func(key []byte) error) error {
	if err := l.enter('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		ok, err := l.next('}', first)
		if err != nil || !ok {
			return err
		}
		key, err := l.str()
		if err != nil {
			return err
		}
		// The colon may lie beyond the buffer, and reading on would overwrite a key in it.
		if l.pos == l.end || l.buf[l.pos] != ':' {
			l.text = append(l.text[:0], key...)
			key = l.text
		}
		if err := l.expect(':'); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
	}
}

// array calls element before each element, which it must consume.
func (l *lexer) array(element func(index int) error) error {
	if err := l.enter('['); err != nil {
		return err
	}
	for i := 0; ; i++ {
		ok, err := l.next(']', i == 0)
		if err != nil || !ok {
			return err
		}
		if err := element(i); err != nil {
			return err
		}
	}
}

// str reads a string. The bytes are valid until the next call.
func (l *lexer) str() ([]byte, error) {
	if err := l.expect('"'); err != nil {
		return nil, err
	}
	window := l.buf[l.pos:l.end]
	if i := bytes.IndexByte(window, '"'); i >= 0 && i <= maxString && bytes.IndexByte(window[:i], '\\') < 0 {
		l.pos += i + 1
		return window[:i:i], nil
	}
	return l.slowString()
}

// slowString reads a string with escapes, or one that goes over the buffer.
func (l *lexer) slowString() ([]byte, error) {
	l.text = l.text[:0]
	for {
		if l.pos == l.end {
			if err := l.mustMore(); err != nil {
				return nil, err
			}
		}
		window := l.buf[l.pos:l.end]
		i := bytes.IndexAny(window, "\"\\")
		if i < 0 {
			i = len(window)
		}
		if len(l.text)+i > maxString {
			return nil, l.errorf("a string longer than %d bytes where a name is expected", maxString)
		}
		l.text = append(l.text, window[:i]...)
		l.pos += i
		if l.pos == l.end {
			continue
		}
		l.pos++
		if window[i] == '"' {
			return l.text, nil
		}
		if err := l.escape(); err != nil {
			return nil, err
		}
	}
}

func (l *lexer) take() (byte, error) {
	if l.pos == l.end {
		if err := l.mustMore(); err != nil {
			return 0, err
		}
	}
	c := l.buf[l.pos]
	l.pos++
	return c, nil
}

// escape appends what follows a backslash (RFC 8259, 7).
func (l *lexer) escape() error {
	c, err := l.take()
	if err != nil {
		return err
	}
	switch c {
	case '"', '\\', '/':
		l.text = append(l.text, c)
	case 'b':
		l.text = append(l.text, '\b')
	case 'f':
		l.text = append(l.text, '\f')
	case 'n':
		l.text = append(l.text, '\n')
	case 'r':
		l.text = append(l.text, '\r')
	case 't':
		l.text = append(l.text, '\t')
	case 'u':
		r, err := l.hex4()
		if err != nil {
			return err
		}
		return l.unicode(r)
	default:
		return l.errorf("no escape: \\%c", c)
	}
	return nil
}

// unicode appends a code unit, with the second half of a surrogate pair.
func (l *lexer) unicode(r rune) error {
	for utf16.IsSurrogate(r) {
		if l.pos == l.end {
			if err := l.mustMore(); err != nil {
				return err
			}
		}
		if l.buf[l.pos] != '\\' {
			break
		}
		l.pos++
		c, err := l.take()
		if err != nil {
			return err
		}
		if c != 'u' {
			l.text = utf8.AppendRune(l.text, utf8.RuneError)
			l.pos-- // an escape of another kind
			return l.escape()
		}
		second, err := l.hex4()
		if err != nil {
			return err
		}
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			l.text = utf8.AppendRune(l.text, pair)
			return nil
		}
		l.text = utf8.AppendRune(l.text, utf8.RuneError)
		r = second
	}
	l.text = utf8.AppendRune(l.text, r) // a lone surrogate becomes U+FFFD
	return nil
}

func (l *lexer) hex4() (rune, error) {
	var r rune
	for range 4 {
		c, err := l.take()
		if err != nil {
			return 0, err
		}
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, l.errorf("expected four hexadecimal digits after \\u, found %q", c)
		}
	}
	return r, nil
}
