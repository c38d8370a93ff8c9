package diagnose

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Every code has its row in the reference and its paragraph in the troubleshooting guide.
func TestThePagesHaveEveryCode(t *testing.T) {
	reference, err := os.ReadFile("../../../docs/reference/vpn-diagnosis.md")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../finding.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		n++
		if !strings.Contains(string(reference), "\n| `"+code+"` |") {
			t.Errorf("docs/reference/vpn-diagnosis.md has no row for %s", code)
		}
		if !strings.Contains(string(guide), "\n### "+code+"\n") {
			t.Errorf("docs/troubleshooting.md has no paragraph for %s", code)
		}
		return true
	})
	if n < 40 {
		t.Errorf("found %d codes only", n)
	}
}
