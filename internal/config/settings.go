package config

import (
	"strings"
	"time"
)

// Program describes what one program can be configured with.
type Program[T any] struct {
	name string
	// bind describes every setting and ties it to its field.
	bind func(*T) []setting
	// check finds mistakes that no setting shows on its own.
	check func(T, func(key string) string) []Mistake
}

// Also returns p with one more check, of values that this package cannot
// understand itself. It runs when nothing else is wrong; its mistakes need no
// origin.
func (p Program[T]) Also(check func(T) []Mistake) Program[T] {
	before := p.check
	p.check = func(c T, origin func(string) string) []Mistake {
		if found := before(c, origin); len(found) > 0 {
			return found
		}
		found := check(c)
		for i := range found {
			if found[i].Origin == "" {
				found[i].Origin = origin(found[i].Key)
			}
		}
		return found
	}
	return p
}

// ForWeb describes the configuration of the console.
func ForWeb() Program[Web] {
	return Program[Web]{
		name: "web",
		bind: func(c *Web) []setting { return append(c.Service.settings(":8080"), c.settings()...) },
		check: func(c Web, origin func(string) string) []Mistake {
			return append(c.Service.check(origin), c.check(origin)...)
		},
	}
}

// ForWorker describes the configuration of the background worker.
func ForWorker() Program[Worker] {
	return Program[Worker]{
		name: "worker",
		bind: func(c *Worker) []setting { return append(c.Service.settings(":8081"), c.settings()...) },
		check: func(c Worker, origin func(string) string) []Mistake {
			return append(c.Service.check(origin), c.check(origin)...)
		},
	}
}

// settings describes what web and worker have in common.
func (s *Service) settings(listen string) []setting {
	return []setting{
		bind("listen", &s.Listen, listenAddress(), listen,
			"Address of the HTTP server (host:port). An empty host means every interface."),
		bind("database.url", &s.Database.URL, databaseURL(), "sqlite:///var/lib/tallyman/tallyman.db",
			"Where the store is: a SQLite file, or a PostgreSQL database. It is opened, and migrated, at start.").secretly(),
		bind("database.max_connections", &s.Database.MaxConnections, whole(0, 1000), "0",
			"Most connections that this process opens to PostgreSQL. 0 is two for each processor and one, and at most 20: more wait for each other. SQLite is not touched by it."),
		bind("log.level", &s.Log.Level, oneOf("trace", "debug", "info", "warn", "error"), "info",
			"Least severe level that is logged."),
		bind("log.format", &s.Log.Format, oneOf("auto", "json", "console"), "auto",
			"Form of the log on standard error. auto is console on a terminal and json otherwise."),
		bind("server.read_header_timeout", &s.Server.ReadHeaderTimeout, duration(100*time.Millisecond, time.Hour), "5s",
			"Longest time for reading a request's header."),
		bind("server.read_timeout", &s.Server.ReadTimeout, duration(100*time.Millisecond, time.Hour), "15s",
			"Longest time for reading a whole request, not shorter than server.read_header_timeout."),
		bind("server.write_timeout", &s.Server.WriteTimeout, duration(100*time.Millisecond, time.Hour), "30s",
			"Longest time from the end of a request's header to the end of its answer."),
		bind("server.idle_timeout", &s.Server.IdleTimeout, duration(100*time.Millisecond, time.Hour), "60s",
			"Longest time that an unused connection is kept open."),
		bind("tls.certificate", &s.TLS.Certificate, optionalFile("a file with a certificate in PEM, and those between it and a root, or nothing", certificateProblem), "",
			"Certificate of the HTTP server, which then speaks TLS alone. It is read again when the file changes. It needs tls.key."),
		bind("tls.key", &s.TLS.Key, optionalFile("a file with the certificate's private key in PEM, or nothing", keyProblem), "",
			"Private key of tls.certificate."),
		bind("shutdown.delay", &s.ShutdownDelay, duration(0, time.Minute), "0s",
			"How long everything is still answered after SIGTERM, while /readyz says that it is draining: as long as it takes whoever hands out requests to notice. Where several stand behind a load balancer none is lost then. It is part of shutdown.timeout."),
		bind("shutdown.timeout", &s.ShutdownTimeout, duration(time.Second, 5*time.Minute), "20s",
			"Longest time from SIGTERM to the exit. Give the platform's own limit a few seconds more."),
		bind("image.digest", &s.ImageDigest, imageDigest(), "",
			"Digest of the image that this process runs from, as the platform knows it. It is shown by version and /version."),
	}
}

