package console

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/api"
)

func TestTheReferenceOfTheAPIShowsEveryOperationAndLeadsSomewhere(t *testing.T) {
	t.Parallel()
	a, err := api.New(api.Config{Store: struct{ api.Store }{}})
	if err != nil {
		t.Fatal(err)
	}
	r := a.Reference()
	var b bytes.Buffer
	if err := APIReference(&r).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, g := range r.Groups {
		for _, o := range g.Operations {
			if !strings.Contains(page, `id="`+o.ID+`"`) || !strings.Contains(page, o.Method+" "+o.Path) {
				t.Errorf("%s is not shown", o.ID)
			}
		}
	}
	for _, part := range strings.Split(page, `href="#`)[1:] {
		if target, _, _ := strings.Cut(part, `"`); strings.Count(page, `id="`+target+`"`) != 1 {
			t.Errorf("#%s leads to %d places, want one", target, strings.Count(page, `id="`+target+`"`))
		}
	}
	for _, foreign := range []string{"<script", "http://", "style="} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page has %q", foreign)
		}
	}
}
