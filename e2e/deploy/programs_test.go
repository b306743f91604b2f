package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

// containers gives every container of every platform, by "platform/service".
func containers(t *testing.T) map[string]container {
	t.Helper()
	all := map[string]container{}
	add := func(name string, c container, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = c
	}
	project := composeProject(t)
	for _, name := range []string{"web", "worker"} {
		c, err := composeContainer(project.Services[name])
		add("compose/"+name, c, err)
	}
	for _, object := range render(t) {
		if deployment, ok := object.(*appsv1.Deployment); ok {
			pod := deployment.Spec.Template.Spec
			c, err := podContainer(pod)
			add("kubernetes/"+pod.Containers[0].Name, c, err)
		}
	}
	for _, group := range nomadJob(t).TaskGroups {
		group.Meta["image_digest"] = digests[*group.Name]
		c, err := nomadContainer(group, group.Tasks[0])
		add("nomad/"+*group.Name, c, err)
	}
	return all
}

func TestWorkerIsConfiguredAlikeOnEveryPlatform(t *testing.T) {
	t.Parallel()
	want := string(readFile(t, "compose/worker.yaml"))
	if got := string(readFile(t, "kubernetes/worker-config.yaml")); got != want {
		t.Errorf("kubernetes/worker-config.yaml differs from compose/worker.yaml:\n%s", got)
	}
	var found bool
	for _, group := range nomadJob(t).TaskGroups {
		for _, tmpl := range group.Tasks[0].Templates {
			if *tmpl.DestPath == "local/worker.yaml" {
				found = true
				if *tmpl.EmbeddedTmpl != want {
					t.Errorf("the Nomad job's worker.yaml differs from compose/worker.yaml:\n%s", *tmpl.EmbeddedTmpl)
				}
			}
		}
	}
	if !found {
		t.Error("the Nomad job writes no local/worker.yaml")
	}
}

// TestProgramsAcceptTheShippedConfiguration runs "config check" of the real programs with the
// environment and the file that each platform hands to them.
func TestProgramsAcceptTheShippedConfiguration(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "./cmd/web", "./cmd/worker")
	build.Dir = filepath.Join(deployDir, "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// What the platform mounts; the password must not come back in what the program says.
	const password = "planted-password"
	secret := filepath.Join(t.TempDir(), "database_url")
	url := "postgres://tallyman:" + password + "@postgres:5432/tallyman?sslmode=disable"
	if err := os.WriteFile(secret, []byte(url+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := filepath.Abs(filepath.Join(deployDir, "compose", "worker.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	for name, c := range containers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, filepath.Base(name)), "config", "check")
			cmd.Env = []string{}
			for key, value := range c.Env {
				switch key {
				case "TALLYMAN_DATABASE_URL_FILE":
					value = secret
				case "TALLYMAN_CONFIG":
					value = config
				}
				cmd.Env = append(cmd.Env, key+"="+value)
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("config check: %v\n%s", err, out)
			}
			if strings.Contains(string(out), password) {
				t.Errorf("config check shows the password:\n%s", out)
			}
		})
	}
}
