package browser_test

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// axe is axe-core 4.11.0 (https://github.com/dequelabs/axe-core), under the Mozilla Public
// License 2.0. It is never part of what is shipped.
//
//go:embed testdata/axe.min.js
var axe string

const (
	// stepTakes bounds one step in the browser.
	stepTakes = 30 * time.Second
	// axeTakes bounds what axe does with a page: the longest, that of the API, takes it
	// half a minute where others use the machine too.
	axeTakes = 3 * time.Minute
)

// tab is a tab of a browser that notes what should not happen.
type tab struct {
	ctx  context.Context //nolint:containedctx // chromedp keeps the tab in it
	home string          // the only origin that may be asked

	mu    sync.Mutex
	notes []string // errors of the console, and requests to other hosts
	// expected are notes that are no fault, and how often: see arrive.
	expected map[string]int
	// sources are the addresses that event sources asked, told the kinds of events that
	// they got.
	sources, told []string
}

// openBrowser starts Chromium, and returns how to open tabs in it. Where there is none,
// the test is skipped, and fails in CI.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs Chromium, such as Debian's package chromium")
		}
		t.Skip("needs Chromium, such as Debian's package chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, // root has none
		chromedp.UserDataDir(t.TempDir()), chromedp.Env("TMPDIR="+socketFolder(t)), chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until it has ended
		cancel()
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return ctx
}

// socketFolder is where Chromium keeps its socket, which it does not always remove. Its
// name is short, as that of a socket has to be: t.TempDir's is as long as the test's.
func socketFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chromium-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove Chromium's folder: %v", err)
		}
	})
	return dir
}

// newTab opens a tab.
func newTab(t *testing.T, browser context.Context, home string) *tab { //nolint:revive // t first, as everywhere in tests
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	b := &tab{ctx: ctx, home: home, expected: make(map[string]int)}
	chromedp.ListenTarget(ctx, b.note)
	// The first run makes the tab, which ends with its context: that must not be one of a step.
	if err := chromedp.Run(ctx, network.Enable(), cdplog.Enable(), runtime.Enable()); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	return b
}

// note keeps what should not happen.
func (b *tab) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.notes = append(b.notes, "exception: "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			said := make([]string, 0, len(e.Args))
			for _, a := range e.Args {
				said = append(said, cmp.Or(a.Description, string(a.Value)))
			}
			b.notes = append(b.notes, fmt.Sprintf("console: %s %s", e.Type, strings.Join(said, " ")))
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.LevelError || e.Entry.Source == cdplog.SourceSecurity {
			b.notes = append(b.notes, fmt.Sprintf("log: %s (%s)", e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Scheme != "data" && u.Scheme != "blob" && !strings.HasPrefix(e.Request.URL, b.home+"/") {
			b.notes = append(b.notes, "request to another host: "+e.Request.URL)
		}
		if e.Type == network.ResourceTypeEventSource {
			b.sources = append(b.sources, strings.TrimPrefix(e.Request.URL, b.home))
		}
	case *network.EventEventSourceMessageReceived:
		b.told = append(b.told, e.EventName)
	}
}

// clean fails the test for everything noted since the last call that was not expected.
func (b *tab) clean(t *testing.T, where string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, note := range b.notes {
		if b.expected[note] > 0 {
			b.expected[note]--
			continue
		}
		t.Errorf("%s: %s", where, note)
	}
	b.notes = nil
	clear(b.expected)
}

func (b *tab) do(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	b.doWithin(t, stepTakes, actions...)
}

func (b *tab) doWithin(t *testing.T, takes time.Duration, actions ...chromedp.Action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, takes)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		// For the message only.
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		defer cancel()
		var where, text string
		_ = chromedp.Run(ctx, chromedp.Location(&where), chromedp.Evaluate(`document.body.innerText.slice(0, 2000)`, &text))
		t.Fatalf("at %s: %v\n%s", where, err, text)
	}
}

// visit opens a page, and wants it to be answered with 200, at that very address.
func (b *tab) visit(t *testing.T, path string) {
	t.Helper()
	if at := b.arrive(t, http.StatusOK, chromedp.Navigate(b.home+path)); at != path {
		t.Errorf("%s: got to %s, want no other page to answer", path, at)
	}
}

// text is what a person reads of an element.
func (b *tab) text(t *testing.T, selector string) string {
	t.Helper()
	var text string
	b.do(t, chromedp.Text(selector, &text, chromedp.ByQuery))
	return text
}

