package retry

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// MaxAfter bounds how long the other side can make us wait.
const MaxAfter = 24 * time.Hour

// ParseAfter reads the two forms of Retry-After (RFC 9110, section 10.2.3): seconds,
// or a date. The result is at least 0 and at most [MaxAfter].
func ParseAfter(header string, now time.Time) (time.Duration, error) {
	if header == "" {
		return 0, errors.New("no Retry-After")
	}
	if seconds, err := strconv.ParseUint(header, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, MaxAfter), nil
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0, fmt.Errorf("Retry-After %q: expected seconds or an HTTP date", header)
	}
	return min(max(at.Sub(now), 0), MaxAfter), nil
}
