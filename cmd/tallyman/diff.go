package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/audit"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
)

// diffFlags are what `tallyman diff` takes.
type diffFlags struct {
	imageFlags

	db, format, fail string
	vex              []string
}

func diffCommand() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Tell what differs between two images, layouts or SBOMs",
		Long: `Compares what A and B ship and how they were made: packages, findings, licences, sizes, base image, toolchain, signers
and how long the build took. Each is an IMAGE (host/path:tag or host/path@digest), an OCI image LAYOUT (a folder, a .tar,
or oci:PATH[:NAME]) or the FILE of an SBOM, of which only packages, licences and findings are known.

With --key or --identity papers are verified, and only verified provenance tells of a build. Findings are those of
the advisory database (--db), for both as of now; without one they are unknown.

Exit codes: 0 compared, 1 B introduces a finding at or above --fail-on-new that VEX does not suppress, 2 usage,
3 could not tell (one of them cannot be read, or the findings that --fail-on-new asks for are unknown), 78 bad configuration.`,
		Args: exactly(2, "A and B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), args[0], args[1])
		},
	}
	flags := cmd.Flags()
	f.register(flags)
	registerDatabase(flags, &f.db)
	flags.StringArrayVar(&f.vex, "vex", nil, "OpenVEX document whose statements are believed; may be given several times")
	flags.StringVar(&f.format, "format", "table", "table or json")
	flags.StringVar(&f.fail, "fail-on-new", "never", "least severity of a new finding that fails: any (unscored too), low, medium, high, critical, never")
	completeWords(cmd, "format", "table", "json")
	completeWords(cmd, "fail-on-new", thresholds()...)
	completeFiles(cmd, "db", "vex", "key", "trusted-root")
	return cmd
}

// thresholds are the words for the least severity that fails.
func thresholds() []string { return []string{"any", "low", "medium", "high", "critical", "never"} }

func (f *diffFlags) run(ctx context.Context, out io.Writer, a, b string) (err error) {
	if f.format != "table" && f.format != "json" {
		return usageError{fmt.Errorf("--format: expected table or json, found %q", f.format)}
	}
	if !slices.Contains(thresholds(), f.fail) {
		return usageError{fmt.Errorf("--fail-on-new: expected any, low, medium, high, critical or never, found %q", f.fail)}
	}
	look, err := f.looker()
	if err != nil {
		return err
	}
	look.platforms, look.lenient = true, true
	comparer := audit.Comparer{Nobody: !f.somebody(), Now: time.Now()}
	if comparer.VEX, err = readAllStatements(f.vex); err != nil {
		return err
	}
	var done func() error
	if comparer.Advisories, done, err = openAdvisories(f.db); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	sides := make([]audit.Side, 0, 2)
	for _, arg := range []string{a, b} {
		side, err := f.side(ctx, look, arg)
		if err != nil {
			return err
		}
		sides = append(sides, side)
	}
	c, err := comparer.Compare(ctx, sides[0], sides[1])
	if err != nil {
		return fmt.Errorf("%w: %w", errUndecided, err)
	}
	write := func() error { return c.WriteTable(out, comparer.Advisories, comparer.Now) }
	if f.format == "json" {
		write = func() error { return c.WriteJSON(out, comparer.Advisories) }
	}
	if err := write(); err != nil {
		return fmt.Errorf("%w: write the comparison: %w", errUndecided, err)
	}
	return f.decide(c)
}

// decide makes the exit code's error of what B introduces.
func (f *diffFlags) decide(c *audit.Comparison) error {
	if f.fail == "never" {
		return nil
	}
	if c.FindingsUnknown != "" {
		return fmt.Errorf("%w: findings: %s", errUndecided, c.FindingsUnknown)
	}
	least := advisory.Unscored
	if f.fail != "any" {
		var err error
		if least, err = advisory.ParseLevel(f.fail); err != nil {
			return usageError{fmt.Errorf("--fail-on-new: %w", err)}
		}
	}
	if worst, found := c.Worst(); found && worst >= least {
		return outcomeError{exitFail}
	}
	return nil
}

// side reads what an argument stands for.
func (f *diffFlags) side(ctx context.Context, look *looker, arg string) (audit.Side, error) {
	s := sourceOf(arg)
	side := audit.Side{Name: arg}
	switch {
	case s.err != nil:
		return side, fmt.Errorf("%w: %s: %w", errUndecided, arg, s.err)
	case s.images == nil:
		document, err := readDocument(arg)
		if err != nil {
			return side, fmt.Errorf("%w: %w", errUndecided, err)
		}
		side.Document = document
		return side, nil
	}
	images := 0
	err := look.look(ctx, *s.images, func(e sighting) (err error) {
		if images++; images > 1 {
			return fmt.Errorf("%s: expected one image, found several; oci:PATH:NAME or oci:PATH@DIGEST names one", arg)
		}
		image := audit.Image{Examination: e.Examination, Reference: arg, Tag: s.images.image.Tag, Platform: e.platform}
		if f.platform != "" {
			if image.Examination, err = audit.Narrow(e.Examination, e.platform, f.platform); err != nil {
				return err
			}
		}
		side.Image = &image
		if side.Shape, err = e.shape(ctx); err != nil {
			side.ShapeUnknown = err.Error()
		}
		if f.platform != "" {
			side.Shape.Platforms = slices.DeleteFunc(side.Shape.Platforms, func(p release.Platform) bool { return !audit.Fits(p.String(), f.platform) })
		}
		return nil
	})
	if err != nil {
		return side, fmt.Errorf("%w: %w", errUndecided, err)
	}
	return side, nil
}

// readDocument reads the file of an SBOM, as it is or unpacked.
func readDocument(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read from
	in, err := sbom.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer in.Close()
	document, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return document, nil
}
