// Package arch keeps the project's worlds apart. It reads the imports of every
// Go file in the tree and judges them by the rules in rules.go: walls that no
// chain of imports may cross, doors through which alone an outside thing is
// reached, leaves without clocks and sockets, and a sentence of documentation
// for each package. Its test applies the rules to this very tree.
//
// It parses the files itself: a test that asked the go command would be cached
// as passed when files change that it did not open.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Tree is the packages of one module.
type Tree struct {
	Module   string
	Packages map[string]*Package // by folder from the module's root, with slashes; "." is the root
}

// Package is what the rules look at in one package.
type Package struct {
	Name    string            // of its files that are no tests; of the tests when there are no others
	Doc     string            // its documentation
	Imports map[string]string // by its files that are no tests: import path to the first place that imports it
	Calls   map[string]string // "time.Now" to the first place that says so
	Spawns  string            // the first go statement's place
}

// Read reads the tree under root, which holds go.mod.
func Read(root string) (*Tree, error) {
	module, err := modulePath(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	t := &Tree{Module: module, Packages: map[string]*Package{}}
	err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		switch {
		case entry.IsDir() && file != root && (name == "testdata" || name == "vendor" || name[0] == '.' || name[0] == '_'):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go" || name[0] == '_' || name[0] == '.':
			return nil
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if strings.HasPrefix(filepath.ToSlash(relative), generated) {
			return nil
		}
		return t.add(file, filepath.ToSlash(relative))
	})
	return t, err
}

// generated is where code that tools make stands; the rules are for what people write.
const generated = "api/gen/"

func modulePath(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if module, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(module), nil
		}
	}
	return "", fmt.Errorf("%s names no module", file)
}

// add parses one file into its package.
func (t *Tree) add(file, relative string) error {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	p := t.Packages[path.Dir(relative)]
	if p == nil {
		p = &Package{Imports: map[string]string{}, Calls: map[string]string{}}
		t.Packages[path.Dir(relative)] = p
	}
	test := strings.HasSuffix(relative, "_test.go")
	if parsed.Doc != nil && (p.Doc == "" || !test) {
		p.Doc = parsed.Doc.Text()
	}
	if p.Name == "" || !test {
		p.Name = parsed.Name.Name
	}
	if test {
		return nil
	}
	where := func(pos token.Pos) string { return fmt.Sprintf("%s:%d", relative, set.Position(pos).Line) }
	names := map[string]string{} // what the file calls the packages it imports
	for _, spec := range parsed.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		keep(p.Imports, imported, where(spec.Pos()))
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = imported
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if p.Spawns == "" {
				p.Spawns = where(n.Pos())
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && names[x.Name] != "" {
				keep(p.Calls, names[x.Name]+"."+n.Sel.Name, where(n.Pos()))
			}
		}
		return true
	})
	return nil
}

func keep(m map[string]string, key, value string) {
	if _, ok := m[key]; !ok {
		m[key] = value
	}
}

// paths returns the packages' folders, sorted.
func (t *Tree) paths() []string { return slices.Sorted(maps.Keys(t.Packages)) }

// own returns the folder of an import of this module, or nothing.
func (t *Tree) own(imported string) string {
	if imported == t.Module {
		return "."
	}
	folder, ok := strings.CutPrefix(imported, t.Module+"/")
	if !ok {
		return ""
	}
	return folder
}

// standard reports whether an import is of the standard library: these have no
// dot in their first part.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// under reports whether folder is prefix or below it.
func under(folder, prefix string) bool {
	return folder == prefix || strings.HasPrefix(folder, prefix+"/")
}

// chain returns the shortest way by imports from a package to one under target,
// both ends included, or nothing.
func (t *Tree) chain(from, target string) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		here := queue[0]
		if here != from && under(here, target) {
			var way []string
			for ; here != ""; here = before[here] {
				way = append(way, here)
			}
			slices.Reverse(way)
			return way
		}
		p := t.Packages[here]
		if p == nil {
			continue
		}
		for _, imported := range slices.Sorted(maps.Keys(p.Imports)) {
			next := t.own(imported)
			if _, seen := before[next]; next != "" && !seen {
				before[next] = here
				queue = append(queue, next)
			}
		}
	}
	return nil
}
