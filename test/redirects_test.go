//go:build !windows

package test

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRedirectsOfEverything has a registry lead to places inside: files, this
// machine, another port, the metadata of a cloud. From TLS nothing leads to where
// there is none; what is followed anywhere are questions, without a credential; and of
// what is refused there nothing is shown.
func TestRedirectsOfEverything(t *testing.T) {
	images := t.TempDir()
	if err := writePluginImages(images); err != nil {
		t.Fatal(err)
	}
	r := redirector{archive: filepath.Join(images, "archive.tar")}
	r.owner = owner{plugin: filepath.Join(pluginDir(t), "docker-gitea"), helper: filepath.Join(credhelperDir(t), "docker-credential-gitea")}
	r.plain, r.secure, r.network = newWitness(t, false, insider), newWitness(t, true, insider), newWitness(t, false, insider)
	for name, tls := range map[string]bool{"from TLS": true, "from plain HTTP": false} {
		for _, to := range []string{r.plain.URL, r.secure.URL} {
			t.Run(name+", as a registry leads to its storage, to "+to, func(t *testing.T) {
				r.version = "registry/2.0"
				r.lead(t, tls, regexp.MustCompile("/(blobs|manifests|tags)/|/_catalog"), to)
			})
		}
		r.version = ""
		for stage, pattern := range map[string]string{"everything": ".", "what is asked with a credential": "/(blobs|manifests|tags)/|/_catalog|/api/", "the token": "/v2/token"} {
			for _, to := range []string{"file:///etc/passwd?", r.plain.URL, r.secure.URL, "http://169.254.169.254/latest", "https://169.254.169.254/latest", "gopher://127.0.0.1"} {
				t.Run(name+", "+stage+", to "+to[:strings.LastIndex(to, "/")], func(t *testing.T) { r.lead(t, tls, regexp.MustCompile(pattern), to) })
			}
		}
	}
	if len(r.secure.saw("^GET /v2/me/app/tags/list$")) == 0 || len(r.network.saw("^GET http://169.254.169.254/")) == 0 {
		t.Error("nothing was followed: the test shows nothing")
	}
}

// inner is what is for nobody outside.
const inner = "what-the-inner-server-says"

// insider refuses in the form of a registry.
func insider(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"`+inner+`"}],"message":"`+inner+`"}`)
}

// redirector is where a registry leads: to plain HTTP and TLS of this machine, and
// to the network, which is a proxy.
type redirector struct {
	owner
	archive                string
	plain, secure, network *witness
	// version is the header by which a registry is known, or empty.
	version string
}

func (r *redirector) lead(t *testing.T, tls bool, match *regexp.Regexp, to string) {
	t.Helper()
	server := newWitness(t, tls, func(w http.ResponseWriter, req *http.Request) {
		if match.MatchString(req.URL.Path) {
			w.Header().Set("Location", to+req.URL.Path)
			if r.version != "" {
				w.Header().Set("Docker-Distribution-Api-Version", r.version)
			}
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		giteaIn(w, req)
	})
	o := &owner{home: t.TempDir(), dir: t.TempDir(), stdin: "a-token-of-mine"}
	o.env = []string{"DOCKER_GITEA_HOST=" + server.host, "DOCKER_GITEA_TOKEN=a-token-of-mine", "HTTP_PROXY=" + r.network.URL, "HTTPS_PROXY=" + r.network.URL}
	login := []string{r.helper, "login", "--with-token", server.host}
	if tls {
		o.env = append(o.env, "SSL_CERT_FILE="+server.authority(t)) // of both witnesses
	} else {
		o.env = append(o.env, "DOCKER_GITEA_PLAIN_HTTP=true")
		login = append(login, "--plain-http")
	}
	image := server.host + "/me/app:1"
	for _, call := range [][]string{
		{r.plugin, "ls", server.host + "/me/app"}, {r.plugin, "check", image}, {r.plugin, "push", r.archive, image}, {r.plugin, "copy", image, server.host + "/me/b"}, {r.plugin, "link", image, "me/code"}, login,
	} {
		before := [3]int{len(r.plain.saw("")), len(r.secure.saw("")), len(r.network.saw(""))}
		out, _ := o.run(t, call[0], call[1:]...)
		if strings.Contains(out, inner) || strings.Contains(out, "root:") {
			t.Errorf("%q shows what is inside: %s", call[1:], out)
		}
		plain, secure, network := r.plain.saw("")[before[0]:], r.secure.saw("")[before[1]:], r.network.saw("")[before[2]:]
		for _, seen := range append(append(plain, secure...), network...) {
			if !regexp.MustCompile(`^(GET|HEAD|CONNECT) \S+$`).MatchString(seen) {
				t.Errorf("%q: what was led to was asked %s", call[1:], seen)
			}
			if strings.HasSuffix(call[0], "docker-credential-gitea") {
				t.Errorf("the credential helper follows to %s", seen)
			}
		}
		for _, seen := range append(plain, network...) {
			if tls && !strings.HasPrefix(seen, "CONNECT ") {
				t.Errorf("%q: from TLS to where there is none: %s", call[1:], seen)
			}
		}
	}
}
