package deploy_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	k8sjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const kubernetesDir = deployDir + "/kubernetes"

// notObjects are the files of deploy/kubernetes that kustomize reads and the API server does not.
var notObjects = map[string]bool{"kustomization.yaml": true, "worker-config.yaml": true}

// decodeObjects decodes every document of a YAML stream into its type of k8s.io/api. Unknown fields,
// fields in the wrong case and fields given twice are errors, as with kubectl --validate=strict.
func decodeObjects(stream []byte) ([]runtime.Object, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	strict := k8sjson.NewSerializerWithOptions(k8sjson.DefaultMetaFactory, scheme, scheme,
		k8sjson.SerializerOptions{Yaml: true, Strict: true})

	var objects []runtime.Object
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(stream)))
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		object, _, err := strict.Decode(document, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		objects = append(objects, object)
	}
}

// render builds the kustomization with the two placeholder digests replaced.
func render(t *testing.T) []runtime.Object {
	t.Helper()
	fs := filesys.MakeFsInMemory()
	files, err := filepath.Glob(filepath.Join(kubernetesDir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		text := readFile(t, "kubernetes/"+name)
		if name == "kustomization.yaml" {
			for _, service := range []string{"web", "worker"} {
				before := fmt.Sprintf("name: ghcr.io/tallyman-io/tallyman/%s\n    digest: %s", service, noDigest)
				after := strings.Replace(before, noDigest, digests[service], 1)
				if !bytes.Contains(text, []byte(before)) {
					t.Fatalf("kustomization.yaml does not name the digest of %s", service)
				}
				text = bytes.Replace(text, []byte(before), []byte(after), 1)
			}
		}
		if err := fs.WriteFile("/deploy/"+name, text); err != nil {
			t.Fatal(err)
		}
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, "/deploy")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(stream, []byte(noDigest)) {
		t.Error("a placeholder digest is left after kustomize")
	}
	objects, err := decodeObjects(stream)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestKubernetesFilesDecodeStrictly(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(kubernetesDir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if notObjects[name] {
			continue
		}
		objects, err := decodeObjects(readFile(t, "kubernetes/"+name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(objects) == 0 {
			t.Errorf("%s: no objects", name)
		}
	}
}

func TestStrictDecodingRefusesWhatTheTypesDoNotHave(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"unknown field": "apiVersion: v1\nkind: ServiceAccount\nautomountToken: false\n",
		"wrong case":    "apiVersion: v1\nkind: ServiceAccount\nautomountserviceaccounttoken: false\n",
		"given twice":   "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  name: b\n",
		"unknown kind":  "apiVersion: v1\nkind: Deployment\n",
	} {
		if _, err := decodeObjects([]byte(document)); err == nil {
			t.Errorf("%s: decoded without an error", name)
		}
	}
}

func TestKubernetesDeploymentsRunAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, object := range render(t) {
		deployment, ok := object.(*appsv1.Deployment)
		if !ok {
			continue
		}
		pod := deployment.Spec.Template.Spec
		if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
			t.Fatalf("%s: want one container", deployment.Name)
		}
		name := pod.Containers[0].Name
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := podContainer(pod)
			if err != nil {
				t.Fatal(err)
			}
			// Only Kubernetes runs several behind one address, and sends a pod requests that it
			// has told to stop.
			const delay = "TALLYMAN_SHUTDOWN_DELAY"
			if name == "web" && got.Env[delay] != "5s" {
				t.Errorf("%s: got %q, want 5s", delay, got.Env[delay])
			}
			if name == "web" {
				delete(got.Env, delay)
			}
			checkContainer(t, name, got)
			checkPod(t, pod)
		})
	}
	if !seen["web"] || !seen["worker"] || len(seen) != 2 {
		t.Errorf("deployments %v, want web and worker", seen)
	}
}

// checkPod checks what container.json does not say: the settings that only Kubernetes has.
func checkPod(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	c := pod.Containers[0]
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the pod gets a service account token")
	}
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Error("the pod gets TALLYMAN_WEB_… variables for every Service of the namespace")
	}
	if pod.HostNetwork || pod.HostPID || pod.HostIPC {
		t.Error("the pod shares a namespace of the host")
	}
	if s := pod.SecurityContext; s.RunAsNonRoot == nil || !*s.RunAsNonRoot ||
		s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod security context %+v, want runAsNonRoot and RuntimeDefault seccomp", s)
	}
	for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if c.Resources.Requests.Name(resource, "").IsZero() {
			t.Errorf("no request for %s", resource)
		}
	}
	if c.StartupProbe == nil || c.ReadinessProbe == nil || c.LivenessProbe == nil {
		t.Fatal("want a startup, a readiness and a liveness probe")
	}
	if get := c.LivenessProbe.HTTPGet; get == nil || get.Path != "/healthz" {
		t.Error("liveness does not ask /healthz: it must not depend on the database")
	}
	for _, volume := range pod.Volumes {
		if volume.HostPath != nil {
			t.Errorf("volume %s is a path of the host", volume.Name)
		}
	}
}

