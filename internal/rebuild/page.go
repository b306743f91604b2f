package rebuild

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
)

// checksumsFile lists the SHA-256 of the files of the release page, as sha256sum does.
const checksumsFile = "checksums.txt"

// suffixes are those of the other files: archives, their SBOMs, packages.
func suffixes() []string {
	return []string{".tar.gz", ".spdx.json", ".cdx.json", ".deb", ".rpm", ".apk"}
}

// File is a file of the release page, compared.
type File struct {
	Name string `json:"name"`
	// Published and Rebuilt are SHA-256 in hexadecimal after "sha256:", or "absent".
	Published string `json:"published"`
	Rebuilt   string `json:"rebuilt"`
	Identical bool   `json:"identical"`
}

// ComparePage compares the files in the folder published, as they were downloaded from
// the release page, with those in the folder rebuilt that a build left (dist/). Files
// that only checksums.txt names are compared by their sums. A signature is left out: it
// differs each time. The error is for a folder that cannot be read or has nothing of a
// release in it, and for sums that do not fit the files beside them.
func ComparePage(ctx context.Context, published, rebuilt string, limits Limits) ([]File, []Difference, error) {
	limits = limits.with(ctx)
	theirs, err := os.OpenRoot(published)
	if err != nil {
		return nil, nil, fmt.Errorf("archives: %w", err)
	}
	defer theirs.Close() //nolint:errcheck // it was only read from
	ours, err := os.OpenRoot(rebuilt)
	if err != nil {
		return nil, nil, fmt.Errorf("archives: the rebuilt ones: %w", err)
	}
	defer ours.Close() //nolint:errcheck // it was only read from
	p := page{published: theirs, rebuilt: ours, limits: limits}
	names, err := p.names()
	if err != nil {
		return nil, nil, fmt.Errorf("archives: %w", err)
	}
	for _, name := range names {
		if err := p.compare(name); err != nil {
			return nil, nil, fmt.Errorf("archives: %w", err)
		}
	}
	return p.files, sorted(p.found), nil
}

type page struct {
	published, rebuilt *os.Root
	limits             Limits
	// sums are those of the published checksums.txt.
	sums  map[string]string
	files []File
	found []Difference
}

// names lists what is to be compared: what lies there, and what checksums.txt names.
func (p *page) names() ([]string, error) {
	entries, err := fs.ReadDir(p.published.FS(), ".")
	if err != nil {
		return nil, err
	}
	text, err := read(p.published, checksumsFile, maxConfig)
	if err == nil {
		if p.sums, err = ParseChecksums(text); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := slices.Collect(maps.Keys(p.sums))
	for _, entry := range entries {
		name := entry.Name()
		if entry.Type().IsRegular() && (name == checksumsFile || slices.ContainsFunc(suffixes(), func(suffix string) bool { return strings.HasSuffix(name, suffix) })) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: expected checksums.txt, archives (.tar.gz), their SBOMs or packages, found none", p.published.Name())
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// ParseChecksums reads what sha256sum writes: 64 hexadecimal digits, two characters, a
// name. A name with a folder is refused.
func ParseChecksums(content []byte) (map[string]string, error) {
	sums := make(map[string]string)
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" {
			continue
		}
		const digits = 64
		if len(line) < digits+3 || strings.Trim(line[:digits], "0123456789abcdef") != "" || line[digits] != ' ' || line[digits+1] != ' ' && line[digits+1] != '*' {
			return nil, fmt.Errorf("%s:%d: expected 64 hexadecimal digits, two spaces and a name, found %q", checksumsFile, n, clip(line))
		}
		name := line[digits+2:]
		if strings.ContainsAny(name, "/\\\x00") || name == "." || name == ".." {
			return nil, fmt.Errorf("%s:%d: expected the name of a file, found %q", checksumsFile, n, clip(name))
		}
		if other, twice := sums[name]; twice && other != line[:digits] {
			return nil, fmt.Errorf("%s:%d: expected one sum for each name, found two for %q", checksumsFile, n, clip(name))
		}
		sums[name] = line[:digits]
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", checksumsFile, err)
	}
	return sums, nil
}

// read reads a regular file inside a folder, up to limit bytes.
func read(root *os.Root, name string, limit int64) ([]byte, error) {
	// Without O_NONBLOCK a named pipe would be waited for.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read from
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: expected a file, found %s", printable(name), info.Mode().Type())
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable(name), err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s: %w: expected at most %d bytes", printable(name), errTooLarge, limit)
	}
	return content, nil
}

func (p *page) compare(name string) error {
	theirs, err := read(p.published, name, p.limits.Blob)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	there := err == nil
	ours, err := read(p.rebuilt, name, p.limits.Blob)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	made := err == nil
	file := File{Name: name, Published: absent, Rebuilt: absent}
	if made {
		file.Rebuilt = sum(ours)
	}
	listed, isListed := p.sums[name]
	switch {
	case there:
		file.Published = sum(theirs)
		if isListed && file.Published != "sha256:"+listed {
			return fmt.Errorf("%s: expected sha256:%s, as the checksums.txt beside it says, found %s: it is not what was released", printable(name), listed, file.Published)
		}
	case isListed:
		file.Published = "sha256:" + listed
	}
	file.Identical = file.Published == file.Rebuilt
	p.files = append(p.files, file)
	if !file.Identical {
		p.differ(file, theirs, ours, there && made)
	}
	return nil
}

// differ tells what differs of a file: of an archive the files, of anything else the
// bytes.
func (p *page) differ(file File, theirs, ours []byte, both bool) {
	c := comparer{limits: p.limits, place: Difference{Archive: file.Name}}
	switch {
	case file.Rebuilt == absent || file.Published == absent:
		c.add(LevelArchive, "", field{"archive", file.Published, file.Rebuilt})
	case !both:
		c.add(LevelArchive, "", field{"sum", file.Published, file.Rebuilt}).Shallow = "only its sum is there"
	case strings.HasSuffix(file.Name, ".tar.gz"):
		c.archives(LevelArchive, theirs, ours)
	case file.Name == checksumsFile:
		p.checksums(&c, theirs, ours)
	default:
		d := c.add(LevelArchive, "", field{"content", file.Published, file.Rebuilt})
		d.Bytes, _ = firstDifference(bytes.NewReader(theirs), bytes.NewReader(ours))
	}
	p.found = append(p.found, c.found...)
}

// checksums tells only what the files do not tell themselves: an order, a name.
func (p *page) checksums(c *comparer, theirs, ours []byte) {
	other, err := ParseChecksums(ours)
	if err == nil && !maps.Equal(p.sums, other) {
		for _, name := range union(other, p.sums) {
			if p.sums[name] == "" {
				c.add(LevelArchive, "", field{"archive " + clip(name), absent, "sha256:" + other[name]})
			}
		}
		return // the other names are files of their own
	}
	d := c.add(LevelArchive, "", field{"content", sum(theirs), sum(ours)})
	d.Bytes, _ = firstDifference(bytes.NewReader(theirs), bytes.NewReader(ours))
}
