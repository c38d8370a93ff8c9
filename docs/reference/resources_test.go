package reference

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"causeway/internal/resource"
	"causeway/internal/vpn"
)

var update = flag.Bool("update", false, "write the generated parts of the pages anew")

const (
	fieldsBegin = "<!-- fields:begin -->\n"
	fieldsEnd   = "<!-- fields:end -->\n"
	statesBegin = "<!-- states:begin -->\n"
	statesEnd   = "<!-- states:end -->\n"
)

// The tables of resources.md are what the comments of package resource say.
// Renew them with: go test ./docs/reference -run Resources -update
func TestResourcesPageIsTheCodes(t *testing.T) {
	page, err := os.ReadFile("resources.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), fieldsBegin)
	_, after, ok2 := strings.Cut(rest, fieldsEnd)
	if !ok || !ok2 {
		t.Fatalf("resources.md lacks the marks %q and %q", fieldsBegin, fieldsEnd)
	}
	want := before + fieldsBegin + resourceTables(t) + fieldsEnd + after
	before, rest, ok = strings.Cut(want, statesBegin)
	_, after, ok2 = strings.Cut(rest, statesEnd)
	if !ok || !ok2 {
		t.Fatalf("resources.md lacks the marks %q and %q", statesBegin, statesEnd)
	}
	want = before + statesBegin + stateTable(readResources(t)) + statesEnd + after
	if want == string(page) {
		return
	}
	if !*update {
		t.Fatal("package resource says something else than resources.md; renew it: go test ./docs/reference -run Resources -update")
	}
	if err := os.WriteFile("resources.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// described are the types of package resource by name.
type described map[string]typ

type typ struct {
	doc    string
	fields *ast.StructType // of structs
	values []value         // of types with constants
}

type value struct{ text, comment string }

func resourceTables(t *testing.T) string {
	types := readResources(t)
	var b strings.Builder
	for _, kind := range []struct{ key, name string }{
		{"regions", "Region"}, {"pops", "PoP"}, {"accelerators", "Accelerator"}, {"bandwidth_packages", "BandwidthPackage"},
		{"ip_sets", "IPSet"}, {"listeners", "Listener"}, {"egress_ips", "EgressIP"}, {"endpoint_groups", "EndpointGroup"},
		{"vpn_gateways", "VPNGateway"}, {"customer_gateways", "CustomerGateway"}, {"ipsec_connections", "IPsecConnection"}, {"vpn_routes", "VPNRoute"},
		{"", "AccessKey"}, {"", "Token"},
	} {
		spec, ok := types[kind.name+"Spec"]
		if !ok {
			t.Fatalf("package resource has no %sSpec", kind.name)
		}
		title := "`" + kind.key + "`"
		if kind.key == "" {
			title = kind.name + " (not in files)"
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| field | | what |\n|---|---|---|\n", title, types[kind.name].doc)
		types.rows(&b, "", spec.fields, "")
	}
	b.WriteString("\n")
	return b.String()
}

// rows writes a row for each field, those of structs inside after it. Types
// without a package are pkg's: "" is resource, "vpn." vpn.
func (d described) rows(b *strings.Builder, prefix string, s *ast.StructType, pkg string) {
	siblings := map[string]string{}
	for _, f := range s.Fields.List {
		for _, n := range f.Names {
			siblings[n.Name], _ = yamlName(f)
		}
	}
	for _, f := range s.Fields.List {
		name, must := yamlName(f)
		if len(f.Names) == 0 || name == "-" {
			continue
		}
		need := ""
		if must {
			need = "must be given"
		}
		inner, list := elem(f.Type)
		if _, known := d[pkg+inner]; known && !strings.Contains(inner, ".") {
			inner = pkg + inner
		}
		mark := ""
		if list {
			mark = "[]"
		}
		what := comment(f, siblings)
		nested := d[inner]
		isStruct := nested.fields != nil && inner != "HealthCheck"
		if isStruct {
			what = strings.TrimPrefix(what+". "+nested.inWords(), ". ")
		}
		if len(nested.values) > 0 {
			var all []string
			for _, v := range nested.values {
				all = append(all, "`"+v.text+"`")
			}
			what = strings.TrimSuffix("one of "+strings.Join(all, ", ")+"; "+what, "; ")
		}
		if inner == "HealthCheck" {
			what += "; its fields are those of [a snapshot's `health`](snapshot.md#health)"
		}
		fmt.Fprintf(b, "| `%s%s%s` | %s | %s |\n", prefix, name, mark, need, what)
		if isStruct {
			within := ""
			if strings.HasPrefix(inner, "vpn.") {
				within = "vpn."
			}
			d.rows(b, prefix+name+mark+".", nested.fields, within)
		}
	}
}

// inWords is a struct's doc with its fields called as in files.
func (t typ) inWords() string {
	text := strings.ReplaceAll(t.doc, ", by this package's names (algorithms.go)", "; "+algorithms())
	for _, f := range t.fields.Fields.List {
		for _, n := range f.Names {
			if name, _ := yamlName(f); name != "-" {
				text = regexp.MustCompile(`\b`+n.Name+`\b`).ReplaceAllString(text, "`"+name+"`")
			}
		}
	}
	return text
}

// algorithms are the names that proposals are made of.
func algorithms() string {
	names := func(list []vpn.Algorithm) string {
		var all []string
		for _, a := range list {
			all = append(all, "`"+a.Name+"`")
		}
		return strings.Join(all, ", ")
	}
	return "encryption: " + names(vpn.Ciphers) + "; integrity and PRF: " + names(vpn.Hashes)
}

// stateTable has a row for each state.
func stateTable(d described) string {
	var b strings.Builder
	b.WriteString("\n| state | what it means |\n|---|---|\n")
	for _, v := range d["State"].values {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v.text, v.comment)
	}
	b.WriteString("\n")
	return b.String()
}

func yamlName(f *ast.Field) (name string, must bool) {
	if f.Tag == nil {
		return "-", false
	}
	name, options, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml"), ",")
	return name, !strings.Contains(options, "omitempty")
}

// elem is the name of a field's type, or of what it points to or lists.
func elem(e ast.Expr) (name string, list bool) {
	switch e := e.(type) {
	case *ast.ArrayType:
		name, _ = elem(e.Elt)
		return name, true
	case *ast.StarExpr:
		return elem(e.X)
	case *ast.Ident:
		return e.Name, false
	case *ast.SelectorExpr:
		if from, ok := e.X.(*ast.Ident); ok && from.Name == "vpn" {
			return "vpn." + e.Sel.Name, false
		}
	}
	return "", false
}

// comment is what the code says of a field, with fields called as in files.
func comment(f *ast.Field, siblings map[string]string) string {
	text := strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " ")
	for code, name := range siblings {
		text = regexp.MustCompile(`\b`+code+`\b( (is|asks|keeps|names) )`).ReplaceAllString(text, "`"+name+"`$1")
		text = regexp.MustCompile(`(default |what )`+code+`\b`).ReplaceAllString(text, "$1`"+name+"`")
	}
	var names []string
	for _, s := range resource.InstanceSpecs {
		names = append(names, "`"+s.Name+"`")
	}
	for _, r := range [][2]string{{"DefaultIKE", "aes256, sha256, group 14"}, {"DefaultESP", "aes256, sha256, group 14"}, {"5 × Delay", "5 × `delay`"}} {
		text = strings.ReplaceAll(text, r[0], r[1])
	}
	text = strings.ReplaceAll(text, "a name from InstanceSpecs", "one of "+strings.Join(names, ", "))
	return strings.ReplaceAll(text, "|", `\|`)
}

func readResources(t *testing.T) described {
	d := described{}
	d.read(t, "../../internal/resource/*.go", "")
	d.read(t, "../../internal/vpn/*.go", "vpn.")
	return d
}

// read adds the types of a package, their names after a prefix.
func (d described) read(t *testing.T, pattern, pkg string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files like %s: %v", pattern, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if s, ok := spec.Type.(*ast.StructType); ok {
						d[pkg+spec.Name.Name] = typ{doc: strings.Join(strings.Fields(g.Doc.Text()), " "), fields: s}
					}
				case *ast.ValueSpec:
					d.constant(spec, pkg)
				}
			}
		}
	}
}

// constant notes a constant of a named type whose value is a string.
func (d described) constant(spec *ast.ValueSpec, pkg string) {
	named, ok := spec.Type.(*ast.Ident)
	if !ok || len(spec.Values) != 1 {
		return
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return
	}
	e := d[pkg+named.Name]
	e.values = append(e.values, value{strings.Trim(literal.Value, `"`), strings.TrimSpace(spec.Comment.Text())})
	d[pkg+named.Name] = e
}
