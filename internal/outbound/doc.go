// Package outbound makes requests to the hosts that were configured, and to no
// other, whatever a redirect, a token realm, a link or a name server says.
//
// A request is held against two rules. Its host must be among those that may be
// contacted, by name: that is checked for each request, so for each redirect as
// well. And the address that the host resolves to must be a public one, unless the
// operator named that very host: that is checked when the connection is made, on
// the address that it is made to, so that a name which resolves to another address
// the second time (DNS rebinding) gains nothing.
package outbound
