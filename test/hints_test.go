package test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hint is what one of the programs tells its user to do.
type hint struct {
	where, text string
	// seen is what the user did, where that is known.
	seen string
	// helpers is set for one that the credential helper alone shows, plugins for
	// the plugin alone.
	helpers, plugins bool
}

// TestHintsCanBeTyped takes every command and every option that a hint names, and
// asks the program that it is of whether it has them. An option without a command
// before it must be one of each program that shows the hint.
func TestHintsCanBeTyped(t *testing.T) {
	t.Parallel()
	programs := map[string]*asked{
		"docker gitea":            {path: filepath.Join(pluginDir(t), "docker-gitea")},
		"docker-credential-gitea": {path: filepath.Join(credhelperDir(t), "docker-credential-gitea")},
	}
	hints := append(hintsOfTable(t), hintsOfSource(t)...)
	commands, options := 0, 0
	for _, h := range hints {
		for _, clause := range regexp.MustCompile(`; |, and |, then | - or |: `).Split(h.text, -1) {
			var of string // the program that the clause is about
			var command []string
			words := strings.Fields(strings.NewReplacer("`", " ", `"`, " ", "(", " ", ")", " ", ",", " ").Replace(clause))
			for i, word := range words {
				next := func(n int) string {
					if i+n < len(words) {
						return words[i+n]
					}
					return ""
				}
				switch {
				case word == "docker" && next(1) == "gitea":
					of, command = "docker gitea", commandAt(words[i+2:])
				case word == "docker-credential-gitea":
					of, command = word, commandAt(words[i+1:])
				case word == "push" && of == "" || word == "push" && next(-1) != "gitea":
					of, command = "docker gitea", []string{"push"}
				default:
					if name, _, _ := strings.Cut(word, "="); strings.HasPrefix(name, "--") {
						options++
						h.checkOption(t, programs, name, of, command)
					}
					continue
				}
				if len(command) > 0 {
					commands++
					if !programs[of].has(t, command, "") {
						t.Errorf("%s: %s has no command %q: %s", h.where, of, command, h.text)
					}
				}
			}
		}
	}
	if commands < 30 || options < 20 {
		t.Errorf("only %d commands and %d options were found in %d hints", commands, options, len(hints))
	}
}

// prose is what follows a program's name in a sentence about it.
var prose = []string{"takes", "asks", "and", "read", "instead", "needs", "with"}

// commandAt is the command that these words begin with; nil for a sentence.
func commandAt(words []string) []string {
	if len(words) == 0 || slices.Contains(prose, words[0]) || !regexp.MustCompile(`^[a-z][a-z-]+$`).MatchString(words[0]) {
		return nil
	}
	return words[:1]
}

// elsewhere are the options of other programs, by what they follow.
var elsewhere = regexp.MustCompile(`xz|zstd|openssl|gpg|docker run|without --long|--X`)

func (h hint) checkOption(t *testing.T, programs map[string]*asked, option, of string, command []string) {
	t.Helper()
	if elsewhere.MatchString(h.text) || strings.Contains(h.seen, option) {
		return
	}
	type place struct {
		of      string
		command []string
	}
	places := []place{{of, command}}
	if of != "" && len(command) == 0 {
		places = []place{{of, []string{map[string]string{"docker gitea": "push", "docker-credential-gitea": "login"}[of]}}}
	}
	if of == "" {
		places = nil
		if !h.plugins {
			places = append(places, place{"docker-credential-gitea", []string{"login"}})
		}
		if !h.helpers {
			places = append(places, place{"docker gitea", []string{"push"}}, place{"docker gitea", []string{"check"}}, place{"docker gitea", []string{"ls"}})
		}
		if h.plugins || h.helpers {
			// Of some command of the program that shows it.
			if !programs[places[0].of].hasSomewhere(t, option) {
				t.Errorf("%s: no command of %s has %s: %s", h.where, places[0].of, option, h.text)
			}
			return
		}
	}
	for _, p := range places {
		if !programs[p.of].has(t, p.command, option) {
			t.Errorf("%s: %s %s has no %s: %s", h.where, p.of, strings.Join(p.command, " "), option, h.text)
		}
	}
}

