package sbom

import "bytes"

// skip steps over a value of any kind. Inside it only strings and brackets are
// looked at.
func (l *lexer) skip() error {
	c, err := l.peek()
	if err != nil {
		return err
	}
	switch {
	case c == '"':
		l.pos++
		return l.skipString()
	case c == '{' || c == '[':
		return l.skipNested()
	case c == '-' || '0' <= c && c <= '9' || c == 't' || c == 'f' || c == 'n':
		return l.skipScalar()
	default:
		return l.errorf("expected a value, found %q", c)
	}
}

// skipScalar steps over a number, true, false or null.
func (l *lexer) skipScalar() error {
	for {
		for ; l.pos < l.end; l.pos++ {
			switch l.buf[l.pos] {
			case ',', '}', ']', ' ', '\n', '\r', '\t':
				return nil
			case '"', '{', '[', ':':
				return l.errorf("expected the end of a number or word, found %q", l.buf[l.pos])
			}
		}
		if err := l.mustMore(); err != nil {
			return err
		}
	}
}

// skipString steps over the rest of a string after its opening quote.
func (l *lexer) skipString() error {
	escaped := false // the last byte before the window was an unpaired backslash
	for {
		window := l.buf[l.pos:l.end]
		if escaped && len(window) > 0 {
			l.pos++
			escaped = false
			continue
		}
		i := bytes.IndexByte(window, '"')
		upTo := i
		if i < 0 {
			upTo = len(window)
		}
		backslashes := 0
		for upTo-backslashes > 0 && window[upTo-backslashes-1] == '\\' {
			backslashes++
		}
		odd := backslashes%2 == 1
		if i >= 0 {
			l.pos += i + 1
			if !odd {
				return nil
			}
			continue
		}
		l.pos = l.end
		escaped = odd
		if err := l.mustMore(); err != nil {
			return err
		}
	}
}

// skipNested steps over an object or array.
func (l *lexer) skipNested() error {
	var room [64]byte
	open := room[:0] // the brackets that are expected, innermost last
	for {
		for l.pos < l.end {
			c := l.buf[l.pos]
			l.pos++
			switch c {
			case '"':
				if err := l.skipString(); err != nil {
					return err
				}
			case '{', '[':
				if l.depth+len(open) >= maxDepth {
					return l.errorf("nested deeper than %d", maxDepth)
				}
				open = append(open, c+2) // '{'+2 == '}', '['+2 == ']'
			case '}', ']':
				last := len(open) - 1
				if want := open[last]; want != c {
					return l.errorf("expected %q, found %q", want, c)
				}
				if open = open[:last]; last == 0 {
					return nil
				}
			}
		}
		if err := l.mustMore(); err != nil {
			return err
		}
	}
}
