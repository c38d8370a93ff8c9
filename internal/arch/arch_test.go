package arch

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// This very tree keeps the rules.
func TestTheTreeKeepsTheRules(t *testing.T) {
	tree, err := Read("../..")
	if err != nil {
		t.Fatal(err)
	}
	if tree.Module != "causeway" || tree.Packages["internal/arch"] == nil || len(tree.Packages) < 10 {
		t.Fatalf("this is not the tree: module %q with %d packages", tree.Module, len(tree.Packages))
	}
	for _, broken := range Ours.Check(tree) {
		t.Error(broken)
	}
}

// Rules about packages that are not there are most likely misspelt, except for
// those that are still to be written.
func TestTheRulesAreAboutPackagesThatExist(t *testing.T) {
	later := []string{"internal/control", "internal/resource", "internal/vpngw", "internal/dataplane/xdp"}
	tree, err := Read("../..")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, w := range Ours.Walls {
		named = append(named, w.From, w.To)
	}
	named = append(append(named, Ours.Vocabulary...), Ours.Leaves...)
	for _, d := range Ours.Doors {
		for room := range d.Rooms {
			named = append(named, room)
		}
	}
	for _, folder := range named {
		there := slices.ContainsFunc(tree.paths(), func(p string) bool { return under(p, folder) })
		planned := slices.ContainsFunc(later, func(p string) bool { return under(folder, p) })
		if !there && !planned {
			t.Errorf("%s stands in the rules and not in the tree", folder)
		}
	}
}

// A tree of a few lines for each rule, and what is said about it.
func TestARuleThatIsBrokenIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string // regular expressions, one for each sentence
	}{
		{"a tree that keeps all rules", map[string]string{
			"internal/dataplane/a.go":         `import "m/internal/snapshot"`,
			"internal/snapshot/a.go":          `import ("net/netip"; "m/internal/problem")`,
			"internal/problem/a.go":           ``,
			"internal/problem/a_test.go":      `import ("pgregory.net/rapid"; "os")`,
			"internal/dataplane/udpio/a.go":   `import ("net"; "golang.org/x/sys/unix")`,
			"internal/snapshot/testdata/a.go": `import "m/internal/control"`,
			"internal/codetest/a.go":          `import "testing"`,
		}, nil},
		{"a wall that is crossed at once", map[string]string{
			"internal/dataplane/a.go": `import "m/internal/control"`, "internal/control/a.go": ``,
		}, []string{`^internal/dataplane must not reach internal/control \(.+\): internal/dataplane → internal/control; the first step is at internal/dataplane/a.go:2$`}},
		{"a wall that is crossed over two others, told where it leaves", map[string]string{
			"internal/dataplane/a.go":      `import "m/internal/dataplane/deep"`,
			"internal/dataplane/deep/a.go": `import "m/internal/helper"`,
			"internal/helper/a.go":         `import "m/internal/resource/names"`,
			"internal/resource/names/a.go": ``,
		}, []string{`internal/dataplane/deep → internal/helper → internal/resource/names; the first step is at internal/dataplane/deep/a.go:2$`}},
		{"a wall the other way round", map[string]string{
			"internal/control/compile/a.go": `import "m/internal/dataplane/frame"`, "internal/dataplane/frame/a.go": ``,
		}, []string{`^internal/control must not reach internal/dataplane`}},
		{"imports in a circle do not hang it", map[string]string{
			"internal/dataplane/a.go": `import "m/internal/helper"`, "internal/helper/a.go": `import "m/internal/dataplane"`,
		}, nil},
		{"vocabulary that imports something outside", map[string]string{
			"internal/snapshot/a.go": `import "github.com/x/y"`,
		}, []string{`^internal/snapshot is vocabulary: .* but imports github.com/x/y at internal/snapshot/a.go:2$`}},
		{"vocabulary that imports another package of ours", map[string]string{
			"internal/report/a.go": `import "m/internal/keys"`, "internal/keys/a.go": ``,
		}, []string{`^internal/report is vocabulary: .* but imports m/internal/keys`}},
		{"a door that is passed by", map[string]string{
			"internal/control/service/a.go": `import clientv3 "go.etcd.io/etcd/client/v3"`,
		}, []string{`^internal/control/service imports go.etcd.io/etcd/client/v3 at .*:2, which has its door in internal/control/store/etcdstore; use that`}},
		{"a system call where none belongs", map[string]string{
			"internal/dataplane/a.go": `import "golang.org/x/sys/unix"`,
		}, []string{`^internal/dataplane imports golang.org/x/sys/unix at .* which has its door in .*internal/dataplane/session, internal/dataplane/udpio, `}},
		{"a socket in the data plane outside its door", map[string]string{
			"internal/dataplane/session/a.go": `import ("net"; "net/netip")`,
		}, []string{`^internal/dataplane/session imports net at `}},
		{"a program started by a PoP", map[string]string{
			"internal/popagent/a.go": `import "os/exec"`,
		}, []string{`^internal/popagent imports os/exec at .* which has its door in no package here`}},
		{"a leaf that reads the clock", map[string]string{
			"internal/route/a.go": "import when \"time\"\nvar now = when.Now()",
		}, []string{`^internal/route is a leaf, and takes time and chance as arguments, but uses time.Now at internal/route/a.go:3$`}},
		{"a leaf with a lock", map[string]string{
			"internal/ipsec/a.go": `import "sync"`,
		}, []string{`^internal/ipsec is a leaf, .* but imports sync at `}},
		{"a leaf that starts a goroutine", map[string]string{
			"internal/weather/a.go": "func f() {\n\tgo f()\n}",
		}, []string{`^internal/weather is a leaf, but starts a goroutine at internal/weather/a.go:3$`}},
		{"a testing library outside of tests", map[string]string{
			"internal/lab/a.go": `import "pgregory.net/rapid"`,
		}, []string{`^internal/lab imports pgregory.net/rapid at .*, which is for tests only$`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"go.mod": "module m\n\ngo 1.26\n"}
			for name, body := range c.files {
				pkg := filepath.Base(filepath.Dir(name))
				files[name] = fmt.Sprintf("// Package %s is documented.\npackage %s; %s\n", pkg, pkg, body)
			}
			expect(t, files, c.want)
		})
	}
}

