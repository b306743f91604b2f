package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/scan"
)

// imageFlags are what `tallyman scan` takes for images and image layouts.
type imageFlags struct {
	trustFlags

	platform string
}

func (f *imageFlags) register(flags *pflag.FlagSet) {
	f.trustFlags.register(flags)
	flags.StringVar(&f.platform, "platform", "", "os/architecture[/variant] of images and layouts (default all)")
}

// source is an argument of `tallyman scan`: a document, or images.
type source struct {
	name   string
	images *target
	// err is why it is neither.
	err error
}

// sources tells documents, layouts and images apart. What is there is never taken for
// a reference.
func sources(args []string) []source {
	all := make([]source, 0, len(args))
	for _, arg := range args {
		all = append(all, sourceOf(arg))
	}
	return all
}

func sourceOf(arg string) source {
	if arg == "-" {
		return source{name: arg}
	}
	if t, ok := layoutTarget(arg); ok {
		return source{name: arg, images: &t}
	}
	switch info, err := os.Stat(arg); {
	case err == nil && info.IsDir():
		return source{name: arg, err: errors.New("expected a file or an image layout, found a folder without oci-layout")}
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return source{name: arg} // opening it tells what is the matter
	}
	t, err := referenceTarget(arg)
	if err != nil {
		return source{name: arg, err: fmt.Errorf("no such file, and not an image reference: %w", err)}
	}
	return source{name: arg, images: &t}
}

// scanAll scans documents and images, and returns their documents in the order of the
// arguments.
func (f *imageFlags) scanAll(ctx context.Context, scanner *scan.Scanner, args []string) ([]scan.Document, error) {
	all := sources(args)
	var images int
	for i := range all {
		if all[i].images != nil {
			images++
		}
	}
	if images == 0 && (f.given() || f.platform != "") {
		return nil, usageError{errors.New("--key, --identity, --platform and their like are for images and layouts: a file has no signature; found only files")}
	}
	if images == 0 {
		return scanFiles(ctx, scanner, all)
	}
	look, err := f.looker()
	if err != nil {
		return nil, err
	}
	var documents []scan.Document
	for start := 0; start < len(all); {
		if all[start].images != nil {
			found, err := f.scanImages(ctx, scanner, look, *all[start].images)
			if err != nil {
				return nil, err
			}
			documents = append(documents, found...)
			start++
			continue
		}
		end := start
		for end < len(all) && all[end].images == nil {
			end++
		}
		found, err := scanFiles(ctx, scanner, all[start:end])
		if err != nil {
			return nil, err
		}
		documents = append(documents, found...)
		start = end
	}
	return documents, nil
}

func (f *imageFlags) looker() (*looker, error) {
	if f.platform != "" {
		platform, err := scan.ParsePlatform(f.platform)
		if err != nil {
			return nil, usageError{fmt.Errorf("--platform: %w", err)}
		}
		f.platform = platform.String()
	}
	look, err := newLooker(&f.trustFlags)
	if err != nil {
		return nil, err
	}
	look.platforms = f.platform != ""
	return look, nil
}

// scanFiles scans what is no image, several files at once.
func scanFiles(ctx context.Context, scanner *scan.Scanner, sources []source) ([]scan.Document, error) {
	names := make([]string, 0, len(sources))
	for _, s := range sources {
		if s.err == nil {
			names = append(names, s.name)
		}
	}
	found, err := scanner.Files(ctx, names)
	if err != nil {
		return nil, err
	}
	documents := make([]scan.Document, 0, len(sources))
	for _, s := range sources {
		if s.err != nil {
			documents = append(documents, scan.Document{Source: s.name, Err: s.err})
			continue
		}
		documents, found = append(documents, found[0]), found[1:]
	}
	return documents, nil
}

// scanImages scans the SBOMs of a target's images. A target that cannot be looked at
// is a document with an error, so that it does not hide the others.
func (f *imageFlags) scanImages(ctx context.Context, scanner *scan.Scanner, look *looker, t target) ([]scan.Document, error) {
	var documents []scan.Document
	var broken error
	selection := scan.Selection{Platform: f.platform, Trusted: f.somebody()}
	err := look.look(ctx, t, func(e sighting) error {
		found, err := scanner.Papers(ctx, scan.Image{Examination: e.Examination, Tag: t.image.Tag, Platform: e.platform}, selection)
		documents, broken = append(documents, found...), err
		return err
	})
	switch config := (configError{}); {
	case broken != nil:
		return nil, broken
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.As(err, &config):
		return nil, err
	case err != nil:
		documents = append(documents, scan.Document{Source: t.arg, Err: err})
	}
	return documents, nil
}
