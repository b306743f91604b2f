// Package atom writes Atom feeds (RFC 4287): the small part of the format that a
// feed of releases or findings needs.
//
// Text may come from anybody. It is written as plain text, escaped, and without the
// characters that XML 1.0 forbids, since one of them would make the whole feed
// unreadable. Ids are what readers know entries by for ever, so that only tag: and
// urn: URIs are taken, which do not change with the address of the server.
package atom
