package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/pipeline"
	"github.com/tallyman-io/tallyman/internal/rebuild"
)

// Exit codes; they never change.
const (
	exitPass    = 0
	exitFail    = 1  // the answer is no: a digest differs, a version is taken, a paper does not verify
	exitUsage   = 2  // the command line is wrong
	exitUnknown = 3  // could not tell: the registry, a tool or a file did not answer
	exitConfig  = 78 // EX_CONFIG of sysexits.h: the environment lacks or contradicts something
)

// usageError marks a mistake on the command line.
type usageError struct{ error }

// configError marks a mistake in the environment, or trust that is not usable.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand() //nolint:contextcheck // cobra hands ctx to the command that it runs
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitPass
	}
	var outcome outcomeError
	if errors.As(err, &outcome) {
		return outcome.code
	}
	fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err) //nolint:errcheck // nowhere left to say so
	return exitCode(err)
}

func exitCode(err error) int {
	var usage usageError
	var config configError
	switch {
	case errors.As(err, &usage), errors.Is(err, pipeline.ErrVersion):
		return exitUsage
	case errors.As(err, &config), errors.Is(err, cosign.ErrNoIdentity):
		return exitConfig
	case errors.Is(err, pipeline.ErrRefused), errors.Is(err, errNotVerified), errors.Is(err, rebuild.ErrMismatch),
		errors.Is(err, dossier.ErrDamaged), errors.Is(err, dossier.ErrRefused):
		return exitFail
	default:
		return exitUnknown
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "tallyman",
		Short:         "Ships container images with their papers, and checks the papers of those shipped",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(versionCommand(), scanCommand(), verifyPapersCommand(), diffCommand(), releasesCommand(), printSBOMCommand(),
		gateCommand(), reproduceCommand(), dbCommand(), dossierCommand(), releaseCommand())
	return root
}

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version, commit, commit time, Go and platform",
		Args:  exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			info := buildinfo.Read("")
			if asJSON {
				return info.WriteJSON(cmd.OutOrStdout())
			}
			return info.WriteText(cmd.OutOrStdout(), "tallyman")
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// knownCommand refuses a word that is no subcommand.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q; %s --help lists them", args[0], cmd.CommandPath())}
	}
	return nil
}

// exactly demands n arguments, and says what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("expected %d arguments %s, found %d", n, what, len(args))}
		}
		return nil
	}
}

// atMostOne allows one argument, and says what it is.
func atMostOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{fmt.Errorf("expected at most one %s, found %d", what, len(args))}
		}
		return nil
	}
}

// atLeastOne demands an argument, and says what it is.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError{fmt.Errorf("expected at least one %s, found none", what)}
		}
		return nil
	}
}
