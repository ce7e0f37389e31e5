//go:build e2e && linux

package test

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// inProject runs a command in the top directory, and returns what it prints.
func inProject(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// A release has what it should have, and what is built twice is the same.
func TestDist(t *testing.T) {
	program(t, "nfpm")
	program(t, "cyclonedx-gomod")
	first, second := t.TempDir(), t.TempDir()
	inProject(t, "go", "run", "./test/cmd/dist", "-o", first, "-version", "v1.2.3", "linux/amd64", "windows/amd64")
	inProject(t, "go", "run", "./test/cmd/dist", "-o", second, "-version", "v1.2.3", "linux/amd64")
	sums := readText(t, filepath.Join(first, "SHA256SUMS"))
	for line := range strings.Lines(readText(t, filepath.Join(second, "SHA256SUMS"))) {
		if !strings.Contains(sums, line) {
			t.Errorf("the second build differs: %s is not in\n%s", line, sums)
		}
	}
	check := exec.CommandContext(t.Context(), "sha256sum", "-c", "SHA256SUMS")
	check.Dir = first
	if out, err := check.CombinedOutput(); err != nil || strings.Count(string(out), "OK") != 8 {
		t.Errorf("got %s (%v), want two archives, two packages and four bills of materials", out, err)
	}
	t.Run("archives", func(t *testing.T) { checkArchives(t, first) })
	t.Run("deb", func(t *testing.T) { checkDeb(t, first) })
	t.Run("rpm", func(t *testing.T) { checkRPM(t, first) })
}

func readText(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func checkArchives(t *testing.T, dir string) {
	t.Helper()
	tarball := untar(t, filepath.Join(dir, "docker-gitea_1.2.3_linux_amd64.tar.gz"))
	zipped := unzip(t, filepath.Join(dir, "docker-gitea_1.2.3_windows_amd64.zip"))
	for _, c := range []struct {
		files  map[string][]byte
		top    string
		suffix string
	}{
		{tarball, "docker-gitea_1.2.3_linux_amd64/", ""},
		{zipped, "docker-gitea_1.2.3_windows_amd64/", ".exe"},
	} {
		for _, name := range []string{
			"docker-gitea" + c.suffix, "docker-credential-gitea" + c.suffix,
			"LICENSE", "NOTICE", "README.md", "CHANGELOG.md",
			"sbom/docker-gitea.cdx.json", "sbom/docker-credential-gitea.cdx.json",
			"share/man/man1/docker-gitea-push.1", "share/man/man1/docker-credential-gitea-login.1",
			"share/bash-completion/completions/docker-gitea", "share/zsh/site-functions/_docker-gitea",
			"share/fish/vendor_completions.d/docker-gitea.fish", "share/powershell/docker-gitea.ps1",
		} {
			if len(c.files[c.top+name]) == 0 {
				t.Errorf("%s%s is missing or empty; there are %q", c.top, name, slices.Sorted(maps.Keys(c.files)))
			}
		}
	}
	bill := decode[struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct{ Name string }
	}](t, tarball["docker-gitea_1.2.3_linux_amd64/sbom/docker-gitea.cdx.json"])
	named := func(name string) bool {
		return slices.ContainsFunc(bill.Components, func(c struct{ Name string }) bool { return c.Name == name })
	}
	if bill.BOMFormat != "CycloneDX" || !named("github.com/spf13/cobra") || named("github.com/zalando/go-keyring") {
		t.Errorf("the plugin's bill of materials is not the plugin's: %v", bill)
	}
	notice := string(tarball["docker-gitea_1.2.3_linux_amd64/NOTICE"])
	for _, c := range bill.Components {
		if c.Name != "std" && !strings.Contains(notice, "\n"+c.Name+"\n") {
			t.Errorf("NOTICE has no license of %s", c.Name)
		}
	}
}

func untar(t *testing.T, file string) map[string][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	compressed, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for archive := tar.NewReader(compressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

func unzip(t *testing.T, file string) map[string][]byte {
	t.Helper()
	archive, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	files := map[string][]byte{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return files
}

// aside runs a script as root with /usr, /var and /etc as they are, whose
// changes nobody else sees and which vanish with it.
func aside(t *testing.T, script string, args ...string) string {
	t.Helper()
	const layers = `set -e
mount -t tmpfs scratch "$SCRATCH"
for name in usr var etc; do
	mkdir -p "$SCRATCH/$name/upper" "$SCRATCH/$name/work"
	mount -t overlay "over-$name" -o "lowerdir=/$name,upperdir=$SCRATCH/$name/upper,workdir=$SCRATCH/$name/work" "/$name"
done
`
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", layers + script, "sh"}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + t.TempDir(), "SCRATCH=" + t.TempDir()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// dpkg installs the package, docker finds the plugin, and dpkg removes all of it.
func checkDeb(t *testing.T, dir string) {
	t.Helper()
	deb := filepath.Join(dir, "docker-gitea_1.2.3_amd64.deb")
	out := aside(t, `
dpkg-deb -f "$1" Maintainer
dpkg --no-triggers -i "$1"
"$2" gitea version
"$2" info --format '{{range .ClientInfo.Plugins}}{{.Path}} {{.Version}} {{.Err}}
{{end}}' 2>/dev/null | grep docker-gitea || true
docker-credential-gitea version
docker-gitea-push --help | grep Usage
zcat -f /usr/share/man/man1/docker-gitea-push.1 | head -2
dpkg --no-triggers -r docker-gitea
if ls -d /usr/bin/docker*gitea* /usr/libexec/docker/cli-plugins/docker-gitea /usr/share/man/man1/docker*gitea* 2>/dev/null; then
	echo "left behind"
fi
`, deb, program(t, "docker"))
	for _, want := range []string{
		"The docker-gitea authors <noreply@docker-gitea.invalid>\n",
		"/usr/libexec/docker/cli-plugins/docker-gitea 1.2.3",
		"docker-credential-gitea (github.com/docker-gitea/docker-gitea) 1.2.3",
		"Usage:  docker-gitea-push",
		`.TH "DOCKER-GITEA-PUSH" "1"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "left behind") {
		t.Errorf("files are left behind:\n%s", out)
	}
}

func checkRPM(t *testing.T, dir string) {
	t.Helper()
	files := inProject(t, program(t, "rpm"), "-qpl", filepath.Join(dir, "docker-gitea-1.2.3-1.x86_64.rpm"))
	for _, want := range []string{
		"/usr/libexec/docker/cli-plugins/docker-gitea", "/usr/bin/docker-credential-gitea", "/usr/bin/docker-gitea-push",
		"/usr/share/man/man1/docker-gitea-push.1", "/usr/share/zsh/site-functions/_docker-gitea",
	} {
		if !slices.Contains(strings.Split(files, "\n"), want) {
			t.Errorf("%s is missing in\n%s", want, files)
		}
	}
}

// `make install` for one user and for all, and `make uninstall` of the same.
func TestMakeInstall(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"user", []string{"SYSTEM="}, []string{
			"/home/.docker/cli-plugins/docker-gitea", "/home/.local/bin/docker-credential-gitea", "/home/.local/bin/docker-gitea-push",
			"/home/.local/share/man/man1/docker-gitea-push.1", "/home/.local/share/bash-completion/completions/docker-gitea",
		}},
		{"system", []string{"PREFIX=/opt"}, []string{
			"/opt/libexec/docker/cli-plugins/docker-gitea", "/opt/bin/docker-credential-gitea", "/opt/bin/docker-gitea-push",
			"/opt/share/man/man1/docker-gitea-push.1", "/opt/share/zsh/site-functions/_docker-gitea",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dest := t.TempDir()
			args := append(c.args, "HOME=/home", "DESTDIR="+dest, "DOCKER_CONFIG=", "XDG_DATA_HOME=")
			inProject(t, "make", append([]string{"install"}, args...)...)
			installed := filesBelow(t, dest)
			for _, want := range c.want {
				if !slices.Contains(installed, want) {
					t.Errorf("%s is missing in %q", want, installed)
				}
			}
			inProject(t, "make", append([]string{"uninstall"}, args...)...)
			if left := filesBelow(t, dest); len(left) > 0 {
				t.Errorf("make uninstall leaves %q", left)
			}
		})
	}
}

func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
