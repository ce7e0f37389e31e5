//go:build e2e && linux

package test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// factory is a Gitea whose jobs are run by the real runner of Gitea Actions,
// with an engine. Its organisations have the actions that a job may use.
type factory struct {
	*servers.Gitea
	engine *servers.Engine
	user   string
}

// checkout stands for the action of that name, which is on the internet.
const checkout = `name: checkout
description: Get the repository.
runs:
  using: composite
  steps:
    - shell: bash
      run: git clone -q "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY" .
`

func newFactory(t *testing.T) *factory {
	t.Helper()
	f := &factory{Gitea: own(t, servers.GiteaOptions{Settings: map[string]string{
		"actions.ENABLED": "true", "actions.DEFAULT_ACTIONS_URL": "self",
	}}), engine: engine(t, servers.Containerd)}
	f.user = newUser(t, f.Gitea)
	for _, org := range []string{"actions", "docker-gitea"} {
		servers.Need(t, f.CreateOrg(t.Context(), org))
	}
	f.offer(t, "actions", "checkout", checkout, "v4")
	f.offer(t, "docker-gitea", "docker-gitea", readText(t, "../action.yml"), "v0.1.0")
	f.startRunner(t)
	return f
}

// offer makes the repository of an action.
func (f *factory) offer(t *testing.T, org, name, action, tag string) {
	t.Helper()
	servers.Need(t, f.API(t.Context(), http.MethodPost, "/orgs/"+org+"/repos", map[string]any{"name": name}, nil))
	f.put(t, org+"/"+name, "action.yml", action)
	servers.Need(t, f.API(t.Context(), http.MethodPost, "/repos/"+org+"/"+name+"/tags", map[string]any{"tag_name": tag}, nil))
}

// startRunner runs the runner in host mode, in which jobs have what it has.
func (f *factory) startRunner(t *testing.T) {
	t.Helper()
	runner, dir := program(t, "runner"), t.TempDir()
	token, err := f.Command(t.Context(), "actions", "generate-runner-token")
	servers.Need(t, err)
	lines := strings.Fields(token)
	env := []string{
		"HOME=" + dir, "PATH=" + filepath.Dir(program(t, "docker")) + ":" + os.Getenv("PATH"),
		"DOCKER_HOST=" + f.engine.Host(), "DOCKER_BUILDKIT=0",
		"SSL_CERT_FILE=" + f.CAFile, "CURL_CA_BUNDLE=" + f.CAFile, "GIT_SSL_CAINFO=" + f.CAFile,
	}
	env = append(env, buildEnv(t)...)
	register := exec.CommandContext(t.Context(), runner, "register", "--no-interactive", "--instance", f.URL,
		"--token", lines[len(lines)-1], "--name", "here", "--labels", "ubuntu-latest:host")
	register.Dir, register.Env = dir, env
	if out, err := register.CombinedOutput(); err != nil {
		t.Fatalf("register the runner: %v: %s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	servers.Need(t, err)
	daemon := exec.Command(runner, "daemon")
	daemon.Dir, daemon.Env, daemon.Stdout, daemon.Stderr = dir, env, log, log
	servers.Need(t, daemon.Start())
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
		_ = log.Close()
		if t.Failed() {
			t.Logf("the runner: %s", readText(t, log.Name()))
		}
	})
}

// buildEnv has a job build with what this machine has downloaded and built.
func buildEnv(t *testing.T) []string {
	t.Helper()
	cache, err := servers.CacheDir()
	servers.Need(t, err)
	env := []string{"DOCKER_GITEA_TEST_CACHE=" + cache}
	names := []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS"}
	values := strings.Split(inProject(t, "go", append([]string{"env"}, names...)...), "\n")
	for i, name := range names {
		env = append(env, name+"="+values[i])
	}
	return env
}

// put adds a file to a repository.
func (f *factory) put(t *testing.T, repository, file, content string) {
	t.Helper()
	servers.Need(t, f.API(t.Context(), http.MethodPost, "/repos/"+repository+"/contents/"+file,
		map[string]any{"content": base64.StdEncoding.EncodeToString([]byte(content)), "message": file}, nil))
}

// publish makes a release and offers its files as a package of Gitea.
func (f *factory) publish(t *testing.T) (address string) {
	t.Helper()
	dir := t.TempDir()
	inProject(t, "go", "run", "./test/cmd/dist", "-o", dir, "-version", "v0.1.0", "linux/"+runtime.GOARCH)
	address = f.URL + "/api/packages/" + f.user + "/generic/docker-gitea/0.1.0"
	for _, name := range []string{"SHA256SUMS", "docker-gitea_0.1.0_linux_" + runtime.GOARCH + ".tar.gz"} {
		file, err := os.Open(filepath.Join(dir, name))
		servers.Need(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, address+"/"+name, file)
		servers.Need(t, err)
		req.SetBasicAuth(f.user, servers.AdminPassword)
		if status, _ := do(t, f.Server, req); status != http.StatusCreated {
			t.Fatalf("publish %s: %d", name, status)
		}
	}
	return address
}

