package outbound

import (
	"errors"
	"strings"
)

// Error says that a request was not made.
type Error struct {
	// Host is the host:port that it would have gone to.
	Host string
	// Address is what the host resolves to, when that is what was refused.
	Address string
	// By is who asked for it, such as "a redirect of registry.example".
	By string
	// Reason is why it was not made.
	Reason string
	// Remedy is what would allow it.
	Remedy string
}

// Error names all of it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("refused to contact " + e.Host)
	if e.Address != "" {
		b.WriteString(" at " + e.Address)
	}
	if e.By != "" {
		b.WriteString(", asked for by " + e.By)
	}
	b.WriteString(": " + e.Reason)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// IsRefusal reports whether a request was not made because of the rules.
func IsRefusal(err error) bool {
	var refused *Error
	return errors.As(err, &refused)
}
