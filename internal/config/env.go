package config

import (
	"io"
	"regexp"
	"slices"
	"strings"
)

// envLayer is what the environment says.
type envLayer struct {
	// values are texts by key.
	values map[string]any
	// origins name the variable, and the file where it names one, by key.
	origins map[string]string
	// broken are the keys whose value could not be had; the mistake is
	// already noted.
	broken map[string]bool
	// config is the configuration file that the environment names.
	config string
}

// secretLimit bounds a secret's file: far more than a URL needs.
const secretLimit = 64 << 10

// readEnvironment takes the settings out of the environment, and notes
// variables with our prefix that nobody knows.
func (r *resolver) readEnvironment(environ []string) {
	r.env = envLayer{values: map[string]any{}, origins: map[string]string{}, broken: map[string]bool{}}
	ours := make(map[string]string)
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, envPrefix) {
			ours[name] = value
		}
	}
	known := []string{configEnv}
	r.env.config = ours[configEnv]
	for _, s := range r.settings {
		known = append(known, s.env())
		if s.secret {
			known = append(known, s.env()+fileSuffix)
			r.readSecret(s, ours)
		}
		if value, ok := ours[s.env()]; ok {
			r.env.values[s.key] = value
			r.env.origins[s.key] = "environment " + s.env()
		}
	}
	for name, value := range ours {
		if !slices.Contains(known, name) && !serviceLink(name, value) {
			r.unknownVariable(name, known)
		}
	}
}

// readSecret takes a secret from the file that NAME_FILE names.
func (r *resolver) readSecret(s setting, ours map[string]string) {
	name := s.env() + fileSuffix
	path, ok := ours[name]
	if !ok {
		return
	}
	m := Mistake{Key: s.key, Origin: "environment " + name, Value: path, Expected: "a readable file that holds " + s.expected}
	if _, twice := ours[s.env()]; twice {
		m.Problem, m.Value, m.Expected = s.env()+" is set as well", "", "only one of the two"
	} else if path == "" {
		m.Problem = "no file is named"
	} else if content, what := readBounded(path, secretLimit); what != "" {
		m.Problem = what
	} else if text := trimLineEnd(string(content)); text == "" {
		m.Problem = "the file is empty"
	} else {
		r.env.values[s.key] = text
		r.env.origins[s.key] = m.Origin + " (file " + path + ")"
		return
	}
	r.env.broken[s.key] = true
	r.mistake(m)
}

// trimLineEnd removes the one line end that editors and echo leave behind.
func trimLineEnd(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// unknownVariable never shows the value: a mistyped name may hold a secret.
func (r *resolver) unknownVariable(name string, known []string) {
	what := "unknown variable" + suggest(name, known)
	if owner, keys := foreign(r.program); slices.ContainsFunc(keys, func(key string) bool { return envOf(key) == name }) {
		what = "a setting of " + owner + ", not of " + r.program
	}
	r.mistake(Mistake{
		Key:      name,
		Origin:   "environment " + name,
		Problem:  what,
		Expected: "only variables that docs/configuration.md lists",
	})
}

// serviceLink recognises the variables that Kubernetes sets in every container
// for each Service of the namespace; one called tallyman would otherwise keep
// us from starting. See "Accessing the Service", environment variables, in
// https://kubernetes.io/docs/tutorials/services/connect-applications-service/.
func serviceLink(name, value string) bool {
	link := regexp.MustCompile(`_(SERVICE_HOST=[0-9a-fA-F.:]+|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+` +
		`|PORT(_[0-9]+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://.+` +
		`|PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO=(tcp|udp|sctp)|PORT=[0-9]+|ADDR=[0-9a-fA-F.:]+))$`)
	return link.MatchString(name + "=" + value)
}

// readAll reads at most limit bytes of what path names.
func readAll(f io.Reader, path string, limit int64) (content []byte, what string) {
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, unreadable(path, err)
	case int64(len(content)) > limit:
		return nil, "cannot use " + path + ": it is too large"
	}
	return content, ""
}
