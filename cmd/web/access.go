package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/access/sso"
	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/grant"
)

// newGuard makes the guard of a configuration.
func newGuard(ctx context.Context, e command.Env[config.Web], s access.Store, pages access.Pages) (*access.Guard, error) {
	c := e.Config
	anonymous, err := grant.ParseRole(c.Access.Anonymous)
	if err != nil {
		return nil, fmt.Errorf("access.anonymous: %w", err)
	}
	cfg := access.Config{
		Store: s, Pages: pages, Log: e.Log, Now: e.Now,
		Anonymous: anonymous, SessionIdle: c.Access.SessionIdle, SessionLifetime: c.Access.SessionLifetime,
		ConsoleURL: c.Console.URL, Proxies: c.TrustedProxies,
		Requests: c.Limits.Requests, FailedLogins: c.Limits.FailedLogins,
	}
	if c.OIDC.Issuer != "" {
		if cfg.Issuer, err = newIssuer(e); err != nil {
			return nil, err
		}
	}
	return access.New(ctx, cfg)
}

func newIssuer(e command.Env[config.Web]) (*sso.Issuer, error) {
	c := e.Config.OIDC
	roles := make(map[string]access.Role, len(c.Roles))
	for _, r := range c.Roles {
		role, err := grant.ParseRole(r.Role)
		if err != nil {
			return nil, fmt.Errorf("oidc.roles: %w", err)
		}
		roles[r.Value] = max(roles[r.Value], role)
	}
	return sso.New(sso.Config{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), Scopes: c.Scopes,
		Claim: c.RoleClaim, Roles: roles, Now: e.Now,
	}), nil
}

// tokenTasks is for who runs web and cannot sign in: the first token has expired, or the
// identity provider is gone.
func tokenTasks() command.Group[config.Web] {
	var role, scopes string
	var days int
	return command.Group[config.Web]{
		Name: "token", Short: "Look after tokens",
		Tasks: []command.Task[config.Web]{{
			Use: "make NAME", Short: "Make a token and write it to standard output", Args: 1,
			Long: "Make a token and write it to standard output. It needs no token itself: whoever can\n" +
				"reach the database may. That it was made is in the audit log.",
			Flags: func(f *pflag.FlagSet) {
				f.StringVar(&role, "role", access.Operator.String(), "viewer, auditor or operator")
				f.StringVar(&scopes, "scopes", grant.FormatScopes(grant.Scopes()), "what it can be used for, divided by spaces")
				f.IntVar(&days, "days", 1, "how long it holds, from 1 to 366")
			},
			Run: func(ctx context.Context, e command.Env[config.Web], c command.Call) error {
				n := access.NewToken{Name: c.Args[0], Days: days}
				var err error
				if n.Role, err = grant.ParseRole(role); err != nil {
					return fmt.Errorf("--role: %w", err)
				}
				if n.Scopes, err = grant.ParseScopes(strings.ReplaceAll(scopes, ",", " ")); err != nil {
					return fmt.Errorf("--scopes: %w", err)
				}
				return makeToken(ctx, e, c, n)
			},
		}},
	}
}

func makeToken(ctx context.Context, e command.Env[config.Web], c command.Call, n access.NewToken) (err error) {
	b, err := assemble(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	ctx = access.With(ctx, access.Principal{Name: "web token make", Role: access.Operator, Scopes: grant.Scopes(), Via: access.ViaSystem})
	secret, _, err := b.guard.MakeToken(ctx, n)
	if err != nil {
		return fmt.Errorf("make a token: %w", err)
	}
	_, err = fmt.Fprintln(c.Stdout, secret)
	return err
}
