package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/gate"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// gatePolicyVariable names the file of the policy when --policy does not.
	gatePolicyVariable = "TALLYMAN_GATE_POLICY"
	// waiversFolder is where a checkout keeps its waivers.
	waiversFolder = ".vex"
	// builtLayout is where `tallyman release rehearse` leaves the images.
	builtLayout = "rehearsal/layout"
)

// gateFlags are what `tallyman gate` takes.
type gateFlags struct {
	waiverFlags
	reachFlags

	sboms, out, version, policy, db, format string
	reportOnly                              bool
}

func gateCommand() *cobra.Command {
	var f gateFlags
	cmd := &cobra.Command{
		Use:   "gate [LAYOUT]",
		Short: "Decide whether images that were just built may be published, and write the gate receipt",
		Long: `Counts what the advisory database says of the SBOMs of the images in an OCI image LAYOUT (default ` + builtLayout + `
of the checkout), before and after VEX, asks the policy, and writes into --out for each image what the release attests:
sha256-HEX.vsa.json, the receipt (SLSA verification summary), and sha256-HEX.openvex.json where something is suppressed.

Statements are believed of the files in ` + waiversFolder + `/ of the checkout, or of --vex: OpenVEX documents (.json), or waivers
(.yaml). Each that suppresses a finding needs a reason and an end; one that expired fails the gate.

Exit codes: 0 may be published, 1 may not, 2 usage, 3 could not tell (no advisory data, or too old; an SBOM that cannot
be read; packages that could not be judged), 78 policy, waivers or environment are not usable.`,
		Args: atMostOne("LAYOUT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.sboms, "sboms", "", "folder of sha256-HEX.spdx.json and .cdx.json of each platform (default sbom beside LAYOUT)")
	flags.StringVar(&f.out, "out", "", "folder to write receipts to (default gate beside LAYOUT)")
	flags.StringVar(&f.version, "version", "", "semantic version that the images will be released as")
	flags.StringVar(&f.policy, "policy", "", "file of the policy, or built-in (default $"+gatePolicyVariable+", or built-in)")
	registerDatabase(flags, &f.db)
	f.waiverFlags.register(flags)
	f.reachFlags.register(flags)
	flags.BoolVar(&f.reportOnly, "report-only", false, "what does not pass, or is not known, is told and is no failure: for snapshots")
	flags.StringVar(&f.format, "format", "table", "table or json")
	completeWords(cmd, "format", "table", "json")
	completeFiles(cmd, "policy", "db", "vex", "vex-key")
	return cmd
}

func (f *gateFlags) run(ctx context.Context, stdout, stderr io.Writer, args []string) (err error) {
	if f.format != "table" && f.format != "json" {
		return usageError{fmt.Errorf("--format: expected table or json, found %q", f.format)}
	}
	root, err := checkout()
	if err != nil {
		root = "" // any layout can be judged anywhere
	}
	path := filepath.Join(root, filepath.FromSlash(builtLayout))
	if len(args) > 0 {
		path = args[0]
	}
	f.sboms = orDefault(f.sboms, filepath.Join(filepath.Dir(path), "sbom"))
	f.out = orDefault(f.out, filepath.Join(filepath.Dir(path), "gate"))
	built, err := readBuilt(ctx, path, f.sboms, f.version)
	if err != nil {
		return fmt.Errorf("%w; `tallyman release rehearse` builds the images", err)
	}
	g := &gate.Gate{Now: time.Now(), Stated: built.created}
	if err := f.prepare(ctx, g, root); err != nil {
		return err
	}
	var done func() error
	if g.Advisories, done, err = openAdvisories(f.db); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if g.Reachability, err = f.reach(ctx, root, path, built.images); err != nil {
		return err
	}
	decisions := make([]*gate.Decision, 0, len(built.images))
	for _, image := range built.images {
		d, err := g.Judge(ctx, image)
		if err != nil {
			return err
		}
		decisions = append(decisions, d)
	}
	return errors.Join(f.write(decisions), f.tell(stdout, stderr, decisions))
}

// prepare reads the policy and the waivers.
func (f *gateFlags) prepare(ctx context.Context, g *gate.Gate, root string) (err error) {
	if g.Policy, g.PolicyURI, err = gatePolicy(f.policy, root); err != nil {
		return err
	}
	if g.Waivers, err = f.waivers(ctx, root, g.Stated); err != nil {
		return err
	}
	g.Versions, g.Tool, err = thisProgram()
	return err
}

// gatePolicy returns the policy and where it can be read.
func gatePolicy(file, root string) (*policy.Policy, string, error) {
	if file == "" {
		file = os.Getenv(gatePolicyVariable)
	}
	if file == "" || file == builtIn {
		p, err := gate.DefaultPolicy()
		return p, gate.DefaultPolicyURI, err
	}
	text, err := os.ReadFile(file) //nolint:gosec // a file that whoever releases named
	if err != nil {
		return nil, "", configError{fmt.Errorf("--policy: %w; expected a file, or built-in", err)}
	}
	p, err := policy.Parse(file, text)
	if err != nil {
		return nil, "", configError{fmt.Errorf("--policy: %w", err)}
	}
	return p, "file:" + nameIn(root, file), nil
}

// write leaves what the release attests.
func (f *gateFlags) write(decisions []*gate.Decision) error {
	if err := os.MkdirAll(f.out, 0o755); err != nil { //nolint:gosec // public documents
		return fmt.Errorf("write receipts: %w", err)
	}
	for _, d := range decisions {
		receipt, err := json.MarshalIndent(d.Receipt, "", "  ")
		if err != nil {
			return fmt.Errorf("write receipts: %w", err)
		}
		statements, err := d.OpenVEX()
		if err != nil {
			return fmt.Errorf("write receipts: %w", err)
		}
		base := filepath.Join(f.out, strings.Replace(string(d.Image.Digest), ":", "-", 1))
		if err := replaceFile(base+".vsa.json", append(receipt, '\n')); err != nil {
			return fmt.Errorf("write receipts: %w", err)
		}
		if statements == nil {
			err = os.Remove(base + ".openvex.json")
			if errors.Is(err, os.ErrNotExist) {
				err = nil
			}
		} else {
			err = replaceFile(base+".openvex.json", append(statements, '\n'))
		}
		if err != nil {
			return fmt.Errorf("write receipts: %w", err)
		}
	}
	return nil
}

// tell reports, and makes the exit code's error of the outcome.
func (f *gateFlags) tell(stdout, stderr io.Writer, decisions []*gate.Decision) error {
	write := gate.WriteTable
	if f.format == "json" {
		write = gate.WriteJSON
	}
	if err := write(stdout, decisions); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	outcome := gate.Outcome(decisions)
	if outcome == release.ResultPass {
		return nil
	}
	for _, d := range decisions {
		if d.Receipt.Advisories == nil {
			//nolint:errcheck // nowhere left to say so
			fmt.Fprintf(stderr, "gate: set %s (or --db) to an advisory database: `tallyman db update` fetches one, `tallyman db import DIR` makes one of files\n", databaseVariable)
			break
		}
	}
	if f.reportOnly {
		fmt.Fprintf(stderr, "gate: the outcome is %s; a release would stop here\n", outcome) //nolint:errcheck // nowhere left to say so
		return nil
	}
	if outcome == release.ResultFail {
		return outcomeError{exitFail}
	}
	return outcomeError{exitUnknown}
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