// location is the path, with its query, that the tab is at.
func (b *tab) location(t *testing.T) string {
	t.Helper()
	var where string
	b.do(t, chromedp.Location(&where))
	return strings.TrimPrefix(where, b.home)
}

// follow does something that leads to another page, and wants that to be answered with 200.
func (b *tab) follow(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	b.arrive(t, http.StatusOK, actions...)
}

// arrive does something that leads to another page, waits for that, wants it to be
// answered with a status, and returns its path. It goes along with redirects: whoever
// calls it says where they may lead.
func (b *tab) arrive(t *testing.T, status int64, actions ...chromedp.Action) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTakes)
	defer cancel()
	answer, err := chromedp.RunResponse(ctx, actions...)
	if err != nil {
		t.Fatalf("at %s: %v", b.location(t), err)
	}
	if answer == nil {
		t.Fatalf("at %s: nothing answered", b.location(t))
	}
	if answer.Status != status {
		t.Errorf("%s: got status %d, want %d", answer.URL, answer.Status, status)
	}
	b.do(t, chromedp.WaitReady("main", chromedp.ByQuery))
	if status >= http.StatusBadRequest {
		// Chromium logs that the page was answered with an error, once; whatever else it logs
		// of such a page is a fault of that.
		b.mu.Lock()
		b.expected[fmt.Sprintf("log: Failed to load resource: the server responded with a status of %d (%s) (%s)", status, http.StatusText(int(status)), answer.URL)]++
		b.mu.Unlock()
	}
	return strings.TrimPrefix(answer.URL, b.home)
}

// accessible wants axe to find no violation.
func (b *tab) accessible(t *testing.T, where string) {
	t.Helper()
	var raw string
	b.doWithin(t, axeTakes, chromedp.Evaluate(axe+";0", nil), chromedp.Evaluate(`axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(
		r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 5).map(n => n.html.slice(0, 200) + " " + n.failureSummary)}))))`, &raw,
		func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	var violations []struct {
		ID, Help string
		Nodes    []string
	}
	if err := json.Unmarshal([]byte(raw), &violations); err != nil {
		t.Fatalf("%s: what axe says: %v", where, err)
	}
	for _, v := range violations {
		t.Errorf("%s: axe: %s (%s):\n%s", where, v.Help, v.ID, strings.Join(v.Nodes, "\n"))
	}
}

// appearance is how a page is looked at.
type appearance struct {
	name   string
	width  int64
	scheme string
}

// appearances are those that pictures are kept of.
func appearances() []appearance {
	return []appearance{{"1440-light", 1440, "light"}, {"1440-dark", 1440, "dark"}, {"390-light", 390, "light"}, {"390-dark", 390, "dark"}}
}

// between are widths that layouts break at, and nobody needs pictures of: a tablet, and a
// large screen.
func between() []appearance {
	return []appearance{{"768-light", 768, "light"}, {"1920-light", 1920, "light"}}
}

// look shows the tab as it is looked at, and wants no part of the page to lie outside of
// it.
func (b *tab) look(t *testing.T, a appearance, where string) {
	t.Helper()
	height := int64(900)
	b.do(t, emulation.SetDeviceMetricsOverride(a.width, height, 1, a.width < 600),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: a.scheme}}))
	var wide int64
	b.do(t, chromedp.Evaluate(`document.documentElement.scrollWidth`, &wide))
	if wide > a.width {
		t.Errorf("%s at %s: the page is %d pixels wide, want at most %d", where, a.name, wide, a.width)
	}
}

// shoot keeps a picture of the whole page.
func (b *tab) shoot(t *testing.T, file string) {
	t.Helper()
	var picture []byte
	b.do(t, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		_, _, _, _, _, size, err := page.GetLayoutMetrics().Do(ctx)
		if err != nil {
			return err
		}
		const tallest = 6000
		picture, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).
			WithClip(&page.Viewport{Width: size.Width, Height: min(size.Height, tallest), Scale: 1}).Do(ctx)
		return err
	}))
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		t.Fatal(err)
	}
}

// scripts turns scripts on or off.
func scripts(on bool) chromedp.Action { return emulation.SetScriptExecutionDisabled(!on) }

// shotName is a file for a picture of a page.
func shotName(dir, page string, a appearance) string {
	return filepath.Join(dir, page+"-"+a.name+".png")
}
