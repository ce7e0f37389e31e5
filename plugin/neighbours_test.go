package plugin_test

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/hostile"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

// What is broken and not needed stops no command: the credential is in the
// environment, and what is odd is another registry's. What is wrong in our own
// gitea.yaml is told all the same: it may be meant for this one.
func TestBrokenNeighboursStopNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		// files are what is below DOCKER_CONFIG and the directory of pins. What ends
		// in "/" is a directory in the place of a file, which nobody can read.
		files map[string]string
		fails string
	}{
		"a config.json that cannot be read":       {files: map[string]string{"docker/config.json/": ""}},
		"a config.json that is cut":               {files: map[string]string{"docker/config.json": `{"auths":`}},
		"an odd entry of another registry":        {files: map[string]string{"docker/config.json": `{"auths":{"other.example.com":{"auth":"%%"}},"credHelpers":{"other.example.com":"../evil"}}`}},
		"a helper that is not there":              {files: map[string]string{"docker/config.json": `{"credsStore":"missing"}`}},
		"a pin of another registry":               {files: map[string]string{"pins/other.example.com/ca.crt": "no certificate"}},
		"a pin of another registry, not readable": {files: map[string]string{"pins/other.example.com/ca.crt/": ""}},
		"certs.d of another registry":             {files: map[string]string{"docker/certs.d/other.example.com/ca.crt": "no certificate", "docker/certs.d/other.example.com/client.cert": "x"}},
		"something else in certs.d":               {files: map[string]string{"docker/certs.d/README": "x", "docker/certs.d/<host>/README": "x"}},
		"gitea.yaml, of another registry": {
			files: map[string]string{"docker/gitea.yaml": "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n- spec: {url: other.example.com, job: 1}\n"},
			fails: `gitea.yaml:4: unknown field "items[0].spec.job"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			root := t.TempDir()
			t.Setenv("XDG_CONFIG_HOME", root)
			d.env["DOCKER_CONFIG"] = filepath.Join(root, "docker")
			for name, content := range tc.files {
				name = strings.NewReplacer("<host>", d.server.Host, "pins/", "docker-gitea/certs.d/").Replace(name)
				path := filepath.Join(root, filepath.FromSlash(name))
				dir := filepath.Dir(path)
				if strings.HasSuffix(name, "/") {
					dir = path
				}
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if dir == path {
					continue
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, args := range [][]string{{"push", "app", d.server.Host + "/alice/app"}, {"check", d.server.Host + "/alice"}, {"ls", d.server.Host + "/alice"}} {
				code := d.run(t.Context(), args...)
				if tc.fails != "" {
					if code != fault.ExitUsage || !strings.Contains(d.stderr.String(), tc.fails) {
						t.Errorf("%v: got exit code %d\n%s", args, code, &d.stderr)
					}
					continue
				}
				if code != fault.ExitOK {
					t.Errorf("%v: got exit code %d\n%s%s", args, code, &d.stdout, &d.stderr)
				}
			}
		})
	}
}

// What docker would refuse a certificate for is told with what changes it, and once.
func TestWhatDockerRefuses(t *testing.T) {
	certificate, err := hostile.Certificate("elsewhere.example.com")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "https://")
	named := strings.Replace(address, "127.0.0.1", "localhost", 1)
	const names = "cause: docker push, pull and login would refuse the certificate: the certificate is for other names"
	for _, tc := range []struct {
		args []string
		want map[string]int
	}{
		{[]string{address}, map[string]int{"certs.d": 2, "cause: ": 2}}, // each time with the directory
		{[]string{named}, map[string]int{"certs.d": 0, "cause: the certificate is for other names": 1, "cause: ": 1}},
		{[]string{"--insecure", named}, map[string]int{"certs.d": 0, names: 1, "cause: ": 2}},
	} {
		d := newDesk(t)
		d.run(t.Context(), append([]string{"check"}, tc.args...)...)
		for text, want := range tc.want {
			if got := strings.Count(d.stdout.String(), text); got != want {
				t.Errorf("%v: %q is there %d times, want %d, in\n%s", tc.args, text, got, want, &d.stdout)
			}
		}
	}
}
