//go:build !windows

package programs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ofDirectories are the functions whose mode lets somebody enter a directory, not run
// a file. A Chmod of one says so in a comment of its line: a directory.
var ofDirectories = []string{"Mkdir", "MkdirAll"}

// No test writes a program by itself: it would fail now and then, beside tests that
// start programs.
func TestProgramsAreWrittenHere(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		ofTests := strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test/") && strings.HasSuffix(name, ".go")
		if !ofTests || name == "test/programs/programs.go" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, 0)
		if err != nil {
			return err
		}
		lines := strings.Split(string(text), "\n")
		ast.Inspect(file, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok && runnable(call) {
				if at := set.Position(call.Pos()); !strings.Contains(lines[at.Line-1], " // a directory") {
					t.Errorf("%s: use programs.Write", at)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// runnable says whether an argument of the call is a mode that lets somebody run a file.
func runnable(call *ast.CallExpr) bool {
	name, _ := call.Fun.(*ast.Ident)
	if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
		name = selector.Sel
	}
	if name != nil && slices.Contains(ofDirectories, name.Name) {
		return false
	}
	return slices.ContainsFunc(call.Args, func(arg ast.Expr) bool {
		literal, ok := arg.(*ast.BasicLit)
		if !ok || !strings.HasPrefix(literal.Value, "0o") {
			return false
		}
		mode, err := strconv.ParseUint(literal.Value, 0, 32)
		return err == nil && mode&0o111 != 0
	})
}
