package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// imagesCommand tells scripts which images there are, so that none of them lists them
// again.
func imagesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "images",
		Short: "Print the repositories of the images that a release of this checkout publishes",
		Args:  exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := checkout()
			if err != nil {
				return err
			}
			images, err := releasedImages(root, os.Getenv)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(images, "\n"))
			return err
		},
	}
}

// imageLine is how .goreleaser.yaml names an image of the release.
var imageLine = regexp.MustCompile(`(?m)^\s*images: \['\{\{ \.Env\.REGISTRY \}\}/([a-z0-9-]+)'\]$`)

// releasedImages are the repositories of the images that the .goreleaser.yaml of a
// checkout publishes in this environment, in its order.
func releasedImages(root string, getenv func(string) string) ([]string, error) {
	file := filepath.Join(root, ".goreleaser.yaml")
	config, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var images []string
	for _, name := range imageLine.FindAllSubmatch(config, -1) {
		images = append(images, releaseRegistry(getenv)+"/"+string(name[1]))
	}
	if len(images) == 0 {
		return nil, fmt.Errorf("%s: expected images: ['{{ .Env.REGISTRY }}/NAME'], found none", file)
	}
	return images, nil
}

// releaseRegistry is where .goreleaser.yaml publishes to.
func releaseRegistry(getenv func(string) string) string {
	if registry := getenv("TALLYMAN_REGISTRY"); registry != "" {
		return registry
	}
	repository := getenv("GITHUB_REPOSITORY")
	if repository == "" {
		repository = "tallyman-io/tallyman"
	}
	return "ghcr.io/" + strings.ToLower(repository)
}
