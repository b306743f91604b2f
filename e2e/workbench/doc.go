// Package workbench sets up what a release needs on a bare machine, on
// loopback and in one folder: BuildKit, a registry, a signing key, and images
// that stand in for those that cannot be reached.
//
// Everything that it starts it ends, by process, when the bench is closed.
package workbench
