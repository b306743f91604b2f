// Package login signs people in to the real web at a real issuer of OpenID Connect, the
// example server of zitadel/oidc, both on loopback: what a browser would do is done by
// hand, so that it can also be done wrong.
//
// It is a module of its own because of what the issuer depends on.
package login
