package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Version returns the version of a program: of the module that pins it, or of
// its Debian package.
func Version(ctx context.Context, name string) (string, error) {
	if i := slices.IndexFunc(tools, func(t tool) bool { return t.name == name }); i >= 0 {
		return tools[i].version()
	}
	for _, p := range slices.Concat(packages, widePackages) {
		if p.program == name {
			return output(exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${Version}", p.name))
		}
	}
	return "", fmt.Errorf("version of %s: neither a tool nor of a Debian package", name)
}

// version reads what the tool's module requires.
func (t tool) version() (string, error) {
	root, err := toolsDir()
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(filepath.Join(root, t.module, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read tool module: %w", err)
	}
	required := regexp.MustCompile(`(?m)^(?:require)?\s+` + regexp.QuoteMeta(t.source) + ` v(\S+)`).FindSubmatch(content)
	if required == nil {
		return "", fmt.Errorf("version of %s: %s is not in its module", t.name, t.source)
	}
	return strings.TrimSuffix(string(required[1]), "+incompatible"), nil
}
