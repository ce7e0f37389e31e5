//go:build !windows

package test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/hostile"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

func textOfServer(t *testing.T, o *owner) {
	t.Helper()
	visit := func(payloads ...string) (host string) {
		server := httptest.NewServer(hostile.New(payloads...))
		t.Cleanup(server.Close)
		host = strings.TrimPrefix(server.URL, "http://")
		o.env = []string{"DOCKER_GITEA_HOST=" + host, "DOCKER_GITEA_TOKEN=a-token-of-mine", "DOCKER_GITEA_PLAIN_HTTP=true", "DOCKER_GITEA_RETRIES="}
		return host
	}
	host := visit(hostile.Commands...)
	out, _ := o.run(t, o.plugin, "__complete", "ls", host+"/")
	for range 20 {
		if strings.Contains(out, host+"/finer/") {
			break
		}
		out, _ = o.run(t, o.plugin, "__complete", "ls", host+"/") // a busy machine is too slow for a shell that waits
	}
	if strings.Contains(out, "`") || !strings.Contains(out, host+"/finer/") {
		t.Errorf("offered are %q", out)
	}
	host = visit(hostile.Payloads...)
	for _, args := range [][]string{{"ls", "-q", host + "/me/app"}, {"link", host + "/me/app:1", "auto"}, {"check", "--format", "{{.}}", host + "/me/app"}} {
		if out, _ := o.run(t, o.plugin, args...); hostile.Acts(out) != 0 {
			t.Errorf("%q prints %q", args, out)
		}
	}
	o.env = nil
	for i, payload := range hostile.Payloads {
		certificate, err := hostile.Certificate(payload)
		if err != nil {
			t.Fatal(err)
		}
		file := o.write(t, filepath.Join(o.dir, "server.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})), 0o600)
		for _, args := range [][]string{{"trust", fmt.Sprintf("git%d.example.com", i), file}, {"trust", "--list"}, {"trust", "--list", "--format", "{{.}}"}} {
			if out, _ := o.run(t, o.plugin, args...); hostile.Acts(out) != 0 {
				t.Errorf("%q of the certificate of %q prints %q", args, payload, out)
			}
		}
	}
}

func filesOfWorkingDirectory(t *testing.T, o *owner) {
	t.Helper()
	server, daemon := newWitness(t, true, nil), newWitness(t, false, nil)
	at := func(path string) string { return filepath.Join(o.dir, filepath.FromSlash(path)) }
	o.write(t, at(".docker/gitea.yaml"), "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n- spec: {url: '"+server.host+"', insecure: true}\n", 0o600)
	o.write(t, at(".docker/config.json"), `{"currentContext":"evil","credHelpers":{"`+server.host+`":"evil"}}`, 0o600)
	o.write(t, at(".docker/contexts/meta/"+strings.TrimPrefix(digestOf([]byte("evil")), "sha256:")+"/meta.json"),
		`{"Name":"evil","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://`+daemon.host+`","SkipTLSVerify":false}}}`, 0o600)
	for _, dir := range []string{".config", "config", "."} {
		o.write(t, at(dir+"/docker-credential-gitea/config.json"), `{"storage":"file","hosts":{"`+server.host+`":{"insecure":true}}}`, 0o600)
	}
	programs.Write(t, at("docker-credential-evil"), "#!/bin/sh\ntouch ran\n")
	for _, env := range [][]string{nil, {"HOME="}, {"HOME=."}, {"HOME=" + o.home, "XDG_CONFIG_HOME=config"}} {
		o.bare = append([]string{"PATH=/usr/bin:/bin", "DOCKER_GITEA_HOST=" + server.host, "DOCKER_GITEA_TOKEN=a-token-of-mine"}, env...)
		o.run(t, o.plugin, "ls", "me")
		o.run(t, o.plugin, "push", "app:1", server.host+"/me/app:1")
		o.stdin = "a-token-of-mine"
		if out, code := o.run(t, o.helper, "login", "--with-token", server.host); code == 0 {
			t.Errorf("%q: logged in: %s", env, out)
		}
	}
	for _, seen := range append(server.saw(""), daemon.saw("")...) {
		t.Errorf("the clone led to %s", seen)
	}
	if _, err := os.Stat(at("ran")); err == nil {
		t.Error("a program of the clone was run")
	}
}

func settingOfOneHost(t *testing.T, o *owner) {
	t.Helper()
	images := t.TempDir()
	if err := writePluginImages(images); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(images, "archive.tar")
	a := registrytest.Start(t, registrytest.Config{})
	var shown bool
	other := newWitness(t, true, func(w http.ResponseWriter, req *http.Request) {
		shown = shown || len(req.TLS.PeerCertificates) > 0
		giteaIn(w, req)
	})
	network := newWitness(t, false, nil)
	for _, setting := range []string{"DOCKER_GITEA_INSECURE=true", "DOCKER_GITEA_PLAIN_HTTP=true", "DOCKER_GITEA_CA_FILE=" + other.authority(t)} {
		name, _, _ := strings.Cut(setting, "=")
		o.env = []string{setting, "DOCKER_GITEA_TOKEN=" + registrytest.Token, "HTTP_PROXY=" + network.URL, "HTTPS_PROXY=" + network.URL}
		out, code := o.run(t, o.plugin, "push", archive, a.Host+"/alice/app:1", other.host+"/me/app:1")
		if code != 125 || !strings.Contains(out, name) || !strings.Contains(out, "DOCKER_GITEA_HOST") {
			t.Errorf("%s with two registries: got %d and %s", name, code, out)
		}
		o.env = append(o.env, "DOCKER_GITEA_HOST="+a.Host)
		o.run(t, o.plugin, "ls", other.host+"/me")
		o.run(t, o.plugin, "ls", "other.example.com/me")
	}
	if seen := other.saw(""); len(seen) > 0 { // its certificate is nobody's
		t.Errorf("another registry was asked %q", seen)
	}
	o.env = []string{"DOCKER_GITEA_TOKEN=" + registrytest.Token, "DOCKER_GITEA_CERT=" + o.clientCertificate(t), "DOCKER_GITEA_KEY=" + filepath.Join(o.home, "client.key"), "DOCKER_GITEA_HOST=" + a.Host}
	if out, _ := o.run(t, o.plugin, "ls", "--insecure", other.host+"/me"); shown || len(other.saw("")) == 0 {
		t.Errorf("another registry was shown the client's certificate (%t), or was not asked: %s", shown, out)
	}
	if seen := other.saw("Authorization|Basic|Bearer"); len(seen) > 0 {
		t.Errorf("another registry was given %q", seen)
	}
	for _, seen := range network.saw("") {
		if !strings.HasPrefix(seen, "CONNECT ") {
			t.Errorf("in the clear: %s", seen)
		}
	}
}

// giteaIn answers as much of Gitea as a login of alice by a token needs.
func giteaIn(w http.ResponseWriter, req *http.Request) {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"UserID":7,"Scope":"all"}`))
	switch {
	case strings.HasSuffix(req.URL.Path, "/v2/token"):
		_, _ = fmt.Fprintf(w, `{"token":"e30.%s.c2ln"}`, claims)
	case req.URL.Path == "/v2/":
		w.Header().Set("Www-Authenticate", `Bearer realm="/v2/token",service="container_registry",scope="*"`)
		w.WriteHeader(http.StatusUnauthorized)
	case strings.HasPrefix(req.URL.Path, "/api/v1/"):
		_, _ = io.WriteString(w, `{"version":"1.27.0","login":"alice","sha1":"`+strings.Repeat("0", 40)+`"}`)
	default:
		http.NotFound(w, req)
	}
}

func switchedOff(t *testing.T, o *owner) {
	t.Helper()
	network, secure := newWitness(t, false, giteaIn), newWitness(t, true, giteaIn)
	o.env = []string{"HTTP_PROXY=" + network.URL, "HTTPS_PROXY=" + network.URL}
	o.stdin = "a-token-of-mine"
	login := func(host string, flags ...string) (string, int) {
		return o.run(t, o.helper, append([]string{"login", "--with-token", "--username", "alice", host}, flags...)...)
	}
	if out, code := login("git.example.com", "--plain-http"); code != 0 || !strings.Contains(out, "can be read by anyone") {
		t.Fatalf("got %d and %s", code, out)
	}
	before := len(network.saw("^(?:GET|POST)"))
	for _, flags := range [][]string{nil, {"--plain-http=false"}, {"--plain-http", "--plain-http=false"}} {
		login("git.example.com", flags...)
	}
	if after := network.saw("^(?:GET|POST)"); len(after) > before {
		t.Errorf("in the clear: %q", after[before:])
	}
	o.env = nil
	if out, code := login(secure.host, "--insecure"); code != 0 || !strings.Contains(out, "is not verified") {
		t.Fatalf("got %d and %s", code, out)
	}
	before = len(secure.saw(""))
	for _, flags := range [][]string{nil, {"--insecure=false"}, {"--insecure", "--insecure=false"}} {
		if out, code := login(secure.host, flags...); code == 0 {
			t.Errorf("%q: logged in: %s", flags, out)
		}
	}
	if after := secure.saw(""); len(after) > before {
		t.Errorf("asked without a look at the certificate: %q", after[before:])
	}
	o.env = []string{"DOCKER_GITEA_INSECURE=true", "DOCKER_GITEA_HOST=" + secure.host}
	before = len(secure.saw(""))
	o.run(t, o.plugin, "ls", "--insecure=false", secure.host+"/me")
	if after := secure.saw(""); len(after) > before {
		t.Errorf("--insecure=false does nothing: %q", after[before:])
	}
}

func settingsOfTransport(t *testing.T, o *owner) {
	t.Helper()
	var shown bool
	elsewhere := newWitness(t, true, func(_ http.ResponseWriter, req *http.Request) { shown = shown || len(req.TLS.PeerCertificates) > 0 })
	_, port, _ := strings.Cut(elsewhere.host, ":")
	first := newWitness(t, true, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v2/" {
			w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
			return
		}
		http.Redirect(w, req, "https://localhost:"+port+"/elsewhere", http.StatusTemporaryRedirect)
	})
	o.env = []string{"DOCKER_GITEA_HOST=" + first.host, "DOCKER_GITEA_INSECURE=true", "DOCKER_GITEA_CERT=" + o.clientCertificate(t), "DOCKER_GITEA_KEY=" + filepath.Join(o.home, "client.key")}
	o.run(t, o.plugin, "ls", first.host+"/me/app")
	o.run(t, o.plugin, "link", first.host+"/me/app:1", "auto")
	o.run(t, o.plugin, "rm", "--force", first.host+"/me/app:1")
	if len(first.saw("/v2/me/app/")) == 0 {
		t.Error("the first host was not asked")
	}
	if seen := elsewhere.saw(""); len(seen) > 0 || shown {
		t.Errorf("another host was believed: %q, and shown a certificate: %t", seen, shown)
	}
	o.stdin = "secret\n"
	o.run(t, o.helper, "login", "--insecure", "--root-url", elsewhere.URL, "--username", "alice", "--password-stdin", first.host)
	if seen := elsewhere.saw(""); len(seen) > 0 {
		t.Errorf("--root-url: %q", seen)
	}
	pinsFailClosed(t, o, first)
}

// pinsFailClosed pins another certificate for a server: nothing leads past it.
func pinsFailClosed(t *testing.T, o *owner, server *witness) {
	t.Helper()
	o.env = nil
	if out, code := o.run(t, o.plugin, "trust", server.host, strangeAuthority(t)); code != 0 {
		t.Fatalf("got %d and %s", code, out)
	}
	before := len(server.saw(""))
	for _, env := range [][]string{
		{"HOME=" + o.home},
		{"HOME=" + o.home, "DOCKER_GITEA_INSECURE=true", "DOCKER_GITEA_HOST=" + server.host},
		{"HOME=" + o.home, "XDG_CONFIG_HOME=config"},
		{"HOME=."},
	} {
		o.bare = append([]string{"PATH=/usr/bin:/bin", "SSL_CERT_FILE=" + server.authority(t)}, env...)
		if out, code := o.run(t, o.plugin, "ls", server.host+"/me/app"); code == 0 {
			t.Errorf("%q: %s", env, out)
		}
		o.stdin = "a-token-of-mine"
		if out, code := o.run(t, o.helper, "login", "--with-token", server.host); code == 0 {
			t.Errorf("%q: %s", env, out)
		}
	}
	if after := server.saw(""); len(after) > before {
		t.Errorf("a pin leads to %q", after[before:])
	}
}

func credentialsOffered(t *testing.T, o *owner) {
	t.Helper()
	other := newWitness(t, true, giteaIn)
	for name, realm := range map[string]string{
		"its own": "https://HOST/v2/token", "another host's": other.URL + "/v2/token", "no address": "HOST@" + other.host + "/v2/token", "with a user": "https://HOST@" + other.host + "/gitea/v2/token",
	} {
		var host string
		server := newWitness(t, true, func(w http.ResponseWriter, req *http.Request) {
			if strings.HasPrefix(req.URL.Path, "/v2/") && req.URL.Path != "/v2/token" {
				w.Header().Set("Www-Authenticate", `Bearer realm="`+strings.ReplaceAll(realm, "HOST", host)+`",service="container_registry"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			http.NotFound(w, req) // other applications
		})
		host = server.host
		// The certificate is that of the other host, too: nothing else keeps it from being asked.
		o.env = []string{"SSL_CERT_FILE=" + server.authority(t), "DOCKER_GITEA_HOST=" + host, "DOCKER_GITEA_TOKEN=a-token-of-mine"}
		for _, args := range [][]string{{"ls", host + "/me"}, {"link", host + "/me/app", "me/shop"}, {"open", "--print", host + "/me/app"}, {"check", host + "/me"}} {
			o.run(t, o.plugin, args...)
		}
		o.stdin = "a-password\n"
		o.run(t, o.helper, "login", "--username", "me", "--password-stdin", "--ca-file", server.authority(t), host)
		if seen := server.saw(" /(?:$|[^v]).*Basic|/v2/token.*/gitea|^[A-Z]+ /(?:gitea|git|forgejo|code|api).* (?:Basic|Bearer|token) "); len(seen) > 0 {
			t.Errorf("realm %s: other applications were given %q", name, seen)
		}
		if name == "its own" && len(server.saw("/gitea/")) == 0 {
			t.Errorf("it was not looked for Gitea at all: %q", server.saw(""))
		}
	}
	if seen := other.saw(""); len(seen) > 0 {
		t.Errorf("another host was asked %q", seen)
	}
	loginsOfNamespaces(t, o)
	hostInRealm(t, o)
}

