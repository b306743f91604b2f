package pipeline_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/e2e/workbench"
)

const (
	// commandImage is the image of the auditor's command, which is no service.
	commandImage = "tallyman"
	// commandMax is how long a call of it may take.
	commandMax = time.Minute
)

// commandVerifies runs the command's own image as a service is run: read-only, as 65532,
// with one folder to write to, in which it keeps its advisories by default.
func (s *suite) commandVerifies(t *testing.T, bench *workbench.Bench, settings workbench.Settings) {
	image := s.registry + "/" + commandImage
	pulled, err := bench.Pull(t.Context(), image+"@"+string(s.released[second][image].Image.Digest))
	must(t, err)
	if pulled.Config.User != settings.User || len(pulled.Config.Entrypoint) != 1 || pulled.Config.Entrypoint[0] != "/"+commandImage || len(pulled.Config.Cmd) != 0 {
		t.Errorf("%s: got user %q, entrypoint %q, command %q", image, pulled.Config.User, pulled.Config.Entrypoint, pulled.Config.Cmd)
	}
	state := stateFolder(t)
	// What the user of the image reads lies in the folder that is mounted.
	must(t, os.CopyFS(filepath.Join(state, "feed"), os.DirFS(strings.TrimPrefix(mustAdvisories(t, s), "file://"))))
	key, err := os.ReadFile(s.publicKey)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(state, "cosign.pub"), key, 0o600))
	s.run(t, nil, "chmod", "-R", "a+rX", state)
	web := s.registry + "/web:" + second
	for i, step := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"version"}, 0, []string{"tallyman     " + strings.TrimPrefix(second, "v"), s.commits[second]}},
		{[]string{"verify", "--key", "cosign.pub", "--policy", "built-in", web}, 3, []string{"there is no advisory database at /var/lib/tallyman/advisories.db"}},
		{[]string{"db", "import", "feed"}, 0, []string{"/var/lib/tallyman/advisories.db: ", "2 ecosystems"}},
		{[]string{"verify", "--key", "cosign.pub", web}, 0, []string{"verdict: pass by built-in policy"}},
		{[]string{"verify", "--key", "feed", web}, 78, []string{"feed"}},
	} {
		var said output
		run := *pulled
		run.Args = step.args
		container, err := run.Start(settings, fmt.Sprintf("tallyman-command-%d-%d", os.Getpid(), i), state, nil, &said)
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), commandMax)
		code, err := container.Wait(ctx)
		cancel()
		must(t, err)
		if code != step.code {
			t.Errorf("tallyman %q: got exit status %d, want %d\n%s", step.args, code, step.code, &said)
		}
		for _, want := range step.says {
			if !strings.Contains(said.String(), want) {
				t.Errorf("tallyman %q: %q is not in\n%s", step.args, want, &said)
			}
		}
	}
}
