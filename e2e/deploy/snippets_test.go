package deploy_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/hashicorp/nomad/api"
	"github.com/rs/zerolog"
	"golang.org/x/net/html"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/tallyman-io/tallyman/e2e/workbench"
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/release"
)

// shown is a store with one release, of which the console says how to run it.
type shown struct {
	console.Store // the rest is not asked

	release account.Release
}

func (s *shown) AdvisoryData(context.Context) (account.Data, error) { return account.Data{}, nil }

func (s *shown) Component(context.Context, string) (account.Component, error) {
	return account.Component{}, nil
}

func (s *shown) Release(context.Context, account.Ref) (account.Release, error) { return s.release, nil }

func (s *shown) Before(context.Context, string, string) (string, error) { return "", nil }

// snippets are the texts of a release page that a person pastes, by the id of what they
// stand in.
func snippets(t *testing.T, repository, digest string) map[string]string {
	t.Helper()
	s := &shown{}
	s.release.Version = "v1.2.3"
	s.release.Image = release.Image{Repository: repository, Digest: release.Digest(digest)}
	c, err := console.New(console.Config{Store: s, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range c.Routes() {
		mux.Handle(r.Method+" "+r.Pattern, r.Handler)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/components/"+repository+"/-/v1.2.3", http.NoBody))
	doc, err := html.Parse(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("release page: status %d, %v", w.Code, err)
	}
	found := map[string]string{}
	for n := range doc.Descendants() {
		if n.Data != "pre" || n.FirstChild == nil || n.FirstChild.FirstChild == nil {
			continue
		}
		for _, a := range n.Attr {
			if a.Key == "id" {
				found[a.Val] = n.FirstChild.FirstChild.Data
			}
		}
	}
	return found
}

// others are images that are not Tallyman's: what they need, nobody here knows.
var others = []string{"docker.io/library/nginx", "registry.example:5000/a/b"}

// eachOwn runs a test for the snippet of each of Tallyman's own images, and for others.
func eachOwn(t *testing.T, id string, own func(t *testing.T, service, text string), other func(t *testing.T, image, text string)) {
	t.Helper()
	for service, digest := range digests {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			own(t, service, snippets(t, "ghcr.io/tallyman-io/tallyman/"+service, digest)[id])
		})
	}
	for _, repository := range others {
		t.Run(repository, func(t *testing.T) {
			t.Parallel()
			other(t, repository+"@"+webDigest, snippets(t, repository, webDigest)[id])
		})
	}
}

// withoutWatched takes out what tells the worker which repositories to look at: in
// deploy/ a file does.
func withoutWatched(t *testing.T, service string, c container) container {
	t.Helper()
	if want := "ghcr.io/tallyman-io/tallyman/web,ghcr.io/tallyman-io/tallyman/worker"; service == "worker" && c.Env["TALLYMAN_REPOSITORIES"] != want {
		t.Errorf("TALLYMAN_REPOSITORIES is %q, want %q", c.Env["TALLYMAN_REPOSITORIES"], want)
	}
	delete(c.Env, "TALLYMAN_REPOSITORIES")
	return c
}

func TestTheConsolesKubernetesRunsAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	deployment := func(t *testing.T, text string) *appsv1.Deployment {
		t.Helper()
		objects, err := decodeObjects([]byte(text))
		if err != nil || len(objects) != 1 {
			t.Fatalf("%d objects, %v\n%s", len(objects), err, text)
		}
		d, ok := objects[0].(*appsv1.Deployment)
		if !ok || d.Spec.Selector.MatchLabels["app"] != d.Spec.Template.Labels["app"] {
			t.Fatalf("got %+v, want a deployment that selects its pods", objects[0])
		}
		return d
	}
	eachOwn(t, "run-kubernetes", func(t *testing.T, service, text string) {
		t.Helper()
		pod := deployment(t, text).Spec.Template.Spec
		got, err := podContainer(pod)
		if err != nil {
			t.Fatal(err)
		}
		checkContainer(t, service, withoutWatched(t, service, got))
		checkPod(t, pod)
	}, func(t *testing.T, image, text string) {
		t.Helper()
		if got := deployment(t, text).Spec.Template.Spec.Containers; len(got) != 1 || got[0].Image != image {
			t.Errorf("got %+v, want one container of %s", got, image)
		}
	})
}

func TestTheConsolesComposeRunsAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	services := func(t *testing.T, text string) types.Services {
		t.Helper()
		project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
			WorkingDir: t.TempDir(), ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: []byte(text)}},
		}, func(o *loader.Options) { o.SetProjectName("console", true) })
		if err != nil || len(project.Services) != 1 {
			t.Fatalf("%v\n%s", err, text)
		}
		return project.Services
	}
	eachOwn(t, "run-compose", func(t *testing.T, service, text string) {
		t.Helper()
		got, err := composeContainer(services(t, text)["tallyman-"+service])
		if err != nil {
			t.Fatal(err)
		}
		checkContainer(t, service, withoutWatched(t, service, got))
	}, func(t *testing.T, image, text string) {
		t.Helper()
		for _, s := range services(t, text) {
			if s.Image != image {
				t.Errorf("got %s, want %s", s.Image, image)
			}
		}
	})
}

func TestTheConsolesNomadRunsAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	group := func(t *testing.T, text string) *api.TaskGroup {
		t.Helper()
		var file struct{ Job *api.Job }
		if err := strictJSON([]byte(text), &file); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		file.Job.Canonicalize()
		if len(file.Job.TaskGroups) != 1 || len(file.Job.TaskGroups[0].Tasks) != 1 {
			t.Fatalf("got %+v, want one task", file.Job)
		}
		return file.Job.TaskGroups[0]
	}
	eachOwn(t, "run-nomad", func(t *testing.T, service, text string) {
		t.Helper()
		g := group(t, text)
		got, err := nomadContainer(g, g.Tasks[0])
		if err != nil {
			t.Fatal(err)
		}
		checkContainer(t, service, withoutWatched(t, service, got))
		if secret := g.Tasks[0].Templates[0]; *secret.DestPath != "secrets/database_url" || *secret.Perms != "0400" || *secret.Uid != 65532 {
			t.Errorf("got secret %+v, want one for the service alone", secret)
		}
	}, func(t *testing.T, image, text string) {
		t.Helper()
		if got := group(t, text).Tasks[0].Config["image"]; got != image {
			t.Errorf("got %v, want %s", got, image)
		}
	})
}

// created is what Docker's client asks its daemon for.
type created struct {
	Image, User string
	Env         []string
	HostConfig  struct {
		ReadonlyRootfs       bool
		CapDrop, SecurityOpt []string
		Privileged           bool
		Tmpfs                map[string]string
		Memory, PidsLimit    int64
		Binds                []string
		PortBindings         map[string][]struct{ HostIP, HostPort string }
		RestartPolicy        struct{ Name string }
	}
	StopTimeout int
}

// dockerRun runs a command line with Docker's own client, and returns what it asked a
// daemon for, which is none.
func dockerRun(t *testing.T, line string) created {
	t.Helper()
	client, ok := workbench.DockerClient()
	if !ok {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs Docker's client")
		}
		t.Skip("needs Docker's client")
	}
	asked := make(chan []byte, 1)
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.47")
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/containers/create"):
			body, _ := io.ReadAll(r.Body) // what is cut short is no JSON
			asked <- body
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"Id":"0123456789ab","Warnings":[]}`)
		case strings.HasSuffix(r.URL.Path, "/start"):
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = io.WriteString(w, `{}`)
		}
	}))
	t.Cleanup(daemon.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", strings.Replace(line, "docker run --rm ", "docker run --detach ", 1))
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(client)+":"+os.Getenv("PATH"), "DOCKER_HOST=tcp://"+daemon.Listener.Addr().String(), "DOCKER_CONFIG="+t.TempDir(), "DOCKER_TLS_VERIFY=", "DOCKER_CONTEXT=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", client, err, out, line)
	}
	var c created
	if err := json.Unmarshal(<-asked, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheConsolesDockerCommandRunsAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	eachOwn(t, "run-docker", func(t *testing.T, service, text string) {
		t.Helper()
		c := dockerRun(t, text)
		s := loadSettings(t)
		got := container{
			Image: c.Image, User: c.User, ReadOnly: c.HostConfig.ReadonlyRootfs, CapDrop: c.HostConfig.CapDrop, Privileged: c.HostConfig.Privileged,
			NoNewPrivileges: len(c.HostConfig.SecurityOpt) == 1 && c.HostConfig.SecurityOpt[0] == "no-new-privileges",
			Tmpfs:           map[string]int64{}, StopGrace: time.Duration(c.StopTimeout) * time.Second, MemoryBytes: c.HostConfig.Memory, Env: map[string]string{},
			// What the image has itself.
			StopSignal: s.StopSignal, Port: s.Services[service].Port, Healthcheck: s.Services[service].Healthcheck,
		}
		for _, e := range c.Env {
			name, value, _ := strings.Cut(e, "=")
			got.Env[name] = value
		}
		if got.Env["TALLYMAN_LOG_FORMAT"] != "json" {
			t.Errorf("environment: got %v, want JSON for the log", got.Env)
		}
		// The rest is as the service has it by default, and the database lies in the volume.
		got.Env["TALLYMAN_LISTEN"], got.Env["TALLYMAN_SHUTDOWN_TIMEOUT"] = s.Services[service].Env["TALLYMAN_LISTEN"], s.Services[service].Env["TALLYMAN_SHUTDOWN_TIMEOUT"]
		got.Env["TALLYMAN_DATABASE_URL_FILE"], got.SecretDirs = "/run/secrets/x", []string{"/run/secrets"}
		if len(c.HostConfig.Binds) != 1 || c.HostConfig.Binds[0] != "tallyman:/var/lib/tallyman" {
			t.Errorf("volumes: got %v, want that of the database", c.HostConfig.Binds)
		}
		for path, options := range c.HostConfig.Tmpfs {
			if options == "size=16777216,noexec,nosuid,nodev" {
				got.Tmpfs[path] = 16 << 20
			}
		}
		for port, bound := range c.HostConfig.PortBindings {
			if len(bound) != 1 || bound[0].HostIP != "127.0.0.1" {
				t.Errorf("port %s: published at %+v, want loopback only", port, bound)
			}
		}
		checkContainer(t, service, withoutWatched(t, service, got))
	}, func(t *testing.T, image, text string) {
		t.Helper()
		if got := dockerRun(t, text).Image; got != image {
			t.Errorf("got %s, want %s", got, image)
		}
	})
}
