package resource

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the reference page anew")

// page is docs/reference/errors.md.
func page() string {
	var b strings.Builder
	b.WriteString(`# Errors

Every refusal of the control plane has a **code**, which is stable, a sentence, and, where it is about one, the **field** with what was found in it and what
is allowed. It says what to do, and names the resources that stand in the way. Nothing of a refused request is carried out. Programs go by the code;
the **class** says what an HTTP status, an exit code or a decision to try again goes by.

This page is made from ` + "`internal/resource/codes.go`" + `; do not edit it.

| code | class | when | what to do |
|---|---|---|---|
`)
	for _, row := range CodeTable {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", row.Code, row.Class, row.Meaning, row.Fix)
	}
	return b.String()
}

func TestTheReferencePageIsFresh(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "reference", "errors.md")
	if *rewrite {
		if err := os.WriteFile(file, []byte(page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != page() {
		t.Errorf("%s is not what the codes make; run: go test ./internal/resource -run ReferencePage -rewrite", file)
	}
}

func TestEveryCodeIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Code") {
			named++
		}
		return true
	})
	if named != len(CodeTable) || named == 0 {
		t.Errorf("there are %d codes, and the table explains %d", named, len(CodeTable))
	}
	seen := map[Code]bool{}
	for _, row := range CodeTable {
		if seen[row.Code] || row.Meaning == "" || row.Fix == "" || row.Class == "" {
			t.Errorf("the row of %q is there twice, or not whole", row.Code)
		}
		seen[row.Code] = true
	}
}
