package rebuild

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"debug/gosym"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
)

// compareBinaries returns what two Go binaries say of their builds that is not the
// same (runtime/debug, BuildInfo), and whether they are Go binaries, both.
func compareBinaries(published, rebuilt []byte) (found []field, golang bool) {
	a, b := readBuild(published), readBuild(rebuilt)
	if a == nil && b == nil {
		return nil, false
	}
	if a == nil || b == nil {
		return []field{{"go build information", presence(a), presence(b)}}, false
	}
	add := func(name, one, other string) {
		if one != other {
			found = append(found, field{name, clip(one), clip(other)})
		}
	}
	add("go", a.GoVersion, b.GoVersion)
	add("package", a.Path, b.Path)
	add("main module", module(&a.Main), module(&b.Main))
	settingsA, settingsB := settings(a), settings(b)
	for _, key := range union(settingsA, settingsB) {
		add("build setting "+key, or(settingsA[key]), or(settingsB[key]))
	}
	modulesA, modulesB := modules(a), modules(b)
	for _, path := range union(modulesA, modulesB) {
		add("module "+path, or(modulesA[path]), or(modulesB[path]))
	}
	if len(found) == 0 {
		found = append(found, functions(published, rebuilt)...)
	}
	return found, true
}

// readBuild returns nil for what is no Go binary.
func readBuild(content []byte) (info *debug.BuildInfo) {
	// What is read was written by others, and the packages of debug/ are not made to
	// withstand all of it.
	defer func() {
		if recover() != nil {
			info = nil
		}
	}()
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return nil
	}
	return info
}

func presence(info *debug.BuildInfo) string {
	if info == nil {
		return absent
	}
	return "of " + info.GoVersion
}

func module(m *debug.Module) string {
	if m.Replace != nil {
		return fmt.Sprintf("%s %s => %s %s %s", m.Path, m.Version, m.Replace.Path, m.Replace.Version, m.Replace.Sum)
	}
	return strings.TrimSpace(m.Version + " " + m.Sum)
}

func modules(info *debug.BuildInfo) map[string]string {
	all := make(map[string]string, len(info.Deps))
	for _, m := range info.Deps {
		if m != nil {
			all[m.Path] = module(m)
		}
	}
	return all
}

func settings(info *debug.BuildInfo) map[string]string {
	all := make(map[string]string, len(info.Settings))
	for _, s := range info.Settings {
		all[s.Key] = s.Key + "=" + s.Value
	}
	return all
}

func union(a, b map[string]string) []string {
	keys := slices.Sorted(maps.Keys(a))
	keys = slices.AppendSeq(keys, maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

func or(value string) string {
	if value == "" {
		return absent
	}
	return value
}

// locate names the section of an ELF file that the first differing byte is in, and in
// Go's code the function. Where the sections of the two do not lie alike, it is the
// first section whose content differs. It is empty for other files.
func locate(published, rebuilt []byte, offset int64) (where string) {
	defer func() {
		if recover() != nil { // as in readBuild
			where = ""
		}
	}()
	a, errA := elf.NewFile(bytes.NewReader(published))
	b, errB := elf.NewFile(bytes.NewReader(rebuilt))
	if errA != nil || errB != nil {
		return ""
	}
	for _, s := range a.Sections {
		if s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL || offset < int64(s.Offset) || offset-int64(s.Offset) >= int64(s.FileSize) { //nolint:gosec // compared, not used
			continue
		}
		where = "section " + printable(s.Name)
		if s.Name == ".text" {
			if table := functionTable(a); table != nil {
				if f := table.PCToFunc(s.Addr + uint64(offset) - s.Offset); f != nil { //nolint:gosec // the offset is in the section
					where += ", function " + printable(f.Name)
				}
			}
		}
		return where
	}
	for _, s := range a.Sections {
		if other := b.Section(s.Name); other != nil && s.Type != elf.SHT_NOBITS && s.FileSize != other.FileSize {
			return fmt.Sprintf("the headers; section %s has %d bytes published, %d rebuilt", printable(s.Name), s.FileSize, other.FileSize)
		}
	}
	return ""
}

// functionTable reads Go's table of functions, which stripping leaves.
func functionTable(file *elf.File) *gosym.Table {
	section, text := file.Section(".gopclntab"), file.Section(".text")
	if section == nil || text == nil {
		return nil
	}
	data, err := section.Data()
	if err != nil {
		return nil
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	if err != nil {
		return nil
	}
	return table
}

// functions names the functions that only one of two Go binaries has, or that are of
// another length: what a change of the source leaves when nothing else was changed.
func functions(published, rebuilt []byte) (found []field) {
	defer func() {
		if recover() != nil { // as in readBuild
			found = nil
		}
	}()
	a, b := lengths(published), lengths(rebuilt)
	if a == nil || b == nil {
		return nil
	}
	const some = 5
	for _, name := range union(a, b) {
		if a[name] == b[name] {
			continue
		}
		if len(found) == some {
			break
		}
		found = append(found, field{"function " + clip(name), or(a[name]), or(b[name])})
	}
	return found
}

func lengths(content []byte) map[string]string {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil
	}
	table := functionTable(file)
	if table == nil {
		return nil
	}
	all := make(map[string]string, len(table.Funcs))
	for i := range table.Funcs {
		f := &table.Funcs[i]
		all[f.Name] = fmt.Sprintf("%d bytes of code", f.End-f.Entry)
	}
	return all
}
