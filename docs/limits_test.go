package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Each number in the tables of limits is the one that the code has under the name beside it.
func TestLimitsAreTheCodes(t *testing.T) {
	page, err := os.ReadFile("explanation/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	code := &constants{packages: map[string]map[string]ast.Expr{}}
	rows := 0
	for _, m := range regexp.MustCompile("(?m)^\\| ([^|]+) \\| ([^|]+) \\| `(\\w+)\\.(\\w+)` \\|").FindAllStringSubmatch(string(page), -1) {
		rows++
		what, number, pkg, name := m[1], m[2], m[3], m[4]
		if name == "Options" {
			continue // the default of a field, written in its comment only
		}
		value, err := code.value(pkg, name)
		if err != nil {
			t.Errorf("%s: %s.%s: %v", what, pkg, name, err)
			continue
		}
		if !anyOf(number, spellings(value)) {
			t.Errorf("%s: the page says %q, %s.%s is %v", what, number, pkg, name, spellings(value))
		}
	}
	if rows < 50 {
		t.Errorf("only %d rows were found: are they still written as this test reads them?", rows)
	}
}

// spellings are how a page may write a number: plain, as bytes, as a time.
func spellings(v float64) []string {
	out := []string{grouped(int64(v))}
	for unit, size := range map[string]float64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": float64(time.Second), "h": float64(time.Hour), "days": 24 * float64(time.Hour), "years": 365 * 24 * float64(time.Hour)} {
		if n := v / size; n >= 1 && n == math.Trunc(n) {
			out = append(out, grouped(int64(n))+" "+unit)
		}
	}
	return out
}

// grouped is n with commas.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func anyOf(text string, wanted []string) bool {
	for _, w := range wanted {
		if regexp.MustCompile(`(^| )` + regexp.QuoteMeta(w) + `( |$)`).MatchString(strings.TrimSpace(text)) {
			return true
		}
	}
	return false
}

// constants works out constants of our packages from their source: those that
// are made of numbers, of one another and of units of time.
type constants struct {
	packages map[string]map[string]ast.Expr
}

func (c *constants) value(pkg, name string) (float64, error) {
	known, err := c.load(pkg)
	if err != nil {
		return 0, err
	}
	e := known[name]
	if e == nil {
		return 0, fmt.Errorf("there is no such constant")
	}
	return c.eval(pkg, e)
}

func (c *constants) load(pkg string) (map[string]ast.Expr, error) {
	if known, ok := c.packages[pkg]; ok {
		return known, nil
	}
	var files []string
	for _, pattern := range []string{"../internal/%s/*.go", "../internal/*/%s/*.go", "../internal/*/*/%s/*.go", "../internal/*/*/*/%s/*.go"} {
		found, err := filepath.Glob(fmt.Sprintf(pattern, pkg))
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if pkg == "main" {
		files, _ = filepath.Glob("../cmd/causeway/*.go")
	}
	known := map[string]ast.Expr{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if file.Name.Name != pkg {
			continue
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i, value := range v.Values {
					known[v.Names[i].Name] = value
				}
			}
		}
	}
	c.packages[pkg] = known
	return known, nil
}

func (c *constants) eval(pkg string, e ast.Expr) (float64, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		n, err := strconv.ParseInt(e.Value, 0, 64)
		if err != nil {
			return strconv.ParseFloat(e.Value, 64)
		}
		return float64(n), nil
	case *ast.ParenExpr:
		return c.eval(pkg, e.X)
	case *ast.Ident:
		return c.value(pkg, e.Name)
	case *ast.SelectorExpr:
		units := map[string]time.Duration{"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}
		if unit, ok := units[e.Sel.Name]; ok {
			return float64(unit), nil
		}
		return c.value(e.X.(*ast.Ident).Name, e.Sel.Name)
	case *ast.BinaryExpr:
		x, err := c.eval(pkg, e.X)
		if err != nil {
			return 0, err
		}
		y, err := c.eval(pkg, e.Y)
		if err != nil {
			return 0, err
		}
		switch e.Op {
		case token.MUL:
			return x * y, nil
		case token.SHL:
			return x * math.Pow(2, y), nil
		case token.ADD:
			return x + y, nil
		case token.SUB:
			return x - y, nil
		}
	}
	return 0, fmt.Errorf("this test cannot work it out; teach it")
}