func TestAPackageWithoutDocumentationIsNamed(t *testing.T) {
	expect(t, map[string]string{
		"go.mod":            "module m\n",
		"internal/a/a.go":   "package a\n",
		"internal/b/b.go":   "// Something else.\npackage b\n",
		"internal/c/c.go":   "package c\n",
		"internal/c/doc.go": "// Package c has it in another file.\npackage c\n",
		"internal/d/d.go":   "//go:build linux\n\n// Package d has it below a build tag.\npackage d\n",
		"cmd/e/main.go":     "// Package main is no good beginning.\npackage main\n",
		"cmd/f/main.go":     "// Command f does something.\npackage main\n",
	}, []string{
		`^cmd/e has no documentation: .* begins with "Command"$`,
		`^internal/a has no documentation: .* begins with "Package a"$`,
		`^internal/b has no documentation`,
	})
}

func TestReadSaysWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); err == nil {
		t.Error("a folder without go.mod was read")
	}
	write(t, dir, map[string]string{"go.mod": "go 1.26\n"})
	if _, err := Read(dir); err == nil {
		t.Error("a go.mod without a module was read")
	}
	write(t, dir, map[string]string{"go.mod": "module m\n", "a/a.go": "package a; import"})
	if _, err := Read(dir); err == nil {
		t.Error("a file that is no Go was read")
	}
}

func expect(t *testing.T, files map[string]string, want []string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, files)
	tree, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := Ours.Check(tree)
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && regexp.MustCompile(want[i]).MatchString(got[i])
	}
	if !ok {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
