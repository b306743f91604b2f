package access

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/grant"
)

// bootstrapLife is how long there is to make other tokens with the first one.
const bootstrapLife = 24 * time.Hour

const bootstrapName = "first token"

// Bootstrap makes the token that a new database begins with, when there never was one: of
// an operator, for a day. Of many processes that start at once, one makes it.
//
// A token that is handed in, from access.bootstrap_token, is taken as it is. Without one,
// and without another way to sign in, a token is made up and shown in the log, once.
func (g *Guard) Bootstrap(ctx context.Context, given string) error {
	now := g.cfg.Now()
	secret, id, shown := given, "", false
	switch {
	case given != "":
		var ok bool
		if id, ok = g.parser.id(given); !ok {
			return fmt.Errorf("make the first token: access.bootstrap_token is not of the form %s", tokenForm)
		}
	case g.cfg.Issuer != nil:
		return nil
	default:
		var err error
		if secret, id, err = newToken(g.cfg.Random); err != nil {
			return err
		}
		shown = true
	}
	if shown && g.cfg.Log.GetLevel() > zerolog.WarnLevel {
		g.cfg.Log.Error().Msg("no first token is made, because log.level hides it: set log.level to warn, or access.bootstrap_token")
		return nil
	}
	t := grant.Token{
		ID: id, Hash: hashOf(secret), Name: bootstrapName, Role: Operator, Scopes: grant.Scopes(), MadeBy: string(ViaSystem),
		Made: now, Expires: now.Add(bootstrapLife),
	}
	e := grant.Entry{
		At: now, Actor: string(ViaSystem), Via: string(ViaSystem), Action: grant.ActionBootstrap, Subject: id,
		Detail: "operator until " + t.Expires.Format(time.RFC3339),
	}
	made, err := g.cfg.Store.MakeFirstToken(ctx, t, e)
	if err != nil || !made {
		return err
	}
	if shown {
		g.cfg.Log.Warn().Str("token", secret).Time("until", t.Expires).
			Msg("nobody can sign in yet: sign in at /login with this token and make others at /settings/tokens; it is shown this once")
		return nil
	}
	g.cfg.Log.Info().Str("id", id).Time("until", t.Expires).Msg("first token taken from access.bootstrap_token")
	return nil
}
