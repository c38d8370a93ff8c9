package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every causeway command that a page shows, in a block or in a line, is one that the
// reference of commands has, with flags that it takes; every make target is one of the
// Makefile's; every scenario stands in lab/.
func TestCommandsInTheDocumentationExist(t *testing.T) {
	commands := commandsOf(t)
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{"../README.md", "../CHANGELOG.md"}
	for _, pattern := range []string{"*.md", "explanation/*.md"} {
		found, _ := filepath.Glob(pattern)
		pages = append(pages, found...)
	}
	seen := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range shown(string(text)) {
			words := strings.Fields(line)
			if len(words) > 0 && words[0] == "sudo" {
				words = words[1:]
			}
			if len(words) < 2 {
				continue
			}
			switch words[0] {
			case "causeway", "bin/causeway":
				seen++
				commands.judge(t, page, words[1:])
			case "make":
				if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(words[1]) + `:`).Match(makefile) {
					t.Errorf("%s: the Makefile has no target %q", page, words[1])
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands were found: are they still written as this test reads them?", seen)
	}
}

// shown are the lines of a page's code blocks that are typed, and what it has between backticks.
func shown(page string) (lines []string) {
	blocks := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```")
	for _, m := range blocks.FindAllStringSubmatch(page, -1) {
		if m[1] == "sh" {
			for _, line := range strings.Split(m[2], "\n") {
				line, _, _ = strings.Cut(line, " #")
				line, _, _ = strings.Cut(line, " > ")
				line, _, _ = strings.Cut(line, " | ")
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	page = blocks.ReplaceAllString(page, "")
	for _, m := range regexp.MustCompile("`((?:sudo )?(?:bin/)?(?:causeway|make) [^`]*)`").FindAllStringSubmatch(page, -1) {
		line, _, _ := strings.Cut(m[1], " | ")
		lines = append(lines, line)
	}
	return lines
}

// commands are the flags of every command of the reference.
type commands map[string][]string

func commandsOf(t *testing.T) commands {
	text, err := os.ReadFile("reference/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	c := commands{}
	parts := regexp.MustCompile(`(?m)^#+ causeway ?([a-z -]*)$`)
	page := string(text)
	at := parts.FindAllStringSubmatchIndex(page, -1)
	for i, m := range at {
		end := len(page)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		for _, f := range regexp.MustCompile(`--([a-z0-9-]+)|(?:^|[\s|])-([a-z])\b`).FindAllStringSubmatch(page[m[0]:end], -1) {
			c[page[m[2]:m[3]]] = append(c[page[m[2]:m[3]]], f[1]+f[2])
		}
		c[page[m[2]:m[3]]] = append(c[page[m[2]:m[3]]], "help")
	}
	if len(c) < 50 {
		t.Fatalf("the reference of commands has %d commands only: is it still written as this test reads it?", len(c))
	}
	return c
}

// judge looks a command line up.
func (c commands) judge(t *testing.T, page string, words []string) {
	name, n := "", 0
	for i := range words {
		if next := strings.TrimRight(strings.Join(words[:i+1], " "), ",.;:"); c[next] != nil {
			name, n = next, i+1
		}
	}
	if n == 0 {
		if !strings.HasPrefix(words[0], "-") && words[0] != "…" {
			t.Errorf("%s: there is no command causeway %s", page, words[0])
		}
		return
	}
	for _, w := range words[n:] {
		if w == "--" {
			return
		}
		flag, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
		if strings.HasPrefix(w, "-") && flag != "" && flag != "…" && !slices.Contains(c[name], flag) {
			t.Errorf("%s: causeway %s has no flag %s", page, name, w)
		}
	}
	if name == "lab run" || name == "lab up" {
		if rest := words[n:]; len(rest) > 0 && regexp.MustCompile(`^[a-z-]+$`).MatchString(rest[0]) && rest[0][0] != '-' {
			if _, err := os.Stat("../lab/" + rest[0] + ".yaml"); err != nil {
				t.Errorf("%s: there is no scenario %s", page, rest[0])
			}
		}
	}
}
