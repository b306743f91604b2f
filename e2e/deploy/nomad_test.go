package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

// dockerConfig is the part of the Docker driver's task configuration that the job uses. Nomad's own
// type for it is not part of its API module; the names are those of the driver's documentation,
// https://developer.hashicorp.com/nomad/docs/job-declare/task-driver/docker.
type dockerConfig struct {
	Image          string   `json:"image"`
	Args           []string `json:"args"`
	Ports          []string `json:"ports"`
	Privileged     bool     `json:"privileged"`
	ReadonlyRootfs bool     `json:"readonly_rootfs"`
	CapDrop        []string `json:"cap_drop"`
	CapAdd         []string `json:"cap_add"`
	SecurityOpt    []string `json:"security_opt"`
	PidsLimit      int      `json:"pids_limit"`
	Mounts         []struct {
		Type         string `json:"type"`
		Target       string `json:"target"`
		TmpfsOptions struct {
			Size int64 `json:"size"`
		} `json:"tmpfs_options"`
	} `json:"mounts"`
}

// strictJSON decodes the whole of text into v and refuses fields that v does not have.
func strictJSON(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.More() {
		return fmt.Errorf("text after the end of the JSON value at byte %d", dec.InputOffset())
	}
	return nil
}

func nomadJob(t *testing.T) *api.Job {
	t.Helper()
	var file struct{ Job *api.Job }
	if err := strictJSON(readFile(t, "nomad/tallyman.nomad.json"), &file); err != nil {
		t.Fatal(err)
	}
	if file.Job == nil || file.Job.ID == nil {
		t.Fatal("no Job with an ID")
	}
	return file.Job
}

func TestNomadTasksRunAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	job := nomadJob(t)
	var names []string
	for _, group := range job.TaskGroups {
		names = append(names, *group.Name)
		t.Run(*group.Name, func(t *testing.T) {
			t.Parallel()
			if group.Meta["image_digest"] != noDigest {
				t.Errorf("image_digest is %q, want the placeholder", group.Meta["image_digest"])
			}
			// As the operator does (docs/run.md).
			group.Meta["image_digest"] = digests[*group.Name]
			if len(group.Tasks) != 1 {
				t.Fatalf("%d tasks, want 1", len(group.Tasks))
			}
			got, err := nomadContainer(group, group.Tasks[0])
			if err != nil {
				t.Fatal(err)
			}
			checkContainer(t, *group.Name, got)
		})
	}
	if slices.Sort(names); !slices.Equal(names, []string{"web", "worker"}) {
		t.Errorf("groups %q, want web and worker", names)
	}
}

func TestNomadSecretIsRenderedForTheServiceAlone(t *testing.T) {
	t.Parallel()
	job := nomadJob(t)
	for _, group := range job.TaskGroups {
		var found bool
		for _, tmpl := range group.Tasks[0].Templates {
			if *tmpl.DestPath != "secrets/database_url" {
				continue
			}
			found = true
			if *tmpl.Perms != "0400" || *tmpl.Uid != 65532 || *tmpl.Gid != 65532 {
				t.Errorf("%s: perms %s uid %d gid %d, want 0400 65532 65532", *group.Name, *tmpl.Perms, *tmpl.Uid, *tmpl.Gid)
			}
			if want := `nomadVar "nomad/jobs/` + *job.ID + `"`; !strings.Contains(*tmpl.EmbeddedTmpl, want) {
				t.Errorf("%s: template %q does not read %s", *group.Name, *tmpl.EmbeddedTmpl, want)
			}
		}
		if !found {
			t.Errorf("%s: no template writes secrets/database_url", *group.Name)
		}
	}
}

func nomadContainer(group *api.TaskGroup, task *api.Task) (container, error) {
	raw, err := json.Marshal(task.Config)
	if err != nil {
		return container{}, err
	}
	var cfg dockerConfig
	if err := strictJSON(raw, &cfg); err != nil {
		return container{}, fmt.Errorf("config of task %s: %w", task.Name, err)
	}
	// Nomad's own variables, as its client replaces them before the Docker driver starts.
	interpolate := strings.NewReplacer(
		"${NOMAD_META_image_digest}", group.Meta["image_digest"],
		"${NOMAD_SECRETS_DIR}", "/secrets",
		"${NOMAD_TASK_DIR}", "/local",
	).Replace
	c := container{
		Image:           interpolate(cfg.Image),
		User:            task.User,
		ReadOnly:        cfg.ReadonlyRootfs,
		NoNewPrivileges: slices.Contains(cfg.SecurityOpt, "no-new-privileges"),
		CapDrop:         cfg.CapDrop,
		CapAdd:          cfg.CapAdd,
		Privileged:      cfg.Privileged,
		Tmpfs:           map[string]int64{},
		StopSignal:      task.KillSignal,
		Args:            cfg.Args,
		MemoryBytes:     int64(*task.Resources.MemoryMB) << 20,
		Env:             map[string]string{},
		SecretDirs:      []string{"/secrets"},
	}
	if task.KillTimeout != nil {
		c.StopGrace = *task.KillTimeout
	}
	for _, mount := range cfg.Mounts {
		if mount.Type == "tmpfs" {
			c.Tmpfs[mount.Target] = mount.TmpfsOptions.Size
		}
	}
	for key, value := range task.Env {
		c.Env[key] = interpolate(value)
	}
	for _, svc := range group.Services {
		for _, check := range svc.Checks {
			if check.Type == "script" && check.TaskName == task.Name {
				c.Healthcheck = append([]string{check.Command}, check.Args...)
			}
		}
	}
	for _, network := range group.Networks {
		for _, port := range network.DynamicPorts {
			if slices.Contains(cfg.Ports, port.Label) {
				c.Port = port.To
			}
		}
	}
	return c, nil
}
