package config

import (
	"crypto/tls"
	"net/url"
	"time"
)

// settings describes what only web has.
func (w *Web) settings() []setting {
	const day = 24 * time.Hour
	return []setting{
		bind("console.url", &w.Console.URL, consoleURL(), "",
			"Where the console is seen from outside, such as https://tally.example.org, without a path. OpenID Connect needs it. "+
				"An https URL tells that a proxy in front takes TLS off."),
		bind("server.trusted_proxies", &w.TrustedProxies, networks(), "",
			"Networks of the proxies in front, whose X-Forwarded-For and X-Forwarded-Proto are believed. Nothing means that none is."),
		bind("access.anonymous", &w.Access.Anonymous, oneOf("none", "viewer"), "none",
			"What who is not signed in may do: nothing, or read what a viewer may. See access.md."),
		bind("access.bootstrap_token", &w.Access.BootstrapToken, bootstrapToken(), "",
			"Token of an operator that a new database begins with, for 24 hours. Nothing means that one is made up and shown in the log, once, "+
				"unless oidc.issuer is set. To make one: echo tally_first_$(openssl rand -hex 32).").secretly(),
		bind("access.session_idle", &w.Access.SessionIdle, duration(time.Minute, 30*day), "12h",
			"How long somebody stays signed in without using the console."),
		bind("access.session_lifetime", &w.Access.SessionLifetime, duration(time.Minute, 90*day), "168h",
			"How long somebody stays signed in at most, not shorter than access.session_idle. Then the role is asked for again."),
		bind("oidc.issuer", &w.OIDC.Issuer, issuerURL(), "",
			"Issuer of OpenID Connect that people sign in at, exactly as it calls itself. It needs oidc.client_id, oidc.roles and console.url."),
		bind("oidc.client_id", &w.OIDC.ClientID, oneLiner("id", 256), "",
			"What the issuer knows this console by. Its redirect URI is /login/oidc/callback below console.url."),
		bind("oidc.client_secret", &w.OIDC.ClientSecret, clientSecret(), "",
			"Secret shared with the issuer. Nothing means a public client, which PKCE alone protects.").secretly(),
		bind("oidc.role_claim", &w.OIDC.RoleClaim, oneLiner("claim", 256), "groups",
			"Claim that gives people roles: a string or a list of strings. Dots lead into objects, as in realm_access.roles."),
		bind("oidc.roles", &w.OIDC.Roles, claimedRoles(), "",
			"Which role a value of the claim gives. Of many the highest counts; who has none does not get in. "+
				"The items are divided by semicolons or line ends, because a value may hold commas and spaces."),
		bind("oidc.scopes", &w.OIDC.Scopes, oidcScopes(), "profile,email",
			"Scopes to ask the issuer for, beside openid. Some issuers make the claim of roles for a scope such as groups only."),
		bind("limits.requests", &w.Limits.Requests, whole(1, 100_000), "50",
			"Requests a second that each token, person or, of who is not signed in, address may make for long; twice as many at once."),
		bind("limits.failed_logins", &w.Limits.FailedLogins, whole(3, 1000), "10",
			"Failed attempts to sign in that an address may make in a minute."),
		w.Hooks.setting(),
	}
}

// setting describes how registries tell of pushes, to web or to the worker.
func (h *Hooks) setting() setting {
	return bind("hooks.secret", &h.Secret, sharedSecret(), "",
		"Secret by which registries that tell of pushes are known. Nothing means that none may. See outbound.md. To make one: openssl rand -hex 32.").secretly()
}

// check finds the mistakes that more than one setting of web makes together.
func (w *Web) check(origin func(key string) string) []Mistake {
	var mistakes []Mistake
	mistake := func(key, value, problem, expected string) {
		mistakes = append(mistakes, Mistake{Key: key, Origin: origin(key), Value: value, Problem: problem, Expected: expected})
	}
	if w.Access.SessionLifetime < w.Access.SessionIdle {
		mistake("access.session_lifetime", durationText(w.Access.SessionLifetime), "shorter than access.session_idle",
			"at least "+durationText(w.Access.SessionIdle))
	}
	if u, err := url.Parse(w.Console.URL); err == nil && u.Path != "" && u.Path != "/" {
		mistake("console.url", w.Console.URL, "a path in the URL: web is served at the root of its host", "http://host or https://host")
	}
	needs := []struct {
		key, expected string
		set           bool
	}{
		{"oidc.client_id", "the id of the client at the issuer", w.OIDC.ClientID != ""},
		{"oidc.roles", rolesForm, len(w.OIDC.Roles) > 0},
	}
	for _, n := range needs {
		switch {
		case w.OIDC.Issuer != "" && !n.set:
			mistake(n.key, "", "oidc.issuer needs it", n.expected)
		case w.OIDC.Issuer == "" && n.set:
			mistake("oidc.issuer", "", n.key+" needs it", issuerForm)
		}
	}
	if w.OIDC.Issuer != "" && w.Console.URL == "" {
		mistake("console.url", "", "oidc.issuer needs it, for the redirect URI", "https://host, or http://host")
	}
	if w.OIDC.Issuer == "" && w.OIDC.ClientSecret.Reveal() != "" {
		mistake("oidc.issuer", "", "oidc.client_secret needs it", issuerForm)
	}
	return mistakes
}

// check finds out whether certificate and key belong together.
func (t *TLS) check(origin func(key string) string) []Mistake {
	const certificate, key = "tls.certificate", "tls.key"
	switch {
	case t.Certificate.Path == "" && t.Key.Path == "":
		return nil
	case t.Certificate.Path == "":
		return []Mistake{{Key: certificate, Origin: origin(certificate), Problem: "tls.key needs it", Expected: "a file with a certificate in PEM"}}
	case t.Key.Path == "":
		return []Mistake{{Key: key, Origin: origin(key), Problem: "tls.certificate needs it", Expected: "a file with the private key in PEM"}}
	}
	if _, err := tls.X509KeyPair(t.Certificate.Content, t.Key.Content); err != nil {
		return []Mistake{{
			Key: key, Origin: origin(key), Value: t.Key.Path, Problem: "it does not belong to tls.certificate, or cannot be read: " + err.Error(),
			Expected: "the private key of the first certificate in " + t.Certificate.Path,
		}}
	}
	return nil
}