func podContainer(pod corev1.PodSpec) (container, error) {
	c := pod.Containers[0]
	if pod.SecurityContext == nil || c.SecurityContext == nil || c.SecurityContext.Capabilities == nil {
		return container{}, errors.New("no security context")
	}
	user := pod.SecurityContext
	if c.Lifecycle != nil {
		return container{}, errors.New("lifecycle hooks change how the container stops")
	}
	if user.RunAsUser == nil || user.RunAsGroup == nil || c.SecurityContext.RunAsUser != nil {
		return container{}, errors.New("user and group are not set on the pod alone")
	}
	got := container{
		Image:           c.Image,
		User:            fmt.Sprintf("%d:%d", *user.RunAsUser, *user.RunAsGroup),
		ReadOnly:        isTrue(c.SecurityContext.ReadOnlyRootFilesystem),
		NoNewPrivileges: isFalse(c.SecurityContext.AllowPrivilegeEscalation),
		Privileged:      isTrue(c.SecurityContext.Privileged),
		Tmpfs:           map[string]int64{},
		StopSignal:      "SIGTERM", // Kubernetes' default; no field of the manifest changes it
		Args:            c.Args,
		MemoryBytes:     c.Resources.Limits.Memory().Value(),
		Env:             map[string]string{},
	}
	for _, capability := range c.SecurityContext.Capabilities.Drop {
		got.CapDrop = append(got.CapDrop, string(capability))
	}
	for _, capability := range c.SecurityContext.Capabilities.Add {
		got.CapAdd = append(got.CapAdd, string(capability))
	}
	if pod.TerminationGracePeriodSeconds != nil {
		got.StopGrace = time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	}
	if c.ReadinessProbe != nil && c.ReadinessProbe.Exec != nil {
		got.Healthcheck = c.ReadinessProbe.Exec.Command
	}
	if len(c.Ports) == 1 {
		got.Port = int(c.Ports[0].ContainerPort)
	}
	for _, env := range c.Env {
		if env.ValueFrom != nil {
			return container{}, fmt.Errorf("variable %s is taken from elsewhere: secrets come as files", env.Name)
		}
		got.Env[env.Name] = env.Value
	}
	for _, mount := range c.VolumeMounts {
		for _, volume := range pod.Volumes {
			switch {
			case volume.Name != mount.Name:
			case volume.EmptyDir != nil && volume.EmptyDir.Medium == corev1.StorageMediumMemory:
				got.Tmpfs[mount.MountPath] = volume.EmptyDir.SizeLimit.Value()
			case volume.Secret != nil:
				got.SecretDirs = append(got.SecretDirs, mount.MountPath)
			}
		}
	}
	return got, nil
}

func TestKubernetesNamespaceDeniesByDefault(t *testing.T) {
	t.Parallel()
	var denied, restricted bool
	accounts := 0
	for _, object := range render(t) {
		switch o := object.(type) {
		case *networkingv1.NetworkPolicy:
			denied = denied || len(o.Spec.PodSelector.MatchLabels) == 0 && len(o.Spec.PolicyTypes) == 2 &&
				len(o.Spec.Ingress) == 0 && len(o.Spec.Egress) == 0
		case *corev1.Namespace:
			restricted = o.Labels["pod-security.kubernetes.io/enforce"] == "restricted"
		case *corev1.ServiceAccount:
			accounts++
			if !isFalse(o.AutomountServiceAccountToken) {
				t.Errorf("service account %s mounts a token", o.Name)
			}
		case *corev1.Secret:
			t.Errorf("secret %s is in the manifests", o.Name)
		}
	}
	if !denied {
		t.Error("no network policy denies everything by default")
	}
	if !restricted {
		t.Error("the namespace does not enforce the restricted pod security standard")
	}
	if accounts != 2 {
		t.Errorf("%d service accounts, want 2", accounts)
	}
}

func isTrue(b *bool) bool  { return b != nil && *b }
func isFalse(b *bool) bool { return b != nil && !*b }
