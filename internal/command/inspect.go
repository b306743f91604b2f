package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/service"
)

// config groups the commands that look at the configuration and run nothing.
func (p Program[T]) config(proc Process) *cobra.Command {
	c := group("config", "Look at the configuration")
	p.Settings.AddFlags(c.PersistentFlags())
	c.AddCommand(p.configCheck(proc), p.configPrint(proc), p.configSchema(proc))
	return c
}

func (p Program[T]) configCheck(proc Process) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "List every mistake in the configuration", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := p.load(c, proc); err != nil {
				return err
			}
			return write(proc.Stdout, []byte("the configuration has no mistakes\n"))
		},
	}
}

func (p Program[T]) configPrint(proc Process) *cobra.Command {
	encoders := map[string]func([]config.Value) ([]byte, error){"yaml": config.PrintYAML, "json": config.PrintJSON}
	c := &cobra.Command{
		Use: "print", Short: "Show every setting, redacted, and where it was set", Args: cobra.NoArgs,
	}
	format := c.Flags().String("format", "yaml", "`form` of the output: yaml or json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		encode, ok := encoders[*format]
		if !ok {
			return fmt.Errorf("--format: expected yaml or json, found %q", *format)
		}
		loaded, err := p.load(c, proc)
		if err != nil {
			return err
		}
		b, err := encode(loaded.Values)
		if err != nil {
			return failed{err: err}
		}
		return write(proc.Stdout, b)
	}
	return c
}

func (p Program[T]) configSchema(proc Process) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Write the JSON Schema of the configuration file", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := p.Settings.Schema()
			if err != nil {
				return failed{err: err}
			}
			return write(proc.Stdout, b)
		},
	}
}

// healthcheck exits with 0 or 1 and nothing else when its usage is right, as
// the HEALTHCHECK of a Dockerfile wants it.
func (p Program[T]) healthcheck(proc Process) *cobra.Command {
	c := &cobra.Command{
		Use: "healthcheck", Short: "Ask the service on this machine whether it is ready", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			loaded, err := p.load(c, proc)
			if err != nil {
				return failed{err: errors.New("the configuration has mistakes\n" + err.Error())}
			}
			shared := loaded.Config.Shared()
			if err := service.CheckHealth(c.Context(), shared.Listen, shared.TLS.Certificate.Path != ""); err != nil {
				return failed{err: err}
			}
			return write(proc.Stdout, []byte("ready\n"))
		},
	}
	p.Settings.AddFlags(c.Flags())
	return c
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// version needs no configuration, so that it works on a broken one: it takes
// the image digest straight from the environment, and leaves out a bad one.
func (p Program[T]) version(proc Process) *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Show which build this is", Args: cobra.NoArgs}
	asJSON := c.Flags().Bool("json", false, "as JSON")
	c.RunE = func(*cobra.Command, []string) error {
		var digest string
		for _, pair := range proc.Environ {
			if v, ok := strings.CutPrefix(pair, "TALLYMAN_IMAGE_DIGEST="); ok && digestForm.MatchString(v) {
				digest = v
			}
		}
		var b bytes.Buffer
		show := func() error { return buildinfo.Read(digest).WriteText(&b, p.Name) }
		if *asJSON {
			show = func() error { return buildinfo.Read(digest).WriteJSON(&b) }
		}
		if err := show(); err != nil {
			return failed{err: err}
		}
		return write(proc.Stdout, b.Bytes())
	}
	return c
}

func write(w io.Writer, b []byte) error {
	if _, err := w.Write(b); err != nil {
		return failed{err: fmt.Errorf("write output: %w", err)}
	}
	return nil
}
