// Package reach finds vulnerable code that images have and never run: it asks the pinned
// govulncheck (https://go.dev/doc/security/vuln) which functions that a vulnerability
// names are linked into the Go programs of an image, and which are not.
//
// What ships is stripped, and of a stripped program govulncheck takes every function to
// be there. So where a module with vulnerabilities is shipped, the same program is linked
// again from the checkout with its symbols kept, and that one is looked at: the compiler
// and its inputs are the same, which the build information of both has to confirm.
package reach

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tool"
)

// Look is what to look with.
type Look struct {
	// Tools has govulncheck and go.
	Tools tool.Box
	// Database is the URL of a Go vulnerability database
	// (https://go.dev/doc/security/vuln/database): https, or file:// of a folder.
	Database string
	// Checkout is the folder of the sources, to link stripped programs again; "" for none.
	Checkout string
}

// Vulnerability is one whose functions are in no program of an image that has its
// module.
type Vulnerability struct {
	// ID is that of the Go vulnerability database.
	ID      string
	Aliases []string
	// Modules are those that have the functions; stdlib is Go's own.
	Modules []string
}

// Found is what was found out.
type Found struct {
	// Tool is govulncheck and its version.
	Tool string
	// Unreached has the vulnerabilities by image.
	Unreached map[release.Digest][]Vulnerability
}

// Images looks through the programs of images in an OCI image layout. The error says why
// nothing is known; then nothing may be concluded.
func (l Look) Images(ctx context.Context, layoutDir string, images []release.Digest) (Found, error) {
	dir, err := os.MkdirTemp("", "tallyman-reach-*")
	if err != nil {
		return Found{}, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	found, err := l.images(ctx, layoutDir, dir, images)
	if err != nil {
		// What goes into a receipt names no folder of this machine, and is the same each time.
		said := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
		if l.Checkout != "" {
			said = strings.ReplaceAll(said, l.Checkout+string(filepath.Separator), "")
		}
		return Found{}, errors.New(said)
	}
	return found, nil
}

func (l Look) images(ctx context.Context, layoutDir, dir string, images []release.Digest) (Found, error) {
	found := Found{Unreached: make(map[release.Digest][]Vulnerability)}
	for i, digest := range images {
		programs, err := extract(layoutDir, digest, filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return Found{}, fmt.Errorf("programs of %s: %w", digest.Short(), err)
		}
		all := make(map[string]*seen)
		for _, program := range programs {
			if found.Tool, err = l.program(ctx, program, all); err != nil {
				return Found{}, fmt.Errorf("%s of %s: %w", filepath.Base(program), digest.Short(), err)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(all)) {
			if v := all[id]; !v.reached {
				found.Unreached[digest] = append(found.Unreached[digest], Vulnerability{
					ID: id, Aliases: v.aliases, Modules: slices.Sorted(maps.Keys(v.modules)),
				})
			}
		}
	}
	return found, nil
}

// seen is what the programs of an image have of a vulnerability.
type seen struct {
	aliases []string
	modules map[string]bool
	// reached: a program has one of its functions.
	reached bool
}

// program looks at one program. Where it is stripped, and has a module that matters, its
// twin is looked at.
func (l Look) program(ctx context.Context, path string, all map[string]*seen) (string, error) {
	r, err := l.govulncheck(ctx, path)
	if err != nil || len(r.findings) == 0 {
		return r.tool, err
	}
	stripped, err := isStripped(path)
	if err != nil {
		return "", err
	}
	if stripped {
		twin, err := l.twin(ctx, path)
		if err != nil {
			return "", fmt.Errorf("link it again with its symbols: %w", err)
		}
		if r, err = l.govulncheck(ctx, twin); err != nil {
			return "", err
		}
	}
	for id, f := range r.findings {
		v := all[id]
		if v == nil {
			v = &seen{modules: make(map[string]bool), aliases: r.aliases[id]}
			all[id] = v
		}
		maps.Copy(v.modules, f.modules)
		v.reached = v.reached || f.function
	}
	return r.tool, nil
}
