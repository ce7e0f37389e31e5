//go:build e2e && linux

package test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestWideRelease tags this project in a repository of Gitea: its workflow makes
// the release, whose files are verified as docs/install.md says, and which the
// action then installs.
func TestWideRelease(t *testing.T) {
	wide(t)
	attest(t, "job", "the runner of Gitea Actions", "makes a signed release of a tag, which `action.yml` installs", "runner", "gitea")
	program(t, "nfpm")
	program(t, "cyclonedx-gomod")
	f := newFactory(t)
	f.offer(t, "actions", "setup-go", "name: go\ndescription: Go is here already.\nruns:\n  using: composite\n  steps:\n    - {shell: bash, run: go version}\n", "v5")
	newRepository(t, f.Gitea, f.user, "tool")
	repository := f.user + "/tool"
	private, public := newKey(t)
	servers.Need(t, f.API(t.Context(), http.MethodPut, "/repos/"+repository+"/actions/secrets/RELEASE_KEY", map[string]any{"data": private}, nil))
	servers.Need(t, f.API(t.Context(), http.MethodPost, "/repos/"+repository+"/actions/variables/RELEASE_PLATFORMS", map[string]any{"value": "linux/" + runtime.GOARCH}, nil))
	servers.Need(t, f.API(t.Context(), http.MethodPost, "/user/keys?sudo="+f.user, map[string]any{"title": "release", "key": public}, nil))
	f.tagProject(t, repository)
	if log, ok := f.await(t, repository); !ok || strings.Contains(log, "PRIVATE KEY") {
		t.Fatalf("succeeded: %v: %s", ok, log)
	}

	dir := f.download(t, repository)
	verify := f.verifying(t)
	if out, err := verify(dir); err != nil || strings.Count(out, ": OK") != 5 {
		t.Errorf("an archive, two packages and two bills of materials: %v: %s", err, out)
	}
	sums := filepath.Join(dir, "SHA256SUMS")
	samples.WriteFile(t, sums, []byte(strings.Replace(readText(t, sums), "  docker", "  another", 1)))
	if out, err := verify(dir); err == nil || !strings.Contains(out, "incorrect signature") {
		t.Errorf("other checksums: %v: %s", err, out)
	}

	page := strings.Replace(readText(t, "../docs/examples/gitea-actions.yaml"), "          source: app:ci", strings.Join([]string{
		"          source: app:ci", "          ca: " + fingerprint(t, f.CAFile), "          archive: " + f.URL + "/" + repository + "/releases/download/v0.1.0",
	}, "\n"), 1)
	if log, ok := f.job(t, "app", page); !ok || !strings.Contains(log, "pushed "+f.Host+"/"+f.user+"/app") {
		t.Errorf("the action, with the release: succeeded: %v: %s", ok, log)
	}
}

// newKey makes a pair of keys.
func newKey(t *testing.T) (private, public string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "release-key")
	run(t, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)
	return readText(t, file), readText(t, file+".pub")
}

// tagProject pushes this project as its maintainer would: the changes have the
// version for a name.
func (f *factory) tagProject(t *testing.T, repository string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	to, err := url.Parse(f.URL)
	servers.Need(t, err)
	to.User, to.Path = url.UserPassword(f.user, servers.AdminPassword), "/"+repository
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_SSL_CAINFO=" + f.CAFile, "DIR=" + dir,
		"TO=" + to.String(),
	}
	here, err := filepath.Abs("..")
	servers.Need(t, err)
	run(t, append(env, "HERE="+here), "bash", "-euc", `
git config --global --add safe.directory '*'
git clone -q "$HERE" "$DIR"
cd "$DIR"
sed -i 's/^## Unreleased$/## 0.1.0/' CHANGELOG.md
git -c user.name=me -c user.email=me@example.com commit -qam 'CHANGELOG: name the release'
git tag v0.1.0
git push -q "$TO" HEAD:refs/heads/main v0.1.0`)
}

// download fetches the files of the release.
func (f *factory) download(t *testing.T, repository string) (dir string) {
	t.Helper()
	var release struct {
		Draft  bool
		Body   string
		Assets []struct {
			Name string
			URL  string `json:"browser_download_url"`
		}
	}
	servers.Need(t, f.API(t.Context(), http.MethodGet, "/repos/"+repository+"/releases/tags/v0.1.0", nil, &release))
	if release.Draft || !strings.HasPrefix(release.Body, "The first release.") {
		t.Errorf("draft: %v; %q", release.Draft, release.Body)
	}
	dir = t.TempDir()
	for _, asset := range release.Assets {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, asset.URL, http.NoBody)
		servers.Need(t, err)
		resp, err := f.Client().Do(req)
		servers.Need(t, err)
		content, err := io.ReadAll(resp.Body)
		servers.Need(t, err)
		servers.Need(t, resp.Body.Close())
		samples.WriteFile(t, filepath.Join(dir, asset.Name), content)
	}
	return dir
}

// verifying types in a folder what docs/install.md says.
func (f *factory) verifying(t *testing.T) func(dir string) (string, error) {
	t.Helper()
	_, text, found := strings.Cut(readText(t, "../docs/install.md"), "TestWideRelease does the same.*\n\n```sh\n")
	script, _, shut := strings.Cut(text, "```")
	if !found || !shut {
		t.Fatal("docs/install.md does not say how a release is verified")
	}
	script = strings.NewReplacer("https://git.example.com", f.URL, "me.keys", f.user+".keys").Replace(script)
	return func(dir string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "bash", "-ec", script)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "CURL_CA_BUNDLE=" + f.CAFile}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}
