package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/roff"
)

// shareCommand is the step that makes what an installed command has beside itself.
func shareCommand() *cobra.Command {
	var output, created, version string
	cmd := &cobra.Command{
		Use:   "share",
		Short: "Write the manual pages and shell completions of this command, as they lie in /usr/share",
		Long: `Writes below --output what archives and packages carry beside the command:

  man/man1/*.1.gz                         a manual page for each command
  bash-completion/completions/tallyman    completions for bash,
  zsh/site-functions/_tallyman            zsh
  fish/vendor_completions.d/tallyman.fish and fish

The same command, version and time give the same bytes.`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := time.Parse(time.RFC3339, created)
			if err != nil {
				return usageError{fmt.Errorf("--created %q: expected RFC 3339: %w", created, err)}
			}
			if output == "" || version == "" {
				return usageError{errors.New("expected --output and --version")}
			}
			return writeShare(cmd.Root(), output, version, at)
		},
	}
	cmd.Flags().StringVar(&output, "output", "", "folder to write into")
	cmd.Flags().StringVar(&created, "created", "", "time that the pages state, RFC 3339")
	cmd.Flags().StringVar(&version, "version", "", "version that the pages state")
	return cmd
}

func writeShare(root *cobra.Command, dir, version string, at time.Time) error {
	completions := []struct {
		file  string
		write func(io.Writer) error
	}{
		{"bash-completion/completions/" + root.Name(), func(w io.Writer) error { return root.GenBashCompletionV2(w, true) }},
		{"zsh/site-functions/_" + root.Name(), root.GenZshCompletion},
		{"fish/vendor_completions.d/" + root.Name() + ".fish", func(w io.Writer) error { return root.GenFishCompletion(w, true) }},
	}
	for _, c := range completions {
		if err := writeShared(dir, c.file, c.write); err != nil {
			return err
		}
	}
	return eachDocumented(root, func(cmd *cobra.Command) error {
		page := manualPage(cmd, root.Name()+" "+version, at)
		return writeShared(dir, "man/man1/"+page.Name+".1.gz", func(w io.Writer) error {
			packed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
			if err != nil {
				return err
			}
			return errors.Join(page.Write(packed), packed.Close())
		})
	})
}

func writeShared(dir, file string, write func(io.Writer) error) error {
	var content bytes.Buffer
	if err := write(&content); err != nil {
		return fmt.Errorf("make %s: %w", file, err)
	}
	path := filepath.Join(dir, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // for everybody to read
		return err
	}
	return os.WriteFile(path, content.Bytes(), 0o644) //nolint:gosec // for everybody to read
}

// eachDocumented visits a command and those below it that a user is told of.
func eachDocumented(cmd *cobra.Command, visit func(*cobra.Command) error) error {
	if err := visit(cmd); err != nil {
		return err
	}
	for _, sub := range documented(cmd) {
		if err := eachDocumented(sub, visit); err != nil {
			return err
		}
	}
	return nil
}

func documented(cmd *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(cmd.Commands()), func(sub *cobra.Command) bool {
		return !sub.IsAvailableCommand() || sub.Name() == "help"
	})
}

// pageName is what man(1) finds a command by: git-commit for `git commit`.
func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// exitCodes begins the paragraph of a command's text that tells them.
const exitCodes = "Exit codes:"

func manualPage(cmd *cobra.Command, source string, at time.Time) *roff.Page {
	cmd.InitDefaultHelpFlag()
	description, exits := cmd.Long, ""
	if description == "" {
		description = cmd.Short + "."
	}
	if before, after, found := strings.Cut(description, exitCodes); found {
		description, exits = before, strings.TrimSpace(after)
	}
	commands := roff.Section{Title: "COMMANDS"}
	related := roff.Section{Title: "SEE ALSO"}
	if cmd.HasParent() {
		related.References = append(related.References, pageName(cmd.Parent()))
	}
	for _, sub := range documented(cmd) {
		commands.Items = append(commands.Items, roff.Item{Term: sub.Name(), Text: sub.Short})
		related.References = append(related.References, pageName(sub))
	}
	synopsis := []string{cmd.UseLine()}
	if cmd.HasAvailableSubCommands() {
		synopsis = []string{cmd.CommandPath() + " COMMAND [flags]"}
	}
	return &roff.Page{
		Name: pageName(cmd), Summary: cmd.Short, Source: source, Manual: "Tallyman", Date: at, Synopsis: synopsis,
		Sections: []roff.Section{
			{Title: "DESCRIPTION", Text: description}, commands, {Title: "OPTIONS", Items: options(cmd)}, {Title: "EXIT STATUS", Text: exits}, related,
		},
	}
}

// options are the flags of a command, with those that it has from the ones above.
func options(cmd *cobra.Command) []roff.Item {
	var items []roff.Item
	for _, flags := range []*pflag.FlagSet{cmd.LocalFlags(), cmd.InheritedFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Deprecated != "" {
				return
			}
			term := "--" + f.Name
			if f.Shorthand != "" {
				term = "-" + f.Shorthand + ", " + term
			}
			argument, usage := pflag.UnquoteUsage(f)
			if f.NoOptDefVal != "" {
				argument = ""
			}
			if !slices.Contains([]string{"", "false", "0", "0s", "[]"}, f.DefValue) {
				usage += " (default " + f.DefValue + ")"
			}
			items = append(items, roff.Item{Term: term, Argument: argument, Text: usage})
		})
	}
	return items
}
