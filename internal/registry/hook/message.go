package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// maxNamed bounds the repositories of one message.
const maxNamed = 1_000

// named is a repository that a message names.
type named struct {
	// host is the registry as the message calls it; a registry behind a proxy may
	// not know the name that others have for it.
	host string
	path string
	// sure says that no other registry can be meant.
	sure bool
}

// Message is what a registry says.
type Message struct {
	// Form is distribution, harbor, harbor-cloudevents, quay, github or docker-hub; other
	// when it is none of them, or not about what was pushed.
	Form string

	named []named
}

// Among returns which of repositories the message names, in order and each once, and how
// many it names beside these.
func (m Message) Among(repositories []string) (known []string, ignored int) {
	for _, n := range m.named {
		found := n.among(repositories)
		if len(found) == 0 {
			ignored++
		}
		known = append(known, found...)
	}
	slices.Sort(known)
	return slices.Compact(known), ignored
}

// among returns the repositories that may be meant: the one with that name or, where the
// registry may go by another name, those with that path.
func (n named) among(repositories []string) []string {
	var paths []string
	for _, repository := range repositories {
		host, path, _ := strings.Cut(repository, "/")
		if path != n.path {
			continue
		}
		if canonical(host) == canonical(n.host) {
			return []string{repository}
		}
		paths = append(paths, repository)
	}
	if n.sure {
		return nil
	}
	return paths
}

// canonical gives Docker Hub one name.
func canonical(host string) string {
	switch host = strings.ToLower(host); host {
	case "index.docker.io", "registry-1.docker.io":
		return "docker.io"
	default:
		return host
	}
}

// content is what the forms have at their top, each in keys of its own.
type content struct {
	// Events are those of CNCF Distribution
	// (https://distribution.github.io/distribution/about/notifications/).
	Events []event `json:"events"`

	// Type, EventData and Data are Harbor's, in its default form and in that of
	// CloudEvents
	// (https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/).
	Type      text    `json:"type"`
	EventData *harbor `json:"event_data"`
	Data      *harbor `json:"data"`

	// DockerURL and UpdatedTags are Quay's
	// (https://docs.redhat.com/en/documentation/red_hat_quay/, "Repository events").
	DockerURL   text            `json:"docker_url"`
	UpdatedTags json.RawMessage `json:"updated_tags"`

	// RegistryPackage and Package are GitHub's
	// (https://docs.github.com/webhooks/webhook-events-and-payloads#registry_package).
	Action          text           `json:"action"`
	RegistryPackage *githubPackage `json:"registry_package"`
	Package         *githubPackage `json:"package"`

	// PushData is Docker Hub's, with Repository
	// (https://docs.docker.com/docker-hub/repos/manage/webhooks/).
	PushData   json.RawMessage `json:"push_data"`
	Repository repository      `json:"repository"`
}

// text is a string; what is none is read as "", because others give the same key
// to something else.
type text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// event is one of Distribution's. Pulls are events, too: our own among them.
type event struct {
	Action string `json:"action"`
	Target struct {
		MediaType  string `json:"mediaType"`
		Repository string `json:"repository"`
		URL        string `json:"url"`
	} `json:"target"`
	Request struct {
		Host string `json:"host"`
	} `json:"request"`
}

type harbor struct {
	Resources []struct {
		URL string `json:"resource_url"`
	} `json:"resources"`
	Repository struct {
		FullName string `json:"repo_full_name"`
	} `json:"repository"`
}

type githubPackage struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Type      string `json:"package_type"`
	Version   *struct {
		URL string `json:"package_url"`
	} `json:"package_version"`
}

// repository is an object in messages of Docker Hub and GitHub and a string in
// those of Quay.
type repository struct{ Name string }

// UnmarshalJSON implements [json.Unmarshaler].
func (r *repository) UnmarshalJSON(b []byte) error {
	var hub struct {
		Name text `json:"repo_name"`
	}
	if json.Unmarshal(b, &hub) == nil {
		r.Name = string(hub.Name)
	}
	return nil
}

// parse reads which repositories a message says were pushed to, or deleted from. A
// message of another kind, such as the ping of a new webhook, names none.
func parse(body []byte) (Message, error) {
	var m *content
	if err := json.Unmarshal(body, &m); err != nil {
		return Message{}, fmt.Errorf("message: expected a JSON object of a known form: %w", err)
	}
	if m == nil {
		return Message{}, errors.New("message: expected a JSON object of a known form, found null")
	}
	var form string
	var all, repositories []named
	switch {
	case m.Events != nil:
		form, all = "distribution", m.ofDistribution()
	case m.EventData != nil:
		form, all = "harbor", m.EventData.named(string(m.Type))
	case m.Data != nil:
		form, all = "harbor-cloudevents", m.Data.named(string(m.Type))
	case m.DockerURL != "" && m.UpdatedTags != nil:
		form, all = "quay", one(split(string(m.DockerURL)))
	case m.RegistryPackage != nil:
		form, all = "github", m.RegistryPackage.named(string(m.Action))
	case m.Package != nil:
		form, all = "github", m.Package.named(string(m.Action))
	case m.PushData != nil:
		form, all = "docker-hub", one(named{host: "docker.io", path: m.Repository.Name, sure: true})
	default:
		return Message{Form: "other"}, nil
	}
	for _, n := range all {
		if n.path == "" || slices.Contains(repositories, n) {
			continue
		}
		if len(repositories) == maxNamed {
			return Message{}, fmt.Errorf("message: more than %d repositories", maxNamed)
		}
		repositories = append(repositories, n)
	}
	return Message{form, repositories}, nil
}

func one(n named) []named { return []named{n} }

func (m content) ofDistribution() []named {
	var all []named
	for _, e := range m.Events {
		if e.Action != "push" && e.Action != "delete" || e.Target.MediaType == "application/octet-stream" {
			continue // a blob, without which no tag changes
		}
		host := e.Request.Host
		if u, err := url.Parse(e.Target.URL); err == nil && u.Host != "" {
			host = u.Host
		}
		all = append(all, named{host: strings.ToLower(host), path: e.Target.Repository})
	}
	return all
}

func (h harbor) named(kind string) []named {
	switch kind {
	case "PUSH_ARTIFACT", "DELETE_ARTIFACT", "harbor.artifact.pushed", "harbor.artifact.deleted":
	default:
		return nil
	}
	if len(h.Resources) == 0 {
		return one(named{path: h.Repository.FullName})
	}
	var all []named
	for _, resource := range h.Resources {
		n := split(resource.URL)
		n.sure = false
		if h.Repository.FullName != "" {
			n.path = h.Repository.FullName
		}
		all = append(all, n)
	}
	return all
}

func (p githubPackage) named(action string) []named {
	if !strings.EqualFold(p.Type, "container") || action != "published" && action != "updated" {
		return nil
	}
	if p.Version != nil && p.Version.URL != "" {
		return one(split(p.Version.URL))
	}
	return one(named{host: "ghcr.io", path: strings.ToLower(p.Namespace + "/" + p.Name), sure: true})
}

// split reads host/path, with a tag or a digest behind it or none. Paths are in
// lower case (distribution specification, "Pulling manifests"), also where GitHub
// writes the name of an owner as its owner does.
func split(reference string) named {
	reference, _, _ = strings.Cut(strings.ToLower(reference), "@")
	host, path, ok := strings.Cut(reference, "/")
	if !ok {
		return named{}
	}
	path, _, _ = strings.Cut(path, ":")
	return named{host: host, path: path, sure: true}
}
