package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
)

// host is as much of Gitea as a release needs.
type host struct {
	releases string // those that there are
	short    bool   // loses the end of a file
	calls    []string
	files    map[string]int
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Authorization") != "token of-the-job" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/repos/me/tool")
	h.calls = append(h.calls, r.Method+" "+path)
	switch {
	case path == "/tags/v9.9.9":
		http.Error(w, `{"message":"not found"}`, http.StatusNotFound)
	case r.Method == http.MethodGet && path == "/releases":
		fmt.Fprint(w, h.releases)
	case strings.HasSuffix(path, "/assets"):
		size := len(body)
		if h.short {
			size--
		}
		h.files[r.URL.Query().Get("name")] = size
		_ = json.NewEncoder(w).Encode(map[string]int{"size": size})
	default:
		fmt.Fprint(w, `{"id":7}`)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed")
	}
	keyFile := filepath.Join(t.TempDir(), "key")
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keyFile).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	const create, show = "POST /releases", "PATCH /releases/7"
	for name, c := range map[string]struct {
		host host
		tag  string
		want string // of the error
		last string // call
	}{
		"the first":               {host{releases: "[]"}, "v1.0.0", "", show},
		"after one that failed":   {host{releases: `[{"id":3,"tag_name":"v1.0.0","draft":true}]`}, "v1.0.0", "", show},
		"of what is out already":  {host{releases: `[{"id":3,"tag_name":"v1.0.0"}]`}, "v1.0.0", "v1.0.0 is released already", "GET /releases"},
		"without its tag":         {host{}, "v9.9.9", "push the tag v9.9.9 first", "GET /tags/v9.9.9"},
		"with a file that is cut": {host{releases: "[]", short: true}, "v1.0.0", "gitea has 8 bytes of 9", "POST /releases/7/assets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.host.files = map[string]int{}
			server := httptest.NewServer(&c.host)
			defer server.Close()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, sumsFile), []byte("123  file"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := &publisher{client: server.Client(), server: server.URL, repository: "me/tool", token: registry.NewSecret("of-the-job")}
			err := p.publish(t.Context(), dir, c.tag, "what is new", registry.NewSecret(string(key)))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if last := c.host.calls[len(c.host.calls)-1]; last != c.last {
				t.Errorf("the last call is %s, want %s", last, c.last)
			}
			if deleted := strings.Contains(strings.Join(c.host.calls, "\n"), "DELETE /releases/3\n"+create); deleted != strings.Contains(c.host.releases, "draft") {
				t.Errorf("the draft was deleted: %v: %q", deleted, c.host.calls)
			}
			if c.want == "" && (c.host.files[sumsFile] != 9 || c.host.files[sumsFile+".sig"] == 0) {
				t.Errorf("attached %v", c.host.files)
			}
		})
	}
}

func TestWhatAReleaseNeeds(t *testing.T) {
	t.Parallel()
	all := map[string]string{"GITHUB_SERVER_URL": "https://git.example.com/", "GITHUB_REPOSITORY": "me/tool", "RELEASE_TOKEN": "t"}
	for name := range all {
		_, err := newPublisher(func(n string) string {
			if n == name {
				return ""
			}
			return all[n]
		})
		if err == nil || !strings.Contains(err.Error(), "set "+name) {
			t.Errorf("without %s: got %v", name, err)
		}
	}
	if err := sign(t.Context(), "SHA256SUMS", registry.Secret{}); err == nil || !strings.Contains(err.Error(), "set RELEASE_KEY") {
		t.Errorf("without a key: got %v", err)
	}
}

func TestNotesOf(t *testing.T) {
	t.Parallel()
	const changelog = "# Changes\n\n## 1.1.0\n\nNew.\n\n### Pushing\n\nMore.\n\n## 1.0.0\n\nFirst.\n"
	if got, err := notesOf(changelog, "1.1.0"); err != nil || got != "New.\n\n### Pushing\n\nMore." {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := notesOf(changelog, "1.0.0"); err != nil || got != "First." {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := notesOf(changelog, "2.0.0"); err == nil || !strings.Contains(err.Error(), `no section "2.0.0"`) {
		t.Errorf("got %v", err)
	}
}
