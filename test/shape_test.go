package test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// What fits into a head: the lines of a file and of a function, the parameters of a
// function, and the files of a folder. Tests and generated code are apart.
const (
	mostLines      = 450
	mostFunction   = 70
	mostParameters = 6
	mostFiles      = 22
	// mostCommands is for plugin, whose commands lie side by side.
	mostCommands = 35
)

// reason is how the comment of a function says why it is longer, or takes more, than
// others.
var reason = regexp.MustCompile(`(?m)^It is (long|wide) since `)

// No file, function or folder is larger than what a reader can hold, save a function
// whose comment says why.
func TestShape(t *testing.T) {
	t.Parallel()
	files := map[string]int{}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		set := gotoken.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		if ast.IsGenerated(file) {
			return nil
		}
		files[path.Dir(name)]++
		if n := strings.Count(string(text), "\n"); n > mostLines {
			t.Errorf("%s has %d lines, more than %d", name, n, mostLines)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && !reason.MatchString(f.Doc.Text()) {
				checkFunction(t, set, f)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder, n := range files {
		most := mostFiles
		if folder == "plugin" {
			most = mostCommands
		}
		if n > most {
			t.Errorf("%s has %d files, more than %d", folder, n, most)
		}
	}
}

func checkFunction(t *testing.T, set *gotoken.FileSet, f *ast.FuncDecl) {
	t.Helper()
	at := set.Position(f.Pos())
	if n := set.Position(f.End()).Line - at.Line + 1; n > mostFunction {
		t.Errorf("%s: %s has %d lines, more than %d", at, f.Name.Name, n, mostFunction)
	}
	if n := f.Type.Params.NumFields(); n > mostParameters {
		t.Errorf("%s: %s has %d parameters, more than %d", at, f.Name.Name, n, mostParameters)
	}
}