// job makes a repository with a Dockerfile, a token as its secret and the
// workflow, and returns what the job of that printed.
func (f *factory) job(t *testing.T, name, workflow string) (log string, succeeded bool) {
	t.Helper()
	newRepository(t, f.Gitea, f.user, name)
	repository := f.user + "/" + name
	token, err := f.CreateToken(t.Context(), f.user, "write:package")
	servers.Need(t, err)
	servers.Need(t, f.API(t.Context(), http.MethodPut, "/repos/"+repository+"/actions/secrets/PACKAGES_TOKEN", map[string]any{"data": token}, nil))
	f.put(t, repository, "Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
	f.put(t, repository, ".gitea/workflows/image.yaml", workflow)
	return f.await(t, repository)
}

// await returns what the first job of a repository has printed, once it is done.
func (f *factory) await(t *testing.T, repository string) (log string, succeeded bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var found struct {
			Jobs []struct {
				ID                 int
				Status, Conclusion string
			}
		}
		servers.Need(t, f.API(t.Context(), http.MethodGet, "/repos/"+repository+"/actions/jobs", nil, &found))
		if len(found.Jobs) > 0 && found.Jobs[0].Status == "completed" {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/api/v1/repos/%s/actions/jobs/%d/logs", f.URL, repository, found.Jobs[0].ID), http.NoBody)
			servers.Need(t, err)
			req.SetBasicAuth(f.user, servers.AdminPassword)
			return f.body(t, req), found.Jobs[0].Conclusion == "success"
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("the job is %+v", found)
		}
	}
}

func (f *factory) body(t *testing.T, req *http.Request) string {
	t.Helper()
	resp, err := f.Client().Do(req)
	servers.Need(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	servers.Need(t, err)
	return string(text)
}

// TestAction has a job of Gitea Actions use the action: as the page about jobs
// shows it, and with every input.
func TestAction(t *testing.T) { //nolint:tparallel // its jobs share one runner, and go one after another
	t.Parallel()
	attest(t, "job", "the runner of Gitea Actions", "builds, and pushes by `action.yml`", "runner", "gitea")
	f := newFactory(t)
	address := f.publish(t)
	more := "\n          archive: " + address + "\n          ca: ${{ vars.CA }}"
	servers.Need(t, f.API(t.Context(), http.MethodPost, "/user/actions/variables/CA?sudo="+f.user, map[string]any{"value": readText(t, f.CAFile)}, nil))
	page := strings.Replace(readText(t, "../docs/examples/gitea-actions.yaml"), "          source: app:ci", "          source: app:ci"+more, 1)

	t.Run("as on the page", func(t *testing.T) {
		log, ok := f.job(t, "App", page)
		reference := f.Host + "/" + f.user + "/app"
		if !ok || !strings.Contains(log, "pushed "+reference) || !strings.Contains(log, "@sha256:") {
			t.Fatalf("succeeded: %v: %s", ok, log)
		}
		pull(t, f.Server, f.user, servers.AdminPassword, reference+":latest")
	})
	t.Run("every input", func(t *testing.T) {
		other := f.Host + "/" + f.user + "/other"
		workflow := strings.NewReplacer("${{ vars.CA }}", fingerprint(t, f.CAFile), "          tags: |", strings.Join([]string{
			"          host: " + f.Host, "          version: 0.1.0", "          destinations: |", "            " + other + ":1", "            " + f.user + "/third:2", "          tags: |",
		}, "\n")).Replace(page)
		log, ok := f.job(t, "every", workflow)
		if !ok || !strings.Contains(log, "pushed "+other+":1@sha256:") {
			t.Fatalf("succeeded: %v: %s", ok, log)
		}
		pull(t, f.Server, f.user, servers.AdminPassword, f.Host+"/"+f.user+"/third:latest")
	})
	t.Run("another archive", func(t *testing.T) {
		log, ok := f.job(t, "damaged", strings.Replace(page, "          source:", "          checksum: "+strings.Repeat("0", 64)+"\n          source:", 1))
		if ok || !strings.Contains(log, "and not 0000") {
			t.Errorf("succeeded: %v: %s", ok, log)
		}
	})
}
