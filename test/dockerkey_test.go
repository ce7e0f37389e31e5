//go:build e2e

package test

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestDockerAsksForTheKeyAsTyped has docker log in to, and pull from, a registry at
// port 443 or 80, with and without that port in its name. Docker stores the login and
// asks for it by the name as it is typed: so that is the key that configure-docker
// writes, and no password is left in docker's file.
func TestDockerAsksForTheKeyAsTyped(t *testing.T) {
	const address = "127.0.0.9"
	docker, e := program(t, "docker"), engine(t, servers.Classic)
	asked := map[string]*witness{}
	for _, port := range []string{"80", "443"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(address, port))
		if err != nil {
			t.Skip(err) // below 1024: root's alone
		}
		asked[port] = &witness{answer: func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
			switch _, _, given := req.BasicAuth(); {
			case !given:
				w.Header().Set("Www-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
			case req.URL.Path != "/v2/":
				w.WriteHeader(http.StatusNotFound)
			}
		}}
		server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: asked[port]}}
		server.Start()
		t.Cleanup(server.Close)
	}
	for host, port := range map[string]string{address + ":443": "443", address: "80"} {
		d := newDesk(t, &servers.Server{Host: host}, "DOCKER_HOST="+e.Host())
		d.run(t, "", credhelperName, "configure-docker", host)
		d.run(t, "for-"+host, docker, "login", "--username", "me", "--password-stdin", host)
		if out, err := d.try(t, "", docker, "pull", host+"/me/app"); err == nil {
			t.Errorf("%s: pulled what there is not: %s", host, out)
		}
		want := "/me/app/manifests/.* Basic " + base64.StdEncoding.EncodeToString([]byte("me:for-"+host)) + "$"
		if len(asked[port].saw(want)) == 0 {
			t.Errorf("%s: the login did not arrive: %q", host, asked[port].saw(""))
		}
		if content := readFile(t, filepath.Join(d.home, ".docker", "config.json")); !strings.Contains(content, `"`+host+`": "gitea"`) || strings.Contains(content, `"auth"`) {
			t.Errorf("%s: config.json has %s", host, content)
		}
	}
	if seen := asked["80"].saw(base64.StdEncoding.EncodeToString([]byte("me:for-" + address + ":443"))); len(seen) > 0 {
		t.Errorf("the login for port 443 went to port 80: %q", seen)
	}
}
