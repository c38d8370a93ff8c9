// Package docs holds the user's documentation, and these tests, which keep
// what it shows true.
package docs

import (
	"encoding/base64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"causeway/internal/cli"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
)

// Every snapshot that a page shows is one a PoP would run, and the snapshots of
// one page agree on who has which label and key.
func TestSnapshotsInTheDocumentationAreConsistent(t *testing.T) {
	for _, page := range []string{"quick-start.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)```yaml\n# snapshot: (\\w+)\n(.*?)```").FindAllSubmatch(text, -1)
		if len(blocks) == 0 {
			t.Errorf("%s shows no snapshot", page)
		}
		type identity struct {
			label snapshot.Label
			key   string
		}
		known := map[string]identity{}
		agree := func(by, name string, who identity) {
			if was, ok := known[name]; ok && (was.label != who.label || was.key != who.key && was.key != "" && who.key != "") {
				t.Errorf("%s: %s knows %s as %v, others as %v", page, by, name, who, was)
			}
			known[name] = who
		}
		for _, b := range blocks {
			name := string(b[1])
			yaml := regexp.MustCompile(`[A-Z]+_PUBLIC_KEY`).ReplaceAllFunc(b[2], exampleKey)
			var s snapshot.Snapshot
			if err := strictyaml.Decode(page+": "+name, yaml, &s); err != nil {
				t.Errorf("%v", err)
				continue
			}
			if err := s.Consistent().Err(); err != nil {
				t.Errorf("%s: %s: %v", page, name, err)
			}
			if s.PoP.Name != name {
				t.Errorf("%s: the snapshot of %s is for %s", page, name, s.PoP.Name)
			}
			for _, p := range s.Peers {
				agree(name, p.Name, identity{p.Label, p.PublicKey})
			}
			if was, ok := known[name]; ok && was.label != s.PoP.Label {
				t.Errorf("%s: %s has label %d, others know it by %d", page, name, s.PoP.Label, was.label)
			}
		}
	}
}

// What the quick start has users apply is what causeway validate has nothing against.
func TestTheFileInTheQuickStartIsValid(t *testing.T) {
	text, err := os.ReadFile("quick-start.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n# world\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("quick-start.md shows nothing to apply")
	}
	file := filepath.Join(t.TempDir(), "office.yaml")
	if err := os.WriteFile(file, block[1], 0o600); err != nil {
		t.Fatal(err)
	}
	root := &cobra.Command{SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(cli.FileCommands()...)
	root.SetArgs([]string{"validate", "-f", file})
	root.SetOut(io.Discard)
	if err := root.Execute(); err != nil {
		t.Error(err)
	}
}

// exampleKey is a valid key made from the placeholder's name.
func exampleKey(placeholder []byte) []byte {
	var key [32]byte
	copy(key[:], placeholder)
	return []byte(base64.StdEncoding.EncodeToString(key[:]))
}

// Links between pages lead somewhere, and so do their anchors.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	third, err := filepath.Glob("*/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range slices.Concat([]string{"../README.md", "../CHANGELOG.md", "../changes/README.md"}, pages, more, third) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		dir := page[:strings.LastIndex(page, "/")+1]
		for _, m := range link.FindAllSubmatch(withoutBlocks(text), -1) {
			target, anchor, _ := strings.Cut(string(m[1]), "#")
			if strings.Contains(target, "://") {
				continue
			}
			there := page
			if target != "" {
				there = dir + target
			}
			linked, err := os.ReadFile(there)
			if info, statErr := os.Stat(there); statErr == nil && info.IsDir() {
				continue
			}
			if err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
				continue
			}
			if anchor != "" && !anchors(linked)[anchor] {
				t.Errorf("%s links to %s, but %s has no such heading", page, m[1], there)
			}
		}
	}
}

// anchors are a page's headings as GitHub turns them into link targets.
func anchors(page []byte) map[string]bool {
	out := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllSubmatch(page, -1) {
		s := strings.ToLower(string(m[1]))
		s = regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(s, "")
		out[strings.ReplaceAll(s, " ", "-")] = true
	}
	return out
}

// Whatever path, file, package or name of the code the pages about the code give, it exists.
func TestTheMapNamesWhatIsThere(t *testing.T) {
	source := readSource(t)
	explanations, err := filepath.Glob("explanation/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range slices.Concat([]string{"architecture.md", "wire-format.md"}, explanations) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		source.judge(t, page, text)
	}
	text, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	tree := regexp.MustCompile("(?s)```\ncmd/causeway/.*?```").Find(text)
	if tree == nil {
		t.Fatal("architecture.md shows no tree of packages")
	}
	for _, dir := range regexp.MustCompile(`[\w/]+/`).FindAllSubmatch(regexp.MustCompile(`(?m)(/) {2,}[^/\n]*[a-zA-Z].*$`).ReplaceAll(tree, []byte("$1")), -1) {
		if name := string(dir[0]); !source.has(name) {
			t.Errorf("the tree in architecture.md has %s, which is not there", name)
		}
	}
}

// source is the project's files and its Go text.
type source struct {
	files map[string]bool // below the root; folders end with a slash
	text  []byte
}

func readSource(t *testing.T) source {
	s := source{files: map[string]bool{}}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		if d.IsDir() {
			if name == ".git" || name == ".cache" || name == "out" {
				return filepath.SkipDir
			}
			s.files[name+"/"] = true
			return nil
		}
		s.files[name] = true
		if strings.HasSuffix(name, ".go") && !strings.HasPrefix(name, "docs/") {
			text, err := os.ReadFile(path)
			s.text = append(s.text, text...)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// judge looks up what a page names between backticks.
func (s source) judge(t *testing.T, page string, text []byte) {
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllSubmatch(withoutBlocks(text), -1) {
		name := string(m[1])
		switch {
		case regexp.MustCompile(`^[\w./-]+(\.go|\.md|\.proto|/)$|^internal/[\w/]+$`).MatchString(strings.ReplaceAll(name, "<noun>", "listener")):
			if !s.has(strings.ReplaceAll(name, "<noun>", "listener")) {
				t.Errorf("%s names %s, which is not there", page, name)
			}
		case regexp.MustCompile(`^[a-z]+[A-Z]\w*$|^[A-Z][a-z]+[A-Z]\w*$|^[a-z]\w*\.[A-Z]\w*$`).MatchString(name):
			if base := name[strings.LastIndex(name, ".")+1:]; !regexp.MustCompile(`\b` + base + `\b`).Match(s.text) {
				t.Errorf("%s names %s, which the code does not have", page, name)
			}
		}
	}
}

// has reports whether there is a file or folder of that name: its path, or, as the page
// names them for short, the end of a path.
func (s source) has(name string) bool {
	for f := range s.files {
		if f == name || f == name+"/" || strings.HasSuffix(f, "/"+name) {
			return true
		}
	}
	return false
}

// withoutBlocks is a page less its code blocks.
func withoutBlocks(page []byte) []byte {
	return regexp.MustCompile("(?s)```.*?```").ReplaceAll(page, nil)
}
