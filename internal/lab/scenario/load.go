package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"causeway/internal/problem"
	"causeway/internal/strictyaml"
)

// Load reads the scenario called name: one that is built in, or a file's path.
// built holds the built-in ones as NAME.yaml.
func Load(built fs.FS, name string) (*Scenario, error) {
	if strings.ContainsRune(name, filepath.Separator) || strings.HasSuffix(name, ".yaml") {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read scenario: %w", err)
		}
		return Parse(name, data)
	}
	data, err := fs.ReadFile(built, name+".yaml")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, fmt.Errorf("there is no scenario %q (built in are: %s; or give the path of a file): %w", name, strings.Join(Names(built), ", "), fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("read scenario %s: %w", name, err)
	}
	return Parse(name+".yaml", data)
}

// Names lists the built-in scenarios.
func Names(built fs.FS) []string {
	files, _ := fs.Glob(built, "*.yaml")
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], ".yaml")
	}
	slices.Sort(files)
	return files
}

// Parse reads one scenario; file is what errors call it. A scenario that is
// wrong anywhere is refused whole, with every mistake's line and field.
func Parse(file string, data []byte) (*Scenario, error) {
	s := &Scenario{Name: strings.TrimSuffix(filepath.Base(file), ".yaml"), File: file, Text: data}
	if err := strictyaml.Decode(file, data, s); err != nil {
		return nil, err
	}
	s.withDefaults()
	if err := strictyaml.Locate(file, data, s.Check()); err != nil {
		return nil, err
	}
	s.Script = repeated(s.Script)
	return s, nil
}

// Check judges a scenario that has its defaults, and changes nothing.
func (s *Scenario) Check() problem.List {
	c := checker{s: s}
	c.sites()
	c.pops()
	c.weather()
	c.links()
	c.endpointGroups()
	c.control()
	c.tunnels()
	c.measure()
	c.script()
	c.expectations()
	if len(c.found) == 0 { // only then do they mean something
		c.snapshots()
	}
	return c.found
}
