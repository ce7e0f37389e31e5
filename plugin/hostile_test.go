package plugin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// payloads are for a shell, a terminal, a path, an address, YAML and a template.
var payloads = []string{
	"`touch hostile`", "$(touch hostile)", "a;touch hostile", "a|touch hostile", "'\"touch hostile",
	"\x1b]0;hostile\x07\x1b[2J", "a\nHOSTILE: a line", "a\r\nHOSTILE: a line", "\u202eelitsoh", "\x9b2J", "\x00",
	"../../hostile", "..%2f..%2fhostile", "/etc/hostile", "C:\\hostile", "--config=hostile", "-hostile",
	"https://hostile.invalid/", "@hostile.invalid", "//hostile.invalid/", "javascript:hostile",
	"!!python/object:hostile", "- hostile: true", "{{hostile}}", "{{range .}}", "%s%n%d", strings.Repeat("A", 5000),
}

// A registry whose every string is a payload is listed, completed, checked,
// linked, opened and deleted from. Nothing of it acts on a terminal, begins a
// line, is a candidate for a shell, or makes a file.
func TestHostileRegistry(t *testing.T) {
	work := t.TempDir()
	t.Chdir(work)
	for i, payload := range payloads {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			d := newMisplaced(t)
			server := httptest.NewServer(hostile(payload))
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
		if strings.ContainsAny(line, "`$;|&<>(){}'\"\\*?~!# \x1b\x07") || strings.Contains(line, "..") {
			t.Errorf("%q is offered for %q", line, args)
		}
	}
}

func (d *desk) mustBePlain(t *testing.T, args []string) {
	t.Helper()
	for _, out := range []string{d.stdout.String(), d.stderr.String()} {
		if strings.ContainsAny(out, "\x1b\x07\u202e\x00\u009b\r") || strings.HasPrefix(out, "HOSTILE") || strings.Contains(out, "\nHOSTILE") {
			t.Errorf("%q prints %q", args, out)
		}
	}
}

// hostile answers everything with payloads, in the forms of the registry's API
// and of Gitea's.
func hostile(payload string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		quoted, _ := json.Marshal(payload)
		p := string(quoted)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		for _, name := range []string{"Server", "Www-Authenticate", "Location", "Link", "Docker-Content-Digest", "X-Request-Id"} {
			if !strings.ContainsAny(payload, "\r\n\x00") && req.URL.Query().Get("last") == "" {
				w.Header().Set(name, payload)
			}
		}
		path := req.URL.Path
		switch {
		case strings.HasSuffix(path, "/api/v1/version"):
			_, _ = fmt.Fprintf(w, `{"version":%s}`, p)
		case strings.HasSuffix(path, "/user"):
			_, _ = fmt.Fprintf(w, `{"login":%s}`, p)
		case strings.HasSuffix(path, "/orgs"):
			_, _ = fmt.Fprintf(w, `[{"username":%s},{"username":"fine"}]`, p)
		case strings.Contains(path, "/-/"):
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"message":%s}`, p)
		case strings.Contains(path, "/api/v1/packages/"):
			w.Header().Del("Link")
			_, _ = fmt.Fprintf(w, `[{"name":%s,"version":%s,"html_url":%s,"repository":{"full_name":%s}},{"name":"app","version":%s,"repository":{"full_name":%s}},{"name":"app","version":"1","repository":{"full_name":%s}}]`, p, p, p, p, p, p, p)
		case strings.HasSuffix(path, "/_catalog"):
			w.Header().Del("Link")
			_, _ = fmt.Fprintf(w, `{"repositories":[%s,"me/app"]}`, p)
		case strings.HasSuffix(path, "/tags/list"):
			w.Header().Del("Link")
			_, _ = fmt.Fprintf(w, `{"name":%s,"tags":[%s,"1"]}`, p, p)
		case strings.Contains(path, "/manifests/") && req.Method == http.MethodGet:
			source, _ := json.Marshal("https://" + strings.Split(req.Host, ":")[0] + "/me/" + url.PathEscape(payload))
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			w.Header().Del("Docker-Content-Digest")
			_, _ = fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","annotations":{"org.opencontainers.image.source":%s,%s:%s},"manifests":[{"mediaType":%s,"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"platform":{"os":%s,"architecture":%s}}]}`, source, p, p, p, p, p)
		case path == "/v2/":
			_, _ = fmt.Fprint(w, `{}`)
		default:
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, `{"errors":[{"code":%s,"message":%s,"detail":%s}]}`, p, p, p)
		}
	})
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
