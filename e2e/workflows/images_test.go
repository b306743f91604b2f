package workflows_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// pipelineFile is the part of .goreleaser.yaml that the rules look at.
type pipelineFile struct {
	Before struct {
		Hooks []string `json:"hooks"`
	} `json:"before"`
	Builds []struct {
		ID     string `json:"id"`
		Main   string `json:"main"`
		Binary string `json:"binary"`
		// Compiler is what the compiler is told, which is weighed for each program.
		Compiler []string `json:"gcflags"`
	} `json:"builds"`
	Archives   []named          `json:"archives"`
	Packages   []named          `json:"nfpms"`
	Images     []map[string]any `json:"dockers_v2"`
	Publishers []publisher      `json:"publishers"`
}

type named struct {
	ID string `json:"id"`
}

type publisher struct {
	Name string   `json:"name"`
	IDs  []string `json:"ids"`
}

func readPipeline(t *testing.T) pipelineFile {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var p pipelineFile
	if err := yaml.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// nameOf is what an entry of dockers_v2 calls its image.
func nameOf(t *testing.T, entry map[string]any) string {
	t.Helper()
	images, ok := entry["images"].([]any)
	if !ok || len(images) != 1 {
		t.Fatalf("dockers_v2: expected one image, found %v", entry["images"])
	}
	image, _ := images[0].(string)
	return image[strings.LastIndexByte(image, '/')+1:]
}

// TestEveryImageGoesThroughEveryStep: an image that a step left out would be published
// without what the others have.
func TestEveryImageGoesThroughEveryStep(t *testing.T) {
	t.Parallel()
	p := readPipeline(t)
	var names, built []string
	for _, build := range p.Builds {
		built = append(built, build.Binary)
		if build.ID != build.Binary+"-binary" || build.Main != "./cmd/"+build.Binary {
			t.Errorf("build %s: got %s of %s", build.ID, build.Binary, build.Main)
		}
	}
	cache := regexp.MustCompile(`"IMAGE" "[a-z]+"`)
	for _, entry := range p.Images {
		name := nameOf(t, entry)
		names = append(names, name)
		want := map[string]any{"id": name, "ids": []any{name + "-binary"}, "dockerfile": "build/Dockerfile." + name, "images": []any{"{{ .Env.REGISTRY }}/" + name}}
		for key, first := range p.Images[0] {
			if _, own := want[key]; own {
				continue
			}
			want[key] = first
			if flags, ok := first.([]any); ok && key == "flags" {
				flags = slices.Clone(flags)
				for i, flag := range flags {
					text, _ := flag.(string)
					flags[i] = cache.ReplaceAllString(text, `"IMAGE" "`+name+`"`)
				}
				want[key] = flags
			}
		}
		if diff := cmp.Diff(want, entry); diff != "" {
			t.Errorf("image %s (-as the first +it):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(built, names); diff != "" || len(names) == 0 {
		t.Errorf("programs and images (-built +packed):\n%s", diff)
	}
	promoted := slices.IndexFunc(p.Publishers, func(p publisher) bool { return p.Name == "promote" })
	if promoted < 0 || !slices.Equal(p.Publishers[promoted].IDs, names) {
		t.Errorf("promote: got %+v, want all of %q", p.Publishers, names)
	}
	for _, other := range slices.Concat(p.Archives, p.Packages) {
		if other.ID == "" || slices.Contains(names, other.ID) {
			t.Errorf("archive or package %q: expected a name of its own, or it is promoted as an image", other.ID)
		}
	}
	checked := slices.IndexFunc(p.Before.Hooks, func(hook string) bool { return strings.Contains(hook, "release check") })
	for _, name := range names {
		if checked < 0 || !regexp.MustCompile(`REGISTRY \}\}/`+name+`\b`).MatchString(p.Before.Hooks[checked]) {
			t.Errorf("check: %s is not in %q", name, p.Before.Hooks)
		}
	}
}

// TestDockerfilesDifferInWhatTheyPackAlone: up to the last stage they are one text, but for
// what the compiler is told of each program, which is what the pipeline says.
func TestDockerfilesDifferInWhatTheyPackAlone(t *testing.T) {
	t.Parallel()
	var first string
	p := readPipeline(t)
	compiler := make(map[string]string)
	for _, build := range p.Builds {
		compiler[build.Binary] = " -gcflags=" + strings.Join(build.Compiler, " ") + " "
	}
	for _, entry := range p.Images {
		name := nameOf(t, entry)
		text, err := os.ReadFile(filepath.Join(root, "build", "Dockerfile."+name))
		if err != nil {
			t.Fatal(err)
		}
		shared, last, found := strings.Cut(string(text), "LABEL ")
		if !found || !strings.Contains(last, "\nUSER 65532:65532\n") || !strings.Contains(last, "\nWORKDIR /var/lib/tallyman\n") || !strings.Contains(last, `ENTRYPOINT ["/`+name+`"]`) {
			t.Errorf("Dockerfile.%s: expected labels, user, folder and entrypoint in the last stage, found\n%s", name, last)
		}
		if flags := compiler[name]; strings.Count(shared, flags) != 1 {
			t.Errorf("Dockerfile.%s: expected%sonce, as in .goreleaser.yaml", name, flags)
		}
		shared = strings.Replace(shared, compiler[name], " -gcflags ", 1)
		for _, place := range []string{"`" + name + "`", "Dockerfile." + name, "/out/" + name, "./cmd/" + name, "$TARGETPLATFORM/" + name, " /" + name + "\n"} {
			shared = strings.ReplaceAll(shared, place, strings.Replace(place, name, "NAME", 1))
		}
		if first == "" {
			first = shared
		}
		if diff := cmp.Diff(first, shared); diff != "" {
			t.Errorf("Dockerfile.%s (-as the first +it):\n%s", name, diff)
		}
	}
}