// asked is a program, and what its commands say of themselves.
type asked struct {
	path  string
	helps map[string]string
}

// has reports whether the program has a command, with an option if there is one.
func (p *asked) has(t *testing.T, command []string, option string) bool {
	t.Helper()
	key := strings.Join(command, " ")
	if p.helps == nil {
		p.helps = map[string]string{}
	}
	if _, known := p.helps[key]; !known {
		ask := func(option string) ([]byte, error) {
			cmd := exec.CommandContext(t.Context(), p.path, append(slices.Clone(command), option)...)
			cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=/usr/bin:/bin"}
			return cmd.CombinedOutput()
		}
		out, err := ask("--help")
		if strings.Contains(string(out), "--help-all") {
			out, err = ask("--help-all")
		}
		if err != nil || !strings.Contains(string(out), filepath.Base(p.path)+" "+key) && !strings.Contains(string(out), "docker gitea "+key) {
			out = nil
		}
		p.helps[key] = string(out)
	}
	help := p.helps[key]
	return help != "" && (option == "" || regexp.MustCompile(regexp.QuoteMeta(option)+`\b`).MatchString(help))
}

// hasSomewhere reports whether any command has the option.
func (p *asked) hasSomewhere(t *testing.T, option string) bool {
	t.Helper()
	p.has(t, nil, "")
	for _, line := range regexp.MustCompile(`(?m)^  ([a-z-]+) +[A-Z]`).FindAllStringSubmatch(p.helps[""], -1) {
		if p.has(t, line[1:], option) {
			return true
		}
	}
	return false
}

// hintsOfTable are those of the diagnoses, as the documentation has them.
func hintsOfTable(t *testing.T) []hint {
	t.Helper()
	content, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	var hints []hint
	for line := range strings.Lines(string(content)) {
		cells := strings.Split(line, " | ")
		if len(cells) == 3 && strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| seen") {
			hints = append(hints, hint{where: cells[0], seen: cells[0], text: strings.TrimSuffix(strings.TrimSpace(cells[2]), " |")})
		}
	}
	if len(hints) < 60 {
		t.Fatalf("the table has %d hints", len(hints))
	}
	return hints
}

// hinting are the functions that are given a hint, and which argument it is.
var hinting = map[string]int{"WithHint": 1, "withHint": 1, "advise": 1}

// hintsOfSource are those that the programs give in their own code.
func hintsOfSource(t *testing.T) []hint {
	t.Helper()
	var hints []hint
	for _, dir := range []string{"../plugin", "../credhelper"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			add := func(e ast.Expr) {
				if text := literal(e); strings.Trim(text, "X ") != "" {
					hints = append(hints, hint{where: path, text: text, helpers: dir == "../credhelper", plugins: dir == "../plugin"})
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if at, ok := hinting[calledName(n)]; ok && len(n.Args) > at {
						add(n.Args[at])
					}
				case *ast.KeyValueExpr:
					if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Hint" || key.Name == "advice") {
						add(n.Value)
					}
				case *ast.FuncDecl:
					if strings.HasSuffix(n.Name.Name, "Hint") {
						ast.Inspect(n, func(n ast.Node) bool {
							if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) == 1 {
								add(r.Results[0])
							}
							return true
						})
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
	return hints
}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// literal is a text as it stands in the code, with X for what is put in.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return regexp.MustCompile(`%[a-z]`).ReplaceAllString(text, "X")
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	case *ast.CallExpr:
		if calledName(e) == "Sprintf" && len(e.Args) > 0 {
			return literal(e.Args[0])
		}
	case *ast.Ident:
		if e.Name == "program" {
			return "docker-credential-gitea"
		}
	}
	return "X"
}
