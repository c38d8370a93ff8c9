package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"causeway/internal/strictyaml"
)

// block is a code block of a page, or, with kind "cross", a comment that tells the test to send a packet.
type block struct {
	kind    string // what stands behind the fence: "sh", "yaml"…
	text    string
	line    int
	patient bool // a comment before it says that it may have to be tried again
}

var (
	fence   = regexp.MustCompile("^( *)```+(\\S*)$")
	comment = regexp.MustCompile(`^<!-- test: (\w+) ?(.*?) ?-->$`)
)

// readPage is the blocks of a page in their order.
func readPage(t *testing.T, file string) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	indent, patient := "", false
	for i, line := range strings.Split(string(text), "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case open != nil && m != nil && m[2] == "":
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		case m != nil:
			open, indent, patient = &block{kind: m[2], line: i + 1, patient: patient}, m[1], false
		default:
			if c := comment.FindStringSubmatch(line); c != nil && c[1] == "again" {
				patient = true
			} else if c != nil {
				blocks = append(blocks, block{kind: c[1], text: c[2], line: i + 1})
			}
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block has no end", file, open.line)
	}
	return blocks
}

// pages are all pages of the documentation.
func pages(t *testing.T) []string {
	t.Helper()
	found := []string{"../../README.md", "../../CHANGELOG.md"}
	for _, pattern := range []string{"*.md", "*/*.md", "*/*/*.md"} {
		more, err := filepath.Glob("../../docs/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, more...)
	}
	if len(found) < 20 {
		t.Fatalf("found only %d pages", len(found))
	}
	return found
}

// Every shell block of every page is one that bash can read, and every causeway
// command in it is one that causeway takes: the command is there, its flags are,
// with values they can have, and as many arguments as it wants.
func TestCommandsOnThePagesAreRight(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(string(makefile), -1)
	seen := 0
	script := ""
	root := newRootCommand()
	for _, page := range pages(t) {
		for _, b := range readPage(t, page) {
			if b.kind == "" || b.kind == "console" { // what is printed, and sometimes what is typed
				for _, line := range regexp.MustCompile(`(?m)^(?:[$#] )?((?:sudo )?(?:bin/)?causeway [^─]*?)$`).FindAllStringSubmatch(b.text, -1) {
					for _, words := range commandsIn(line[1]) {
						if filepath.Base(words[0]) == "causeway" && !slices.Contains(words, "…") {
							seen++
							judgeCommand(t, root, fmt.Sprintf("%s:%d", page, b.line), words[1:], true)
						}
					}
				}
				continue
			}
			if b.kind != "sh" && b.kind != "bash" {
				continue
			}
			script += fmt.Sprintf("%s:%d\x00%s\x00", page, b.line, b.text)
			for _, words := range commandsIn(b.text) {
				where := fmt.Sprintf("%s:%d", page, b.line)
				switch {
				case filepath.Base(words[0]) == "causeway":
					seen++
					judgeCommand(t, root, where, words[1:], true)
				case words[0] == "make" && len(words) > 1:
					if !slices.ContainsFunc(targets, func(m []string) bool { return m[1] == words[1] }) {
						t.Errorf("%s: the Makefile has no target %q", where, words[1])
					}
				}
			}
		}
		text, _ := os.ReadFile(page)
		for _, m := range regexp.MustCompile("`((?:sudo )?(?:bin/)?causeway [^`\n]*)`").FindAllStringSubmatch(regexp.MustCompile("(?s)```.*?```").ReplaceAllString(string(text), ""), -1) {
			for _, words := range commandsIn(m[1]) {
				if filepath.Base(words[0]) == "causeway" && !slices.Contains(words, "…") {
					seen++
					judgeCommand(t, root, page, words[1:], false)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d commands were found: are they still written as this test reads them?", seen)
	}
	// One bash judges all blocks: starting one for each takes longer than all the rest.
	judge := exec.Command("bash", "-c", `while IFS= read -r -d '' where && IFS= read -r -d '' text; do bash -n <<<"$text" 2>/tmp/null.$$ || { echo "$where"; cat /tmp/null.$$; }; done; rm -f /tmp/null.$$`)
	judge.Stdin = strings.NewReader(script)
	if out, err := judge.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("bash cannot read these blocks: %v\n%s", err, out)
	}
}

// Every YAML block of every page is one that its reader takes: a snapshot, a file
// for apply, user data for cloud-init, or at least YAML.
func TestYAMLOnThePagesIsRight(t *testing.T) {
	seen := map[string]int{}
	root := newRootCommand()
	for _, page := range pages(t) {
		for _, b := range readPage(t, page) {
			if b.kind != "yaml" {
				continue
			}
			where := fmt.Sprintf("%s:%d", page, b.line)
			text := b.text
			for i, name := range regexp.MustCompile(`[A-Z]+_PUBLIC_KEY`).FindAllString(text, -1) {
				text = strings.ReplaceAll(text, name, keyFor(i))
			}
			var fields map[string]any
			if err := strictyaml.Decode(where, []byte(text), &fields); err != nil {
				t.Errorf("%v", err)
				continue
			}
			kind := "other"
			switch {
			case strings.HasPrefix(text, "#cloud-config\n"):
				kind = "cloud-config"
				judgeUserData(t, root, where, fields)
			case fields["format"] != nil && fields["pop"] != nil:
				kind = "snapshot"
				judgeFile(t, where, text, "pop", "check")
			case ofResources(fields):
				kind = "resources"
				judgeFile(t, where, text, "validate", "-f")
			}
			seen[kind]++
		}
	}
	for _, kind := range []string{"cloud-config", "snapshot", "resources"} {
		if seen[kind] == 0 {
			t.Errorf("no page has a block of the kind %s: are they still written as this test reads them?", kind)
		}
	}
}

// keyFor is a valid public key, another one for each number.
func keyFor(n int) string {
	var key [32]byte
	key[0], key[1] = 7, byte(n)
	return base64.StdEncoding.EncodeToString(key[:])
}

// ofResources reports whether all of a file's fields are kinds of resources.
func ofResources(fields map[string]any) bool {
	for name := range fields {
		if !slices.Contains([]string{
			"regions", "pops", "accelerators", "bandwidth_packages", "ip_sets", "acls", "listeners", "egress_ips", "endpoint_groups",
			"vpn_gateways", "customer_gateways", "ipsec_connections", "vpn_routes",
		}, name) {
			return false
		}
	}
	return len(fields) > 0
}

// judgeFile has a command judge a text as its file.
func judgeFile(t *testing.T, where, text string, command ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	root := newRootCommand()
	root.SetArgs(append(command, file))
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	if err := root.Execute(); err != nil {
		t.Errorf("%s: %v", where, err)
	}
}

// judgeUserData looks at what cloud-init would do: the scripts are ones that sh
// takes, their commands are right, and what is YAML in the files is YAML.
func judgeUserData(t *testing.T, root *command, where string, fields map[string]any) {
	t.Helper()
	for name := range fields {
		if name != "write_files" && name != "runcmd" {
			t.Errorf("%s: this test does not know the field %s", where, name)
		}
	}
	runs, _ := fields["runcmd"].([]any)
	for _, r := range runs {
		script, ok := r.(string)
		if !ok {
			t.Errorf("%s: runcmd has %v; want scripts", where, r)
		}
		judge := exec.Command("bash", "-n")
		judge.Stdin = strings.NewReader(script)
		if out, err := judge.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", where, err, out)
		}
		for _, words := range commandsIn(script) {
			if words[0] == "causeway" {
				judgeCommand(t, root, where, words[1:], true)
			}
		}
	}
	files, _ := fields["write_files"].([]any)
	for _, f := range files {
		file, _ := f.(map[string]any)
		path, _ := file["path"].(string)
		content, _ := file["content"].(string)
		if !filepath.IsAbs(path) || content == "" {
			t.Errorf("%s: write_files wants a path and a content, found %v", where, file)
		}
		var inner map[string]any
		if strings.HasSuffix(path, ".yaml") {
			if err := strictyaml.Decode(where+" "+path, []byte(content), &inner); err != nil {
				t.Errorf("%v", err)
			}
		}
	}
}

// judgeCommand holds a command line against the commands that there are. Whole
// lines must have all they need; a mention may leave things out.
func judgeCommand(t *testing.T, root *command, where string, words []string, whole bool) {
	t.Helper()
	name := "causeway " + strings.Join(words, " ")
	c, rest, err := root.Find(words)
	if err != nil {
		t.Errorf("%s: %s: %v", where, name, err)
		return
	}
	c.InitDefaultHelpFlag()
	c.Flags().VisitAll(func(f *pflag.Flag) { f.Changed = false }) // by the command line before
	if err := c.ParseFlags(rest); err != nil && (whole || !strings.Contains(err.Error(), "needs an argument")) {
		t.Errorf("%s: %s: %v", where, name, err)
		return
	}
	args := c.Flags().Args()
	if !c.Runnable() || c.HasSubCommands() && len(args) > 0 {
		if len(args) > 0 {
			t.Errorf("%s: %s: %q is no command of %s", where, name, args[0], c.CommandPath())
		}
		return
	}
	if whole {
		if err := c.ValidateArgs(args); err != nil {
			t.Errorf("%s: %s: %v", where, name, err)
		}
		if err := c.ValidateRequiredFlags(); err != nil {
			t.Errorf("%s: %s: %v", where, name, err)
		}
	}
	if path := c.CommandPath(); (path == "causeway lab run" || path == "causeway lab up") && len(args) > 0 && !strings.Contains(args[0], "/") {
		if _, err := os.Stat("../../lab/" + args[0] + ".yaml"); err != nil {
			t.Errorf("%s: there is no scenario %s", where, args[0])
		}
	}
}

// commandsIn are the simple commands of a shell script, as words. It knows
// quotes, comments, operators, redirections, here-documents and $( ), and takes
// variables as they stand.
func commandsIn(script string) (commands [][]string) {
	var words []string
	end := func() {
		for len(words) > 0 && (words[0] == "sudo" || words[0] == "env" || words[0] == "exec" || regexp.MustCompile(`^(-[a-zA-Z]+|[A-Z_]+=.*|!|if|while|until|then|do|else|\{)$`).MatchString(words[0])) {
			words = words[1:]
		}
		if len(words) > 0 {
			commands = append(commands, words)
		}
		words = nil
	}
	terminator := ""
	var inner []string
	for i := 0; i < len(script); {
		c := script[i]
		switch {
		case c == '\\' && i+1 < len(script) && script[i+1] == '\n':
			i += 2
		case c == '\n':
			end()
			i++
			if terminator != "" {
				for i < len(script) {
					line, _, _ := strings.Cut(script[i:], "\n")
					i = min(len(script), i+len(line)+1)
					if strings.TrimSpace(line) == terminator {
						break
					}
				}
				terminator = ""
			}
		case c == ' ' || c == '\t':
			i++
		case c == '#':
			for i < len(script) && script[i] != '\n' {
				i++
			}
		case c == ';' || c == '&' || c == '|' || c == '(' || c == ')':
			end()
			i++
		case c == '<' || c == '>' || (c == '2' || c == '1') && i+1 < len(script) && script[i+1] == '>':
			start := i
			for i < len(script) && strings.IndexByte("<>&12-", script[i]) >= 0 {
				i++
			}
			operator := script[start:i]
			for i < len(script) && script[i] == ' ' {
				i++
			}
			if strings.Contains(operator, "&") {
				continue
			}
			word, next := oneWord(script, i, &inner)
			if strings.HasPrefix(operator, "<<") && !strings.HasPrefix(operator, "<<<") {
				terminator = word
			}
			i = next
		default:
			word, next := oneWord(script, i, &inner)
			words = append(words, word)
			i = next
		}
	}
	end()
	for _, s := range inner {
		commands = append(commands, commandsIn(s)...)
	}
	return commands
}

// oneWord is the word at i, and where it ends; what stands in $( ) goes to inner.
func oneWord(script string, i int, inner *[]string) (string, int) {
	var word strings.Builder
	quote := byte(0)
	for ; i < len(script); i++ {
		c := script[i]
		switch {
		case quote == 0 && strings.IndexByte(" \t\n;&|()<>", c) >= 0:
			return word.String(), i
		case quote != '\'' && c == '$' && i+1 < len(script) && script[i+1] == '(':
			depth, from := 0, i+2
			for i++; i < len(script); i++ {
				if script[i] == '(' {
					depth++
				} else if script[i] == ')' {
					if depth--; depth == 0 {
						break
					}
				}
			}
			*inner = append(*inner, script[from:min(i, len(script))])
			word.WriteString("$()")
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		case quote != '\'' && c == '\\' && i+1 < len(script):
			i++
			if script[i] != '\n' {
				word.WriteByte(script[i])
			}
		default:
			word.WriteByte(c)
		}
	}
	return word.String(), i
}
