package browser_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// download clicks on the verified SPDX document of a platform, with the session of who is
// signed in and nothing else, and wants the file that Chromium keeps to be the one that
// the command gets from the registry, verified.
func download(t *testing.T, b *tab, d *demo, web, newer, path string) {
	t.Helper()
	b.visit(t, newer)
	const platform = "linux/amd64"
	var href string
	b.do(t, chromedp.Evaluate(`(() => { for (const a of document.querySelectorAll('section[aria-labelledby="documents"] a[download]')) {
		if (a.textContent.includes("SPDX") && a.textContent.includes("`+platform+`")) { a.id = "wanted"; return a.getAttribute("href") } } return "" })()`, &href))
	if href == "" {
		t.Fatalf("no SPDX document of %s to download", platform)
	}
	got := kept(t, b, chromedp.Click("#wanted", chromedp.ByQuery))
	sum := sha256.Sum256(got)
	digest, err := url.PathUnescape(strings.TrimPrefix(href, "/documents/"))
	if err != nil || digest != "sha256:"+hex.EncodeToString(sum[:]) {
		t.Errorf("the digest of what was downloaded is sha256:%x, want that of the link, %s", sum, digest)
	}
	command := exec.CommandContext(t.Context(), filepath.Join(filepath.SplitList(path)[0], "tallyman"),
		"sbom", web+":"+newVersion, "--key", d.key, "--platform", platform, "--format", "spdx")
	var errs bytes.Buffer
	command.Stderr = &errs
	want, err := command.Output()
	if err != nil {
		t.Fatalf("tallyman sbom: %v\n%s", err, errs.String())
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the console gives %d bytes, the registry %d others", len(got), len(want))
	}
}

// kept does something that has the browser download a file, and returns what it kept.
func kept(t *testing.T, b *tab, actions ...chromedp.Action) []byte {
	t.Helper()
	dir := t.TempDir()
	ended := make(chan *cdpbrowser.EventDownloadProgress, 1)
	chromedp.ListenTarget(b.ctx, func(event any) {
		if e, ok := event.(*cdpbrowser.EventDownloadProgress); ok && e.State != cdpbrowser.DownloadProgressStateInProgress {
			select {
			case ended <- e:
			default: // another download, which nobody asked for here
			}
		}
	})
	b.do(t, cdpbrowser.SetDownloadBehavior(cdpbrowser.SetDownloadBehaviorBehaviorAllowAndName).WithDownloadPath(dir).WithEventsEnabled(true))
	b.do(t, actions...)
	select {
	case e := <-ended:
		if e.State != cdpbrowser.DownloadProgressStateCompleted {
			t.Fatalf("download: %s after %.0f bytes", e.State, e.ReceivedBytes)
		}
		file, err := os.ReadFile(filepath.Join(dir, e.GUID))
		if err != nil {
			t.Fatal(err)
		}
		return file
	case <-time.After(stepTakes):
		t.Fatalf("nothing was downloaded in %s", stepTakes)
		return nil
	}
}