// check finds the mistakes that more than one setting makes together.
func (s *Service) check(origin func(key string) string) []Mistake {
	const key = "server.read_timeout"
	mistakes := s.TLS.check(origin)
	if s.Server.ReadTimeout < s.Server.ReadHeaderTimeout {
		mistakes = append(mistakes, Mistake{
			Key:      key,
			Origin:   origin(key),
			Value:    durationText(s.Server.ReadTimeout),
			Problem:  "shorter than server.read_header_timeout",
			Expected: "at least " + durationText(s.Server.ReadHeaderTimeout),
		})
	}
	if s.ShutdownDelay >= s.ShutdownTimeout {
		const key = "shutdown.delay"
		mistakes = append(mistakes, Mistake{
			Key:      key,
			Origin:   origin(key),
			Value:    durationText(s.ShutdownDelay),
			Problem:  "not shorter than shutdown.timeout",
			Expected: "less than " + durationText(s.ShutdownTimeout),
		})
	}
	return mistakes
}

// settings describes what only the worker has.
func (w *Worker) settings() []setting {
	return append(w.looking(), w.judging()...)
}

// looking describes how the worker looks at repositories.
func (w *Worker) looking() []setting {
	return []setting{
		bind("repositories", &w.Repositories, repositories(), "",
			"OCI repositories to keep the tally of, each with its registry and without a tag."),
		bind("registry.insecure", &w.Registry.Insecure, registryHosts(), "",
			"Registries that may be spoken to over plain HTTP. Loopback hosts always may."),
		bind("registry.hosts", &w.Registry.Hosts, hostPatterns(), "",
			"Further hosts that registries may send the worker to, for tokens and blobs. Those of well-known registries are built in. See outbound.md."),
		bind("registry.concurrency", &w.Registry.Concurrency, whole(1, 64), "8",
			"Most requests at the same time to one host of a registry."),
		bind("registry.timeout", &w.Registry.Timeout, duration(time.Second, 10*time.Minute), "30s",
			"Longest time for one request to a registry."),
		bind("discover.interval", &w.Discover.Interval, duration(10*time.Second, 24*time.Hour), "5m",
			"Time between two looks at the same repository."),
		w.Hooks.setting(),
		bind("worker.concurrency", &w.Concurrency, whole(1, 100), "4",
			"Jobs that run at the same time in this process."),
		bind("worker.lease", &w.Lease, duration(2*time.Second, 10*time.Minute), "30s",
			"How long a worker may be silent before its jobs are taken over: soon after it died, or lost the database. "+
				"The same for all workers of a database."),
	}
}

// judging describes what the worker judges releases by, and whom it tells.
func (w *Worker) judging() []setting {
	const month = 30 * 24 * time.Hour
	return []setting{
		bind("trust.keys", &w.Trust.Keys, files("a file with one ECDSA, RSA or Ed25519 public key in PEM (BEGIN PUBLIC KEY)", publicKeyProblem), "",
			"Files of the public keys whose signatures count."),
		bind("trust.identities", &w.Trust.Identities, identities(), "",
			"Identities whose certificates count, with the issuer that proved them. They need trust.root. "+
				"The items are divided by white space only, because a pattern may hold a comma."),
		bind("trust.root", &w.Trust.Root, optionalFile("a Sigstore trusted root (trusted_root.json), or nothing", trustedRootProblem), "",
			"Sigstore trusted root: certificate authorities, transparency logs and timestamp authorities."),
		bind("trust.require_log", &w.Trust.RequireLog, yesNo(), "false",
			"Whether signatures by key need an entry in a transparency log as well."),
		bind("evidence.interval", &w.Evidence.Interval, duration(time.Second, month), "1h",
			"Time between two looks at the papers of the same release."),
		bind("advisories.source", &w.Advisories.Source, feedURL(), "https://osv-vulnerabilities.storage.googleapis.com",
			"Where advisories come from: a folder of <Ecosystem>/all.zip as OSV publishes it, or a mirror of it."),
		bind("advisories.ecosystems", &w.Advisories.Ecosystems, ecosystems(), "",
			"Ecosystems to keep advisories of. Nothing means those that the packages which were found need. "+
				"The items are divided by commas only, because a name may hold a space."),
		bind("advisories.interval", &w.Advisories.Interval, duration(time.Second, month), "1h",
			"Time between two looks at the source of advisories."),
		bind("policy.file", &w.Policy.File, optionalFile("a file with a policy, or nothing", textProblem), "",
			"Policy that releases are judged by. Nothing means the built-in policy."),
		bind("policy.max_age", &w.Policy.MaxAge, duration(time.Second, 12*month), "48h",
			"How old advisory data may be for the built-in policy. With older data a release is unknown."),
		bind("vex.files", &w.VEX.Files, files("a file with an OpenVEX document (JSON)", vexProblem), "",
			"OpenVEX documents that hold for every release, beside those attested to it."),
		bind("notify.webhooks", &w.Notify.Webhooks, messageURLs(), "",
			"URLs that get a signed message of each wave of changes. They need notify.secret. See notify.md.").secretly(),
		bind("notify.slack", &w.Notify.Slack, messageURLs(), "",
			"Incoming webhooks of Slack, or of what takes the same form, that get the same messages for people.").secretly(),
		bind("notify.secret", &w.Notify.Secret, signingSecret(), "",
			"Secret that messages to notify.webhooks are signed with. To make one: echo \"whsec_$(openssl rand -base64 32)\".").secretly(),
		bind("notify.allow_private", &w.Notify.AllowPrivate, yesNo(), "false",
			"Whether messages may go to private, loopback and link-local addresses."),
		bind("console.url", &w.Console.URL, consoleURL(), "",
			"Where the console is seen from outside, for links in messages. Nothing means no links."),
	}
}

