package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/pipeline"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/sbom"
	"github.com/tallyman-io/tallyman/internal/tool"
)

// requestTimeout bounds one request of the pipeline to the registry.
const requestTimeout = 2 * time.Minute

// releaseCommand is the steps that .goreleaser.yaml calls; docs/release.md
// tells their order.
func releaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release",
		Short: "The steps of a release that GoReleaser calls (docs/release.md)",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(checkCommand(), rehearseCommand(), clockCommand(), sealCommand(), promoteCommand(),
		verifyCommand(), sbomCommand(), signCommand(), shareCommand(), imagesCommand())
	return cmd
}

// newPipeline wires the pipeline for the checkout.
func newPipeline(cmd *cobra.Command) (*pipeline.Pipeline, error) {
	root, err := checkout()
	if err != nil {
		return nil, err
	}
	publisher := registry.NewPublisher(registry.Config{
		Hosts:     furtherHosts(),
		HostsKey:  hostsVariable,
		Timeout:   requestTimeout,
		UserAgent: "tallyman/" + buildinfo.Read("").Version,
	})
	return &pipeline.Pipeline{
		Root:     root,
		Tools:    tool.Box{Dir: filepath.Join(root, ".tools", "bin")},
		Registry: publisher,
		Identity: cosign.IdentityFromEnv(os.Getenv),
		Getenv:   os.Getenv,
		Now:      time.Now,
		Out:      cmd.OutOrStdout(),
	}, nil
}

// hostsVariable names the hosts that registries may send this program to, beside
// themselves and the companions that are built in (docs/outbound.md).
const hostsVariable = "TALLYMAN_REGISTRY_HOSTS"

func furtherHosts() []string {
	return strings.FieldsFunc(os.Getenv(hostsVariable), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// checkout is the folder at or above the working directory that has the
// pipeline's file: GoReleaser runs some commands in its dist folder.
func checkout() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".goreleaser.yaml")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the checkout: no .goreleaser.yaml in %s or above", wd)
		}
	}
}

// stepFlags are the flags that tell a step which release it is part of.
type stepFlags struct{ version, commit, source string }

func (f *stepFlags) add(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		switch name {
		case "version":
			cmd.Flags().StringVar(&f.version, name, "", "semantic version of the release")
		case "commit":
			cmd.Flags().StringVar(&f.commit, name, "", "git commit of the release, 40 hex digits")
		case "source":
			cmd.Flags().StringVar(&f.source, name, "", "https URL of the source repository")
		}
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range names {
			if cmd.Flag(name).Value.String() == "" {
				return usageError{fmt.Errorf("--%s is missing: expected the %s", name, cmd.Flag(name).Usage)}
			}
		}
		return nil
	}
}

// imageStep is a step that takes images as arguments.
func imageStep(use, short string, args cobra.PositionalArgs, step func(*cobra.Command, *pipeline.Pipeline, []pipeline.Image) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		images := make([]pipeline.Image, 0, len(args))
		for _, arg := range args {
			img, err := pipeline.ParseImage(arg)
			if err != nil {
				return usageError{err}
			}
			images = append(images, img)
		}
		p, err := newPipeline(cmd)
		if err != nil {
			return err
		}
		return step(cmd, p, images)
	}}
}

func checkCommand() *cobra.Command {
	var f stepFlags
	cmd := imageStep("check IMAGE…", "Refuse a release that could not end well, before anything is built",
		atLeastOne("IMAGE"), func(cmd *cobra.Command, p *pipeline.Pipeline, images []pipeline.Image) error {
			return p.Check(cmd.Context(), f.version, f.commit, images)
		})
	f.add(cmd, "version", "commit")
	return cmd
}

func rehearseCommand() *cobra.Command {
	var f stepFlags
	cmd := &cobra.Command{
		Use:   "rehearse",
		Short: "Build the images without publishing them; the release must give the same digests",
		Args:  exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := newPipeline(cmd)
			if err != nil {
				return err
			}
			return p.Rehearse(cmd.Context(), f.version)
		},
	}
	f.add(cmd, "version")
	return cmd
}

func clockCommand() *cobra.Command {
	return imageStep("clock IMAGE", "Note that the build of an image starts now", exactly(1, "IMAGE"),
		func(_ *cobra.Command, p *pipeline.Pipeline, images []pipeline.Image) error {
			return p.Clock(images[0])
		})
}

func sealCommand() *cobra.Command {
	var f stepFlags
	cmd := imageStep("seal IMAGE@DIGEST", "Sign and attest a pushed image that has the rehearsed digest", exactly(1, "IMAGE@DIGEST"),
		func(cmd *cobra.Command, p *pipeline.Pipeline, images []pipeline.Image) error {
			if images[0].Digest == "" {
				return usageError{errors.New("expected IMAGE@sha256:…")}
			}
			return p.Seal(cmd.Context(), pipeline.Sealed{Version: f.version, Commit: f.commit, Source: f.source, Image: images[0]})
		})
	f.add(cmd, "version", "commit", "source")
	return cmd
}

func promoteCommand() *cobra.Command {
	var f stepFlags
	cmd := imageStep("promote IMAGE", "Verify as an outsider would, then point the version tags at the digest", exactly(1, "IMAGE"),
		func(cmd *cobra.Command, p *pipeline.Pipeline, images []pipeline.Image) error {
			return p.Promote(cmd.Context(), f.version, f.commit, images[0])
		})
	f.add(cmd, "version", "commit")
	return cmd
}

func verifyCommand() *cobra.Command {
	return imageStep("verify IMAGE", "Verify every paper of a published image, with cosign", exactly(1, "IMAGE"),
		func(cmd *cobra.Command, p *pipeline.Pipeline, images []pipeline.Image) error {
			return p.Verify(cmd.Context(), images[0])
		})
}

func sbomCommand() *cobra.Command {
	var format, output, created, version string
	cmd := &cobra.Command{
		Use:   "sbom FILE",
		Short: "Make the SBOM of an archive with Syft; the same archive gives the same bytes",
		Args:  exactly(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := time.Parse(time.RFC3339, created)
			if err != nil {
				return usageError{fmt.Errorf("--created %q: expected RFC 3339: %w", created, err)}
			}
			p, err := newPipeline(cmd)
			if err != nil {
				return err
			}
			documents, err := sbom.Scan(cmd.Context(), p.Tools, sbom.Source{
				Location: "file:" + args[0], Name: filepath.Base(args[0]), Version: version, Created: at,
			})
			if err != nil {
				return err
			}
			content, err := documents.Format(format)
			if err != nil {
				return usageError{err}
			}
			return os.WriteFile(output, content, 0o644) //nolint:gosec // a public document
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "spdx or cyclonedx")
	cmd.Flags().StringVar(&output, "output", "", "file to write")
	cmd.Flags().StringVar(&created, "created", "", "time that the document states, RFC 3339")
	cmd.Flags().StringVar(&version, "version", "", "version of what is described")
	return cmd
}

func signCommand() *cobra.Command {
	var bundle string
	var snapshot bool
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Sign a file into a Sigstore bundle",
		Args:  exactly(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := newPipeline(cmd)
			if err != nil {
				return err
			}
			return p.SignFile(cmd.Context(), args[0], bundle, snapshot)
		},
	}
	cmd.Flags().StringVar(&bundle, "bundle", "", "file to write the bundle to")
	cmd.Flags().BoolVar(&snapshot, "snapshot", false, "nothing to sign with is no error, and signs nothing")
	return cmd
}
