//go:build linux

package test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// mostMemory is what either program may have for data, in KiB: what it takes for
// anything, and a few copies of the largest file of configuration.
const mostMemory = 300 << 10

// TestTooMuchIsRefused gives both programs files that are too large and JSON that
// is too deep, in each place where they read any. Each ends with a message, and in
// little memory.
func TestTooMuchIsRefused(t *testing.T) {
	plugin, helper := filepath.Join(pluginDir(t), "docker-gitea"), filepath.Join(credhelperDir(t), "docker-credential-gitea")
	const own = ".config/docker-credential-gitea/"
	deep := strings.Repeat("[", 8<<20)
	large := `{"auths":{},"x":"` + strings.Repeat("x", 17<<20) + `"}`
	login := []string{helper, "login", "--with-token", "git.example.com"}
	for _, test := range []struct {
		name, file, content string
		command             []string
		want                string
	}{
		{"config.json", ".docker/config.json", large, []string{plugin, "ls", "git.example.com/me"}, "more than 16 MiB"},
		{"config.json, edited", ".docker/config.json", large, []string{helper, "configure-docker", "git.example.com"}, "more than 16 MiB"},
		{"podman's file", ".config/containers/auth.json", large, []string{plugin, "ls", "git.example.com/me"}, "more than 16 MiB"},
		{"gitea.yaml", ".docker/gitea.yaml", large, []string{plugin, "config"}, "more than 16 MiB"},
		{"an authority", "ca.crt", large, []string{plugin, "ls", "--ca-file", "ca.crt", "git.example.com/me"}, "more than 16 MiB"},
		{"a client certificate", "ca.crt", large, []string{plugin, "ls", "--cert", "ca.crt", "--key", "ca.crt", "git.example.com/me"}, "more than 16 MiB"},
		{"the helper's settings", own + "config.json", large, login, "more than 16 MiB"},
		{"the helper's index", own + "hosts.json", large, []string{helper, "list"}, "more than 16 MiB"},
		{"the helper's secret", own + "secrets/git.example.com.login", large, []string{helper, "get"}, "more than 16 MiB"},
		{"the helper's authority", "ca.crt", large, append(login, "--ca-file", "ca.crt"), "more than 16 MiB"},

		{"deep config.json", ".docker/config.json", `{"auths":` + deep, []string{plugin, "ls", "git.example.com/me"}, "config.json"},
		{"deep values of config.json", ".docker/config.json", `{"auths":{"git.example.com":` + deep, []string{plugin, "ls", "git.example.com/me"}, "config.json"},
		{"deep config.json, edited", ".docker/config.json", `{"auths":` + deep, []string{helper, "configure-docker", "git.example.com"}, "config.json"},
		{"deep gitea.yaml", ".docker/gitea.yaml", strings.Repeat("[", 1<<20), []string{plugin, "config"}, "gitea.yaml"},
		{"deep settings of the helper", own + "config.json", deep, login, "config.json"},
		{"deep index of the helper", own + "hosts.json", deep, []string{helper, "list"}, "hosts.json"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := &owner{home: t.TempDir()}
			o.dir = o.home
			o.stdin = `{"ServerURL":"git.example.com","Username":"me","Secret":"mine"}`
			if out, code := o.run(t, helper, "store"); code != 0 {
				t.Fatalf("got %d and %s", code, out)
			}
			o.write(t, filepath.Join(o.home, filepath.FromSlash(test.file)), test.content, 0o600)
			o.stdin = "git.example.com"
			out, code := o.runWithin(t, test.command[0], test.command[1:]...)
			if !strings.Contains(out, test.want) || !strings.Contains(out, filepath.Base(test.file)) {
				t.Errorf("got %d and %.2000s", code, out)
			}
		})
	}
	for _, answer := range []string{strings.Repeat(`{"tags":`, 8<<20), strings.Repeat(`[`, 64<<20), `{"token":"` + strings.Repeat("x", 64<<20)} {
		server := newWitness(t, false, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
			w.Header().Set("Content-Type", "application/json")
			if req.URL.Path == "/v2/" && req.Header.Get("Authorization") == "" {
				w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+req.Host+`/v2/token",service="container_registry",scope="*"`)
				w.WriteHeader(http.StatusUnauthorized)
			}
			_, _ = w.Write([]byte(answer))
		})
		for _, call := range [][]string{
			{plugin, "ls", "--plain-http", server.host + "/me/app"},
			{plugin, "ls", "--plain-http", server.host + "/me"},
			{plugin, "ls", "--plain-http", server.host},
			{plugin, "check", "--plain-http", server.host + "/me/app"},
			{plugin, "link", "--plain-http", server.host + "/me/app", "me/code"},
			{plugin, "copy", "--plain-http", "docker://" + server.host + "/me/app:1", server.host + "/me/app:2"},
			{helper, "login", "--with-token", "--plain-http", server.host},
			{helper, "login", "--with-token", "--username", "me", "--plain-http", server.host},
		} {
			o := &owner{home: t.TempDir(), dir: t.TempDir(), stdin: "a-token", env: []string{"DOCKER_GITEA_HOST=" + server.host, "DOCKER_GITEA_TOKEN=a-token-of-mine"}}
			if out, code := o.runWithin(t, call[0], call[1:]...); code == 0 || len(out) == 0 || len(out) > 8<<10 {
				t.Errorf("%q of %.20s…: got %d and %.2000s", call[1:], answer, code, out)
			}
		}
	}
}

// runWithin is run in little memory: a program that wants more dies of it.
func (o *owner) runWithin(t *testing.T, program string, args ...string) (string, int) {
	t.Helper()
	out, code := o.run(t, "/bin/sh", append([]string{"-c", `ulimit -d ` + strconv.Itoa(mostMemory) + `; exec "$@"`, "sh", program}, args...)...)
	if strings.Contains(out, "fatal error: ") {
		t.Errorf("%s %q: %.300s", filepath.Base(program), args, out)
	}
	return out, code
}
