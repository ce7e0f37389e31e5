package plugin_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/hostile"
)

// A registry whose every string is a payload is listed, completed, checked,
// linked, opened and deleted from. Nothing of it acts on a terminal, begins a
// line, is a candidate for a shell, or makes a file.
func TestHostileRegistry(t *testing.T) {
	work := t.TempDir()
	t.Chdir(work)
	for i, payload := range hostile.Payloads {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			d := newMisplaced(t)
			server := httptest.NewServer(hostile.New(payload))
			defer server.Close()
			host := strings.TrimPrefix(server.URL, "http://")
			d.env["DOCKER_GITEA_HOST"], d.env["DOCKER_GITEA_TOKEN"], d.env["DOCKER_GITEA_PLAIN_HTTP"] = host, "a-token-of-mine", "true"
			for _, args := range [][]string{
				{"ls", host},
				{"ls", host + "/me"},
				{"ls", "-q", host + "/me"},
				{"ls", host + "/me/app"},
				{"ls", "-q", host + "/me/app"},
				{"ls", "--json", host + "/me/app"},
				{"ls", "--format", "yaml", host + "/me"},
				{"ls", "--format", "{{.}}", host + "/me"},
				{"check", host + "/me/app"},
				{"check", "--format", "{{.}}", host + "/me"},
				{"link", host + "/me/app:1", "auto"},
				{"link", host + "/me/app", "shop"},
				{"unlink", host + "/me/app"},
				{"open", "--print", host + "/me/app"},
				{"rm", "-y", host + "/me/app:1"},
				{"-D", "ls", host + "/me"},
			} {
				d.run(t.Context(), args...)
				d.mustBePlain(t, args)
			}
			for _, typed := range []string{host + "/", host + "/me/", host + "/me/app:"} {
				for _, command := range []string{"ls", "open", "rm", "push"} {
					args := []string{command, typed}
					if command == "push" {
						args = []string{command, "app", typed}
					}
					d.complete(t, args)
				}
			}
		})
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("there are files: %v, %v", left, err)
	}
}

// complete asks what the shell would be offered.
func (d *desk) complete(t *testing.T, args []string) {
	t.Helper()
	d.stdout.Reset()
	d.stderr.Reset()
	d.main(t.Context(), append([]string{"__complete", "gitea"}, args...)...)
	for line := range strings.Lines(d.stdout.String()) {
		if strings.ContainsAny(line, "`$;|&<>(){}'\"\\*?~!# \x1b\x07") || strings.Contains(line, "..") || len(line) > 1100 {
			t.Errorf("%q is offered for %q", line, args)
		}
	}
}

func (d *desk) mustBePlain(t *testing.T, args []string) {
	t.Helper()
	for _, out := range []string{d.stdout.String(), d.stderr.String()} {
		if hostile.Acts(out) != 0 || hostile.BeginsLine(out) {
			t.Errorf("%q prints %q", args, out)
		}
	}
}

// Hosts of docker's file are offered if they are hosts.
func TestHostileFiles(t *testing.T) {
	d := newMisplaced(t)
	if err := os.WriteFile(filepath.Join(d.env["DOCKER_CONFIG"], "config.json"), []byte(`{"auths":{"`+"`touch hostile`"+`":{},"git.example.com":{}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	d.complete(t, []string{"ls", ""})
	if !strings.Contains(d.stdout.String(), "git.example.com/") {
		t.Errorf("got %q, want the registry that docker knows", &d.stdout)
	}
}
