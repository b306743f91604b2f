package config

// foreign are the keys that the other program has and this one has not, for a better
// hint at a misplaced key. They are listed, because a program that described the settings
// of the other would carry all that understands them.
func foreign(program string) (owner string, keys []string) {
	if program == "web" {
		return "worker", workerKeys()
	}
	return "web", webKeys()
}

func workerKeys() []string {
	return []string{
		"repositories", "registry.insecure", "registry.hosts", "registry.concurrency", "registry.timeout",
		"discover.interval", "hooks.secret", "worker.concurrency", "worker.lease", "trust.keys", "trust.identities",
		"trust.root", "trust.require_log", "evidence.interval", "advisories.source", "advisories.ecosystems",
		"advisories.interval", "policy.file", "policy.max_age", "vex.files", "notify.webhooks", "notify.slack",
		"notify.secret", "notify.allow_private", "console.url",
	}
}

func webKeys() []string {
	return []string{
		"console.url", "server.trusted_proxies", "access.anonymous", "access.bootstrap_token", "access.session_idle",
		"access.session_lifetime", "oidc.issuer", "oidc.client_id", "oidc.client_secret", "oidc.role_claim",
		"oidc.roles", "oidc.scopes", "limits.requests", "limits.failed_logins", "hooks.secret",
	}
}
