package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
)

// snippet is text to be pasted somewhere.
type snippet struct {
	ID, Label string
	// Note says what to do with it.
	Note string
	Text string
}

// runnable is what the snippets for running an image are made of.
type runnable struct {
	Image string // by digest
	Name  string
	// Service is web or worker for an image of Tallyman's own, empty for others.
	Service    string
	Digest     string
	Repository string
}

// ownService tells which of Tallyman's services an image is, judged by its repository,
// as deploy/ names them; "" when it is another image.
func ownService(repository string) string {
	for _, service := range []string{"web", "worker"} {
		if strings.HasSuffix(repository, "tallyman/"+service) {
			return service
		}
	}
	return ""
}

func runSnippets(r *account.Release) []snippet {
	repository, digest := r.Image.Repository, string(r.Image.Digest)
	_, name := cutRepository(repository)
	s := runnable{Image: repository + "@" + digest, Name: label(name), Service: ownService(repository), Digest: digest, Repository: repository}
	if s.Service != "" {
		s.Name = "tallyman-" + s.Service
	}
	return []snippet{
		{"run-docker", "Docker", s.dockerNote(), s.docker()},
		{"run-compose", "Compose", "compose.yaml, then docker compose up --detach --wait", s.compose()},
		{"run-kubernetes", "Kubernetes", s.kubernetesNote(), s.kubernetes()},
		{"run-nomad", "Nomad", s.nomadNote(), s.nomad()},
	}
}

func (s runnable) dockerNote() string {
	if s.Service == "" {
		return "The plain run; what the image needs, its own documentation says."
	}
	return "One host, with the database in the volume tallyman."
}

func (s runnable) kubernetesNote() string {
	if s.Service == "" {
		return "kubectl apply --filename FILE"
	}
	return "Needs the secret tallyman-database with the key url; deploy/kubernetes has all of it, with its network policies."
}

func (s runnable) nomadNote() string {
	if s.Service == "" {
		return "nomad job run -json FILE"
	}
	return "nomad job run -json FILE. Reads the URL of the database from the Nomad variable nomad/jobs/" + s.Name + "; without Consul, the provider is nomad."
}

// memory is the limit of a service in MiB, and port where it listens (deploy/container.json).
func (s runnable) memory() int {
	if s.Service == "worker" {
		return 512
	}
	return 256
}

func (s runnable) port() int {
	if s.Service == "worker" {
		return 8081
	}
	return 8080
}

// argument is what the image's program is told to do.
func (s runnable) argument() string {
	if s.Service == "worker" {
		return "run"
	}
	return "serve"
}

// watches is what a worker has to be told to look at, in its environment.
func (s runnable) watches() string {
	return strings.TrimSuffix(s.Repository, "worker") + "web," + s.Repository
}

func (s runnable) docker() string {
	if s.Service == "" {
		return "docker run --rm " + shell(s.Image)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "docker run --detach --restart unless-stopped --name %s \\\n", s.Name)
	b.WriteString("  --user 65532:65532 --read-only --cap-drop ALL --security-opt no-new-privileges \\\n")
	b.WriteString("  --pids-limit 256 --tmpfs /tmp:size=16777216,noexec,nosuid,nodev --stop-timeout 30 \\\n")
	fmt.Fprintf(&b, "  --volume tallyman:/var/lib/tallyman --memory %dm \\\n", s.memory())
	if s.Service == "web" {
		b.WriteString("  --publish 127.0.0.1:8080:8080 \\\n")
	} else {
		fmt.Fprintf(&b, "  --env %s \\\n", shell("TALLYMAN_REPOSITORIES="+s.watches()))
	}
	b.WriteString("  --env TALLYMAN_LOG_FORMAT=json \\\n")
	fmt.Fprintf(&b, "  --env %s \\\n", shell("TALLYMAN_IMAGE_DIGEST="+s.Digest))
	b.WriteString("  " + shell(s.Image))
	return b.String()
}

// setting is a pair of the environment.
type environment struct{ name, value string }

// environment is what the platforms hand to a service.
func (s runnable) environment() []environment {
	all := []environment{
		{"TALLYMAN_LISTEN", fmt.Sprintf(":%d", s.port())},
		{"TALLYMAN_LOG_FORMAT", "json"},
		{"TALLYMAN_SHUTDOWN_TIMEOUT", "20s"},
		{"TALLYMAN_IMAGE_DIGEST", s.Digest},
	}
	if s.Service == "worker" {
		all = append(all, environment{"TALLYMAN_REPOSITORIES", s.watches()})
	}
	return all
}

func (s runnable) compose() string {
	var b strings.Builder
	fmt.Fprintf(&b, "services:\n  %s:\n    image: %s\n", s.Name, composed(s.Image))
	if s.Service == "" {
		return strings.TrimRight(b.String(), "\n")
	}
	b.WriteString("    user: \"65532:65532\"\n    read_only: true\n    cap_drop: [ALL]\n    security_opt: [\"no-new-privileges:true\"]\n")
	b.WriteString("    tmpfs: [\"/tmp:size=16777216,noexec,nosuid,nodev\"]\n    stop_grace_period: 30s\n    stop_signal: SIGTERM\n    restart: unless-stopped\n    pids_limit: 256\n")
	fmt.Fprintf(&b, "    mem_limit: %dm\n    secrets: [database_url]\n", s.memory())
	if s.Service == "web" {
		b.WriteString("    ports: [\"127.0.0.1:8080:8080\"]\n")
	}
	b.WriteString("    environment:\n      TALLYMAN_DATABASE_URL_FILE: /run/secrets/database_url\n")
	for _, e := range s.environment() {
		fmt.Fprintf(&b, "      %s: %s\n", e.name, composed(e.value))
	}
	fmt.Fprintf(&b, "    healthcheck:\n      test: [CMD, /%s, healthcheck]\n      interval: 10s\n      timeout: 3s\n", s.Service)
	b.WriteString("secrets:\n  database_url:\n    file: ./secrets/database_url")
	return b.String()
}

