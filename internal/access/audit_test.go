package access_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
)

func TestTheAuditLogIsShownFromEitherEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	auditor := "Bearer " + b.token(access.Auditor, grant.Read)
	for i := range 60 {
		ctx := access.With(t.Context(), access.Principal{ID: "token:x", Name: "<i>someone</i>", Via: access.ViaToken})
		if err := b.guard.Audit(ctx, b.guard.Entry(ctx, grant.ActionRescan, fmt.Sprintf("release %d.", i), "<script>")); err != nil {
			t.Fatal(err)
		}
	}
	first := b.ask("GET", "/settings/audit", nil, "Authorization", auditor).Body.String()
	if strings.Index(first, "release 59.") > strings.Index(first, "release 58.") || !strings.Contains(first, "release 58.") || strings.Contains(first, "release 5.") ||
		strings.Contains(first, "<i>") || strings.Contains(first, "<script>") {
		t.Errorf("first page: got\n%s", first)
	}
	older := regexp.MustCompile(`/settings/audit\?before=\d+`).FindString(first)
	second := b.ask("GET", older, nil, "Authorization", auditor).Body.String()
	if !strings.Contains(second, "release 5.") || !strings.Contains(second, "token.make") || strings.Contains(second, "before=") {
		t.Errorf("second page: got\n%s", second)
	}
	first = b.ask("GET", "/settings/audit?sort=-at", nil, "Authorization", auditor).Body.String()
	if strings.Index(first, "release 0.") > strings.Index(first, "release 1.") || !strings.Contains(first, "token.make") || strings.Contains(first, "release 59.") {
		t.Errorf("first page of the oldest: got\n%s", first)
	}
	newer := regexp.MustCompile(`/settings/audit\?after=\d+&amp;sort=-at`).FindString(first)
	second = b.ask("GET", strings.ReplaceAll(newer, "&amp;", "&"), nil, "Authorization", auditor).Body.String()
	if !strings.Contains(second, "release 59.") || strings.Contains(second, "release 1.") || strings.Contains(second, "Next page") {
		t.Errorf("second page of the oldest: got\n%s", second)
	}
}

func TestNothingIsSaidToBeDoneThatIsNotWrittenDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.guard.Audit(ctx, b.guard.Entry(ctx, grant.ActionUpload, "x", "")); err == nil || !strings.Contains(err.Error(), "audit sbom.upload") {
		t.Errorf("got %v, want an error that names the action", err)
	}
}
