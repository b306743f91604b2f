package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/registry"
)

func dossierCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dossier",
		Short: "Images with all their papers in one file: create, verify, copy",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(dossierCreateCommand(), dossierVerifyCommand(), dossierCopyCommand())
	return cmd
}

// limitFlags bound what is read of a dossier.
type limitFlags struct{ limits dossier.Limits }

func (f *limitFlags) register(flags *pflag.FlagSet) {
	flags.Int64Var(&f.limits.Size, "max-size", 64<<30, "bytes that a dossier may have, uncompressed")
	flags.IntVar(&f.limits.Entries, "max-entries", 10_000, "entries that a dossier may have")
}

func (f *limitFlags) checkLimits() error {
	if f.limits.Size <= 0 || f.limits.Entries <= 0 {
		return fmt.Errorf("--max-size, --max-entries: expected more than 0, found %d and %d", f.limits.Size, f.limits.Entries)
	}
	return nil
}

// trustOf is whom to trust, and how that is told to people.
type trustOf struct {
	evidence.Trust

	// From is "flags", "dossier" or "nobody".
	From string
	Note string
}

// ownTrust warns of what follows from keys that come with what they are to prove.
const ownTrust = "The keys and identities are those in the dossier itself: whoever made it chose them. " +
	"This says that the dossier is whole and agrees with itself; it is worth no more than the dossier. " +
	"To know who signed, give --key, or --identity, --issuer and --trusted-root, from elsewhere."

// trustIn returns the trust of the flags, or else that of the dossier.
func (f *trustFlags) trustIn(file *dossier.File, m dossier.Manifest) (trustOf, error) {
	if f.given() {
		t, err := f.trust()
		if err != nil {
			return trustOf{}, configError{err}
		}
		return trustOf{t, "flags", "The keys and identities are those that were given."}, nil
	}
	t, err := file.Trust(m)
	if errors.Is(err, dossier.ErrNoTrust) {
		return trustOf{evidence.Trust{Nobody: true}, "nobody", "No key and no identity was given, and the dossier has none: no signature was verified."}, nil
	} else if err != nil {
		return trustOf{}, err
	}
	return trustOf{t, "dossier", ownTrust}, nil
}

// checkTrust demands somebody where anything is said about trust.
func (f *trustFlags) checkTrust() error {
	if f.given() && !f.somebody() {
		return errors.New("expected --key, or --identity and --issuer, with --issuer, --trusted-root or --require-log; found neither")
	}
	return nil
}

// transfers is how images and papers are fetched and sent.
func (f *trustFlags) transfers() registry.Config {
	return registry.Config{
		Hosts: furtherHosts(), HostsKey: hostsVariable, Insecure: f.insecure, UserAgent: "tallyman/" + buildinfo.Read("").Version,
	}
}

// openDossier opens and checks a file.
func openDossier(cmd *cobra.Command, path string, limits dossier.Limits) (*dossier.File, dossier.Checked, error) {
	file, err := dossier.Open(path, limits)
	if err != nil {
		return nil, dossier.Checked{}, err
	}
	progress, done := progressOn(cmd)
	defer done()
	checked, err := file.Check(cmd.Context(), progress)
	if err != nil {
		return nil, dossier.Checked{}, errors.Join(err, file.Close())
	}
	return file, checked, nil
}

// progressOn shows progress where a person looks on.
func progressOn(cmd *cobra.Command) (dossier.Progress, func()) {
	meter := command.NewMeter(cmd.ErrOrStderr(), time.Now)
	return meter.Show, meter.Clear
}

// isDossier reports whether an argument is a file that is no image layout.
func isDossier(arg string) bool {
	if _, ok := layoutTarget(arg); ok {
		return false
	}
	info, err := os.Stat(arg)
	return err == nil && !info.IsDir()
}

// size writes bytes for people.
func size(n int64) string {
	const step = 1024
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n), 0
	for value >= step && unit < len(units)-1 {
		value, unit = value/step, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d %s", n, units[0])
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
