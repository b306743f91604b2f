package main

import (
	"context"
	"os"

	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/gate"
	"github.com/tallyman-io/tallyman/internal/reach"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// vulndbVariable names the database of vulnerable functions when --vulndb does not.
	vulndbVariable = "TALLYMAN_GATE_VULNDB"
	// goVulndb is that of the Go project.
	goVulndb = "https://vuln.go.dev"
	// noVulndb is what --vulndb says in place of one.
	noVulndb = "off"
)

// reachFlags say whether to look for vulnerable code that is never run.
type reachFlags struct{ vulndb string }

func (f *reachFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.vulndb, "vulndb", "", "Go vulnerability database (https:// or file://) to find code with that is never run, or off (default $"+vulndbVariable+", or "+goVulndb+")")
}

// reach looks through the programs of the images. That it could not be done is no error:
// then everything counts, and the report and the receipt say why.
func (f *reachFlags) reach(ctx context.Context, root, path string, images []gate.Image) (*gate.Reachability, error) {
	database := orDefault(f.vulndb, orDefault(os.Getenv(vulndbVariable), goVulndb))
	if database == noVulndb {
		return &gate.Reachability{Skipped: "turned off (--vulndb, $" + vulndbVariable + ")"}, nil
	}
	digests := make([]release.Digest, len(images))
	for i := range images {
		digests[i] = images[i].Digest
	}
	look := reach.Look{Tools: toolsOf(root), Database: database, Checkout: root}
	found, err := look.Images(ctx, path, digests)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := &gate.Reachability{Database: database, Of: make(map[release.Digest][]gate.Unreachable)}
	if err != nil {
		r.Skipped = err.Error()
		return r, nil
	}
	r.Tool = found.Tool
	for digest, all := range found.Unreached {
		for _, v := range all {
			r.Of[digest] = append(r.Of[digest], gate.Unreachable(v))
		}
	}
	return r, nil
}
