// Package reproduce releases this repository into a registry on loopback, and has
// somebody else reproduce the release with `tallyman reproduce`: another user, folder,
// umask, time zone, BuildKit, and tools that he built himself. Then the release is built
// from other inputs, and each difference has to be named.
package reproduce