// check finds the mistakes that more than one setting of the worker makes
// together.
func (w *Worker) check(origin func(key string) string) []Mistake {
	var mistakes []Mistake
	mistake := func(key, problem, expected string) {
		mistakes = append(mistakes, Mistake{Key: key, Origin: origin(key), Problem: problem, Expected: expected})
	}
	root := parseTrustedRoot(w.Trust.Root.Content)
	if len(w.Trust.Identities) > 0 {
		const expected = "a Sigstore trusted root (trusted_root.json) with a certificate authority"
		switch {
		case w.Trust.Root.Path == "":
			mistake("trust.root", "trust.identities need one", expected)
		case len(root.CertificateAuthorities) == 0:
			mistake("trust.root", "trust.identities need a certificate authority and "+w.Trust.Root.Path+" has none", expected)
		}
	}
	if w.Trust.RequireLog {
		const expected = "a Sigstore trusted root (trusted_root.json) with a transparency log"
		switch {
		case w.Trust.Root.Path == "":
			mistake("trust.root", "trust.require_log needs one", expected)
		case len(root.TransparencyLogs) == 0:
			mistake("trust.root", "trust.require_log needs a transparency log and "+w.Trust.Root.Path+" has none", expected)
		}
	}
	if len(w.Notify.Webhooks) > 0 && w.Notify.Secret.Reveal() == "" {
		mistake("notify.secret", "notify.webhooks need one", signingForm)
	}
	return mistakes
}

// setting is the one description of a setting from which everything follows.
type setting struct {
	key      string
	doc      string
	def      string
	kind     string
	expected string
	schema   map[string]any
	secret   bool
	// target is the field, for a test that no field is forgotten.
	target any
	// set understands raw and stores it. fromFile says that raw has a type
	// that a file gave it; otherwise it is text.
	set func(raw any, fromFile bool) []problem
	// show is the stored value as config print shows it.
	show func() any
	// needles are the strings of the stored value that must not appear in any
	// output.
	needles func() []string
}

func bind[T any](key string, target *T, k kind[T], def, doc string) setting {
	return setting{
		key: key, doc: doc, def: def, kind: k.name, expected: k.expected, schema: k.schema, target: target,
		set: func(raw any, fromFile bool) []problem {
			text, ok := raw.(string)
			if fromFile {
				text, ok = k.text(raw)
			}
			if !ok {
				return unexpected()
			}
			value, problems := k.parse(text)
			if len(problems) == 0 {
				*target = value
			}
			return problems
		},
		show:    func() any { return k.show(*target) },
		needles: func() []string { return needles(target) },
	}
}

// needles are those of a setting's field, if it holds secrets.
func needles(target any) []string {
	switch s := target.(type) {
	case *Secret:
		return s.Needles()
	case *[]Secret:
		var all []string
		for _, item := range *s {
			all = append(all, item.Needles()...)
		}
		return all
	}
	return nil
}

// secretly marks a value that is never shown whole, and that may be handed in
// as a file.
func (s setting) secretly() setting {
	s.secret = true
	return s
}

const (
	envPrefix  = "TALLYMAN_"
	configEnv  = envPrefix + "CONFIG"
	configFlag = "config"
	fileSuffix = "_FILE"
)

func (s setting) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.key) }

func (s setting) env() string { return envOf(s.key) }

func envOf(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}
