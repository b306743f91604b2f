package deploy_test

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// loadCompose loads compose.yaml with compose-go's schema, which refuses unknown fields.
func loadCompose(t *testing.T, env map[string]string) (*types.Project, error) {
	t.Helper()
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  deployDir + "/compose",
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: readFile(t, "compose/compose.yaml")}},
		Environment: env,
	}, func(o *loader.Options) { o.SetProjectName("tallyman", true) })
}

func composeProject(t *testing.T) *types.Project {
	t.Helper()
	project, err := loadCompose(t, map[string]string{
		"TALLYMAN_WEB_DIGEST":    webDigest,
		"TALLYMAN_WORKER_DIGEST": workerDigest,
	})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeServicesRunAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	project := composeProject(t)
	for _, name := range []string{"web", "worker"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := composeContainer(project.Services[name])
			if err != nil {
				t.Fatal(err)
			}
			checkContainer(t, name, got)
			if port := project.Services[name].Ports; name == "web" && (len(port) != 1 || port[0].HostIP != "127.0.0.1") {
				t.Errorf("published on %+v, want loopback only", port)
			}
		})
	}
}

func TestComposeRefusesToStartWithoutDigests(t *testing.T) {
	t.Parallel()
	for missing, env := range map[string]map[string]string{
		"TALLYMAN_WEB_DIGEST":    {"TALLYMAN_WORKER_DIGEST": workerDigest},
		"TALLYMAN_WORKER_DIGEST": {"TALLYMAN_WEB_DIGEST": webDigest},
	} {
		if _, err := loadCompose(t, env); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: got error %v, want one that names it", missing, err)
		}
	}
}

func TestComposeDatabaseIsConfined(t *testing.T) {
	t.Parallel()
	project := composeProject(t)
	db, ok := project.Services["postgres"]
	if !ok {
		t.Fatal("no service postgres")
	}
	if !byDigest.MatchString(db.Image) {
		t.Errorf("image %q is not named by digest", db.Image)
	}
	if len(db.Ports) > 0 {
		t.Errorf("published on %+v, want nothing published", db.Ports)
	}
	for network := range db.Networks {
		if !project.Networks[network].Internal {
			t.Errorf("network %q is not internal", network)
		}
	}
	if !db.ReadOnly || !slices.Equal(db.CapDrop, []string{"ALL"}) || db.User == "" || db.User == "0:0" {
		t.Errorf("read_only %v, cap_drop %q, user %q: want true, ALL and not root", db.ReadOnly, db.CapDrop, db.User)
	}
	if _, ok := db.Environment["POSTGRES_PASSWORD"]; ok {
		t.Error("the password is in the environment, want POSTGRES_PASSWORD_FILE")
	}
}

func composeContainer(svc types.ServiceConfig) (container, error) {
	c := container{
		Image:       svc.Image,
		User:        svc.User,
		ReadOnly:    svc.ReadOnly,
		CapDrop:     svc.CapDrop,
		CapAdd:      svc.CapAdd,
		Privileged:  svc.Privileged,
		Tmpfs:       map[string]int64{},
		StopSignal:  svc.StopSignal,
		Args:        svc.Command,
		MemoryBytes: int64(svc.MemLimit),
		Env:         map[string]string{},
	}
	c.NoNewPrivileges = slices.Contains(svc.SecurityOpt, "no-new-privileges:true")
	if slices.ContainsFunc(svc.SecurityOpt, func(o string) bool { return strings.Contains(o, "unconfined") }) {
		return c, fmt.Errorf("security_opt %q loosens the default profile", svc.SecurityOpt)
	}
	if svc.StopGracePeriod != nil {
		c.StopGrace = time.Duration(*svc.StopGracePeriod)
	}
	if svc.HealthCheck != nil && len(svc.HealthCheck.Test) > 0 && svc.HealthCheck.Test[0] == "CMD" {
		c.Healthcheck = svc.HealthCheck.Test[1:]
	}
	for key, value := range svc.Environment {
		if value != nil {
			c.Env[key] = *value
		}
	}
	for _, secret := range svc.Secrets {
		target := secret.Target
		if target == "" {
			target = secret.Source
		}
		if !path.IsAbs(target) {
			target = path.Join("/run/secrets", target)
		}
		c.SecretDirs = append(c.SecretDirs, path.Dir(target))
	}
	for _, mount := range svc.Tmpfs {
		dir, options, _ := strings.Cut(mount, ":")
		for option := range strings.SplitSeq(options, ",") {
			if size, ok := strings.CutPrefix(option, "size="); ok {
				n, err := strconv.ParseInt(size, 10, 64)
				if err != nil {
					return c, fmt.Errorf("tmpfs %q: %w", mount, err)
				}
				c.Tmpfs[dir] = n
			}
		}
	}
	return c, setPort(&c)
}

// setPort takes the port from TALLYMAN_LISTEN, where no field of the platform names it.
func setPort(c *container) error {
	port, err := strconv.Atoi(strings.TrimPrefix(c.Env["TALLYMAN_LISTEN"], ":"))
	if err != nil {
		return fmt.Errorf("TALLYMAN_LISTEN: %w", err)
	}
	c.Port = port
	return nil
}