func (s runnable) kubernetes() string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: %[1]s\nspec:\n  selector:\n    matchLabels: {app: %[1]s}\n", s.Name)
	fmt.Fprintf(&b, "  template:\n    metadata:\n      labels: {app: %s}\n    spec:\n", s.Name)
	if s.Service == "" {
		fmt.Fprintf(&b, "      containers:\n        - name: %s\n          image: %s", s.Name, quoted(s.Image))
		return b.String()
	}
	b.WriteString("      automountServiceAccountToken: false\n      enableServiceLinks: false\n      terminationGracePeriodSeconds: 30\n      securityContext:\n")
	b.WriteString("        {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}\n")
	fmt.Fprintf(&b, "      containers:\n        - name: %s\n          image: %s\n          args: [%s]\n          env:\n", s.Service, quoted(s.Image), s.argument())
	b.WriteString("            - {name: TALLYMAN_DATABASE_URL_FILE, value: /run/secrets/tallyman/database_url}\n")
	for _, e := range s.environment() {
		fmt.Fprintf(&b, "            - {name: %s, value: %s}\n", e.name, quoted(e.value))
	}
	fmt.Fprintf(&b, "          ports: [{name: http, containerPort: %d}]\n", s.port())
	fmt.Fprintf(&b, "          startupProbe: {exec: {command: [/%s, healthcheck]}, periodSeconds: 2, timeoutSeconds: 3, failureThreshold: 30}\n", s.Service)
	fmt.Fprintf(&b, "          readinessProbe: {exec: {command: [/%s, healthcheck]}, timeoutSeconds: 3}\n", s.Service)
	b.WriteString("          livenessProbe: {httpGet: {path: /healthz, port: http}, timeoutSeconds: 3}\n")
	fmt.Fprintf(&b, "          resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: %dMi}}\n", s.memory())
	b.WriteString("          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}\n")
	b.WriteString("          volumeMounts:\n            - {name: tmp, mountPath: /tmp}\n            - {name: database, mountPath: /run/secrets/tallyman, readOnly: true}\n")
	b.WriteString("      volumes:\n        - {name: tmp, emptyDir: {medium: Memory, sizeLimit: 16Mi}}\n        - name: database\n")
	b.WriteString("          secret: {secretName: tallyman-database, defaultMode: 0440, items: [{key: url, path: database_url}]}")
	return b.String()
}

// nomad is a job in the form of the API, as deploy/nomad has it: every part of it can be
// checked against Nomad's own types.
func (s runnable) nomad() string {
	type object = map[string]any
	config := object{"image": nomadText(s.Image)}
	task := object{"Name": s.Name, "Driver": "docker", "Config": config}
	group := object{"Name": s.Name, "Tasks": []any{task}}
	if s.Service != "" {
		config["args"], config["ports"] = []string{s.argument()}, []string{"http"}
		config["readonly_rootfs"], config["cap_drop"] = true, []string{"ALL"}
		config["security_opt"], config["pids_limit"] = []string{"no-new-privileges"}, 256
		config["mounts"] = []object{{"type": "tmpfs", "target": "/tmp", "tmpfs_options": object{"size": 16 << 20}}}
		env := object{"TALLYMAN_DATABASE_URL_FILE": "${NOMAD_SECRETS_DIR}/database_url"}
		for _, e := range s.environment() {
			env[e.name] = nomadText(e.value)
		}
		task["User"], task["Env"] = "65532:65532", env
		task["KillSignal"], task["KillTimeout"] = "SIGTERM", 30*time.Second
		task["Resources"] = object{"CPU": 100, "MemoryMB": s.memory()}
		task["Templates"] = []object{{
			"DestPath": "secrets/database_url", "Perms": "0400", "Uid": 65532, "Gid": 65532, "ErrMissingKey": true,
			"EmbeddedTmpl": `{{ with nomadVar "nomad/jobs/` + s.Name + `" }}{{ .database_url }}{{ end }}`,
		}}
		group["Networks"] = []object{{"DynamicPorts": []object{{"Label": "http", "To": s.port()}}}}
		group["Services"] = []object{{"Name": s.Name, "PortLabel": "http", "Provider": "consul", "Checks": []object{{
			"Name": "healthcheck", "Type": "script", "TaskName": s.Name, "Command": "/" + s.Service, "Args": []string{"healthcheck"},
			"Interval": 10 * time.Second, "Timeout": 3 * time.Second,
		}}}}
	}
	job := object{"Job": object{"ID": s.Name, "Name": s.Name, "Type": "service", "Datacenters": []string{"*"}, "TaskGroups": []object{group}}}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(job); err != nil {
		panic(fmt.Sprintf("encode a job: %v", err)) // strings and numbers can be encoded
	}
	return strings.TrimRight(b.String(), "\n")
}
