package ledger_test

import (
	"testing"

	"github.com/tallyman-io/tallyman/internal/ledger"
)

// What was kept before it was counted apart is not known, and not 0.
func TestCountsBeforeVEX(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		kept  string
		want  ledger.Levels
		known bool
	}{
		"nothing suppressed":       {`{"known":true,"critical":1,"high":2,"unscored":3}`, ledger.Levels{Critical: 1, High: 2, Unscored: 3}, true},
		"suppressed":               {`{"known":true,"high":2,"suppressed":1,"raw":{"critical":1,"high":2}}`, ledger.Levels{Critical: 1, High: 2}, true},
		"suppressed, kept earlier": {`{"known":true,"high":2,"suppressed":1}`, ledger.Levels{}, false},
		"not counted":              {`{"known":false}`, ledger.Levels{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := ledger.ParseCounts(tt.kept)
			if err != nil {
				t.Fatal(err)
			}
			if got, known := c.BeforeVEX(); got != tt.want || known != tt.known {
				t.Errorf("got %+v, %t; want %+v, %t", got, known, tt.want, tt.known)
			}
			if again, err := ledger.ParseCounts(c.String()); err != nil || again != c {
				t.Errorf("written and read: got %+v, %v; want %+v", again, err, c)
			}
		})
	}
}
