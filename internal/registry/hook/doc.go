// Package hook lets registries tell of what was pushed, so that a repository is
// looked at right away and not only when its time has come.
//
// What a message says is a hint and no more: of the repositories that it names
// those that are configured are looked at, and what they hold is read from the
// registry. It is taken only from those who know the shared secret. The forms are
// those of CNCF Distribution, Harbor, Quay, GitHub Packages and Docker Hub.
package hook