// hostInRealm has a realm that becomes another host, at port 80, if what is before
// its path is put behind the registry's.
func hostInRealm(t *testing.T, o *owner) {
	t.Helper()
	const address = "127.0.0.8"
	other := witnessAt(t, net.JoinHostPort(address, "80"))
	server := newWitness(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Www-Authenticate", `Bearer realm="@`+address+`/v2/token",service="container_registry"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	o.env = []string{"DOCKER_GITEA_PLAIN_HTTP=true", "DOCKER_GITEA_HOST=" + server.host, "DOCKER_GITEA_TOKEN=a-token-of-mine"}
	for _, args := range [][]string{{"ls", server.host + "/me"}, {"link", server.host + "/me/app", "me/shop"}, {"open", "--print", server.host + "/me/app"}} {
		if out, _ := o.run(t, o.plugin, args...); strings.Contains(out, address+"/me") {
			t.Errorf("%q leads to another host: %s", args, out)
		}
	}
	o.stdin = "a-password\n"
	o.run(t, o.helper, "login", "--plain-http", "--username", "me", "--password-stdin", server.host)
	if seen := other.saw(""); len(seen) > 0 {
		t.Errorf("another host was asked %q", seen)
	}
}

// loginsOfNamespaces has logins for parts of a registry, as podman keeps them.
func loginsOfNamespaces(t *testing.T, o *owner) {
	t.Helper()
	server := newWitness(t, false, nil)
	auths := map[string]any{}
	for _, who := range []string{"alice", "alice/app", "bob", "carol"} {
		auths[server.host+"/"+who] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(who + ":secret"))}
	}
	content, _ := json.Marshal(map[string]any{"auths": auths})
	o.env = []string{"REGISTRY_AUTH_FILE=" + o.write(t, filepath.Join(o.home, "auth.json"), string(content), 0o600)}
	for range 10 { // the order of a map is another one each time
		o.run(t, o.plugin, "ls", "http://"+server.host+"/alice/app")
		o.run(t, o.plugin, "ls", "http://"+server.host+"/dave/app")
	}
	wanted := base64.StdEncoding.EncodeToString([]byte("alice/app:secret"))
	for _, seen := range server.saw("Basic") {
		if !strings.Contains(seen, wanted) || strings.Contains(seen, "dave") {
			t.Errorf("another's login was sent: %s", seen)
		}
	}
	if len(server.saw("Basic "+wanted)) == 0 {
		t.Error("the login of the image was not sent")
	}
}
