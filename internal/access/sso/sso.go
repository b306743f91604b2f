// Package sso signs people in with OpenID Connect: the authorization code flow (OpenID
// Connect Core 1.0, section 3.1) with PKCE (RFC 7636). Who somebody may be follows from
// a claim that the issuer makes.
//
// The issuer is asked for its endpoints when the first person signs in, so that web
// starts, and serves those who are signed in, while the issuer is down.
package sso

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tallyman-io/tallyman/internal/access"
)

// Config says who the issuer is, and what its claims mean.
type Config struct {
	// Issuer is its URL, exactly as it calls itself.
	Issuer       string
	ClientID     string
	ClientSecret string // "" for a public client
	// Scopes are asked for beside openid.
	Scopes []string
	// Claim names the claim that gives roles: a string, or a list of strings. Dots lead
	// into objects, unless a claim has the whole name.
	Claim string
	// Roles are by the values of the claim. Of many, the highest counts.
	Roles map[string]access.Role
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

const (
	// timeout bounds one request to the issuer.
	timeout = 5 * time.Second
	// pause is how long an issuer that could not be reached is left alone.
	pause = 2 * time.Second
	// bodyLimit bounds one answer of the issuer.
	bodyLimit = 1 << 20
)

// Issuer is an [access.Issuer]. It is safe for concurrent use.
type Issuer struct {
	cfg      Config
	client   *http.Client
	provider atomic.Pointer[oidc.Provider]
	// turn is taken by who asks for the endpoints, and guards what comes after it.
	turn   chan struct{}
	failed time.Time // zero when the issuer was never asked in vain
	why    error
}

// New returns the issuer of a configuration. It contacts nobody.
func New(cfg Config) *Issuer {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Issuer{cfg: cfg, turn: make(chan struct{}, 1), client: &http.Client{
		Timeout: timeout,
		Transport: limited{&http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: 4, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: timeout, ForceAttemptHTTP2: true,
		}},
		// None of the endpoints moves, and none may lead elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Begin returns where to send a browser.
func (i *Issuer) Begin(ctx context.Context, redirect string, a access.Attempt) (string, error) {
	provider, err := i.discover(ctx)
	if err != nil {
		return "", err
	}
	return i.oauth(provider, redirect).AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// Finish exchanges the code that a browser brought back, and returns who it is.
func (i *Issuer) Finish(ctx context.Context, redirect, code string, a access.Attempt) (access.Person, error) {
	provider, err := i.discover(ctx)
	if err != nil {
		return access.Person{}, err
	}
	ctx = oidc.ClientContext(ctx, i.client)
	tokens, err := i.oauth(provider, redirect).Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return access.Person{}, exchangeError(err)
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return access.Person{}, errors.New("exchange the code: the issuer sent no ID token")
	}
	id, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: i.cfg.ClientID, Now: i.cfg.Now}).Verify(ctx, raw)
	if err != nil {
		return access.Person{}, &access.RefusedError{Why: "The ID token of the identity provider does not hold: " + err.Error()}
	}
	if id.Subject == "" { // whoever has none would be everybody else who has none
		return access.Person{}, errors.New("read the ID token: the issuer says no subject")
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return access.Person{}, &access.RefusedError{Why: "The ID token of the identity provider belongs to another attempt."}
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return access.Person{}, fmt.Errorf("read the ID token: %w", err)
	}
	if values(claims, i.cfg.Claim) == nil {
		// Many issuers tell more there than in the ID token.
		if err := i.more(ctx, provider, tokens, id, claims); err != nil {
			return access.Person{}, err
		}
	}
	return i.person(id.Subject, claims)
}

// exchangeError tells a code that does not hold from an issuer that cannot be used.
func exchangeError(err error) error {
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && answer.ErrorCode == "invalid_grant" {
		return &access.RefusedError{Why: "The identity provider does not accept its own code any more. Try again."}
	}
	return fmt.Errorf("exchange the code: %w", err)
}

// more adds the claims of the user info endpoint that the ID token does not make
// (OpenID Connect Core 1.0, section 5.3).
func (i *Issuer) more(ctx context.Context, provider *oidc.Provider, tokens *oauth2.Token, id *oidc.IDToken, claims map[string]any) error {
	if provider.UserInfoEndpoint() == "" {
		return nil
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(tokens.AccessToken); err != nil {
			return fmt.Errorf("verify the access token: %w", err)
		}
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return fmt.Errorf("ask who it is: %w", err)
	}
	if info.Subject != id.Subject {
		return fmt.Errorf("ask who it is: expected subject %q, found %q", id.Subject, info.Subject)
	}
	var all map[string]any
	if err := info.Claims(&all); err != nil {
		return fmt.Errorf("read who it is: %w", err)
	}
	for name, value := range all {
		if _, ok := claims[name]; !ok {
			claims[name] = value
		}
	}
	return nil
}

// discover asks the issuer for its endpoints, until it has answered once. One asks at a
// time, and those who wait take the answer, or the lack of it: an issuer that hangs is not
// asked by everybody who wants to sign in.
func (i *Issuer) discover(ctx context.Context) (*oidc.Provider, error) {
	if p := i.provider.Load(); p != nil {
		return p, nil
	}
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("ask issuer %s for its endpoints: %w", i.cfg.Issuer, context.Cause(ctx))
	}
	if p := i.provider.Load(); p != nil {
		return p, nil
	}
	if !i.failed.IsZero() && i.cfg.Now().Sub(i.failed) < pause {
		return nil, i.why
	}
	p, err := i.ask(ctx)
	if err != nil {
		if ctx.Err() == nil { // else it was the browser that went away
			i.failed, i.why = i.cfg.Now(), err
		}
		return nil, err
	}
	i.provider.Store(p)
	return p, nil
}

func (i *Issuer) ask(ctx context.Context) (*oidc.Provider, error) {
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("ask issuer %s for its endpoints: %w", i.cfg.Issuer, err)
	}
	var more struct {
		Keys string `json:"jwks_uri"`
	}
	if err := p.Claims(&more); err != nil {
		return nil, fmt.Errorf("read the endpoints of issuer %s: %w", i.cfg.Issuer, err)
	}
	for _, endpoint := range []string{p.Endpoint().AuthURL, p.Endpoint().TokenURL, p.UserInfoEndpoint(), more.Keys} {
		if err := i.asSafe(endpoint); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// asSafe refuses an endpoint that is spoken to in the clear when the issuer is not.
func (i *Issuer) asSafe(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || endpoint != "" && u.Scheme != "https" && strings.HasPrefix(i.cfg.Issuer, "https:") {
		return fmt.Errorf("endpoints of issuer %s: expected https URLs, found %q", i.cfg.Issuer, endpoint)
	}
	return nil
}

func (i *Issuer) oauth(p *oidc.Provider, redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: i.cfg.ClientID, ClientSecret: i.cfg.ClientSecret, Endpoint: p.Endpoint(), RedirectURL: redirect,
		Scopes: append([]string{oidc.ScopeOpenID}, i.cfg.Scopes...),
	}
}
