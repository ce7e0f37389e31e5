package daemon_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
)

func TestResolve(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the default host differs")
	}
	for _, test := range []struct {
		name    string
		flags   daemon.Flags
		env     map[string]string
		current string
		want    string
		origin  string
	}{
		{name: "default", want: "unix:///var/run/docker.sock", origin: "docker's default"},
		{name: "--host", flags: daemon.Flags{Host: "tcp://h"}, env: map[string]string{"DOCKER_HOST": "tcp://e", "DOCKER_CONTEXT": "remote"}, current: "remote", want: "tcp://h", origin: "--host"},
		{name: "--context", flags: daemon.Flags{Context: "remote"}, env: map[string]string{"DOCKER_HOST": "tcp://e"}, want: "ssh://me@remote", origin: `context "remote"`},
		{name: "DOCKER_HOST", env: map[string]string{"DOCKER_HOST": "tcp://e", "DOCKER_CONTEXT": "remote"}, current: "remote", want: "tcp://e", origin: "DOCKER_HOST"},
		{name: "DOCKER_CONTEXT", env: map[string]string{"DOCKER_CONTEXT": "remote"}, current: "default", want: "ssh://me@remote", origin: `context "remote"`},
		{name: "current context", current: "remote", want: "ssh://me@remote", origin: `context "remote"`},
		{name: "default context", flags: daemon.Flags{Context: "default"}, current: "remote", want: "unix:///var/run/docker.sock", origin: "docker's default"},
	} {
		t.Run(test.name, func(t *testing.T) {
			getenv := func(key string) string { return test.env[key] }
			got, err := daemon.Resolve(test.flags, config(t, test.current), getenv)
			if err != nil {
				t.Fatal(err)
			}
			if got.Host != test.want || got.Origin != test.origin || got.TLS != nil {
				t.Errorf("got %s from %s, want %s from %s", got.Host, got.Origin, test.want, test.origin)
			}
		})
	}
}

func TestResolveFailures(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags daemon.Flags
		want  string
	}{
		{"both", daemon.Flags{Host: "tcp://h", Context: "remote"}, "--host and --context exclude each other"},
		{"unknown context", daemon.Flags{Context: "absent"}, `docker context "absent": there is none of this name`},
		{"context without docker", daemon.Flags{Context: "cluster"}, `docker context "cluster": it has no docker endpoint`},
		{"no such CA", daemon.Flags{TLSVerify: true, CACert: "/no/such/ca.pem"}, "read the daemon's certificates: open /no/such/ca.pem"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := daemon.Resolve(test.flags, config(t, ""), noEnvironment)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// A daemon with TLS is reached with the CA of --tlscacert and of a context,
// and with --tls alone unverified; not with --tlsverify and no CA.
func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(&engine{api: "1.41"})
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	host := strings.Replace(server.URL, "https", "tcp", 1)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	write(t, ca, string(certificate))
	docker := config(t, "")
	contextFile(t, docker.Dir, "secure", `{"Name":"secure","Endpoints":{"docker":{"Host":"`+host+`"}}}`)
	write(t, filepath.Join(docker.Dir, "contexts", "tls", contextID("secure"), "docker", "ca.pem"), string(certificate))

	for _, test := range []struct {
		name   string
		flags  daemon.Flags
		env    map[string]string
		unsafe bool
	}{
		{name: "--tlscacert", flags: daemon.Flags{Host: host, TLSVerify: true, CACert: ca}},
		{name: "DOCKER_CERT_PATH", env: map[string]string{"DOCKER_HOST": host, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": filepath.Dir(ca)}},
		{name: "context", flags: daemon.Flags{Context: "secure"}},
		{name: "--tls", flags: daemon.Flags{Host: host, TLS: true}},
		{name: "--tlsverify without a CA", flags: daemon.Flags{Host: host, TLSVerify: true}, unsafe: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			endpoint, err := daemon.Resolve(test.flags, docker, func(key string) string { return test.env[key] })
			if err != nil {
				t.Fatal(err)
			}
			client, err := daemon.Connect(t.Context(), endpoint)
			if test.unsafe != (err != nil) {
				t.Fatalf("got %v, want a failure: %t", err, test.unsafe)
			}
			if err == nil {
				client.Close()
			}
		})
	}
}

func TestConnectOverTCP(t *testing.T) {
	server := httptest.NewServer(&engine{api: "1.41"})
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	for _, host := range []string{"tcp://" + address, "tcp://" + address + "/", "http://" + address, address} {
		client, err := daemon.Connect(t.Context(), daemon.Endpoint{Host: host})
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		client.Close()
	}
}

// A fixed version is spoken whatever the daemon says.
func TestAPIVersion(t *testing.T) {
	e := &engine{api: "1.54"}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	client, err := daemon.Connect(t.Context(), daemon.Endpoint{Host: strings.Replace(server.URL, "http", "tcp", 1), APIVersion: "1.40"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if _, err := client.Names(t.Context()); err == nil || !strings.Contains(err.Error(), "client version is too old") {
		t.Errorf("got %v, want the daemon's refusal", err)
	}
	if e.asked[0] != "/v1.40/images/json" {
		t.Errorf("got %s, want /v1.40/images/json", e.asked[0])
	}
}

// config is Docker's configuration with two contexts, one of them no daemon.
func config(t *testing.T, current string) *dockerconfig.Config {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), `{"currentContext":"`+current+`"}`)
	contextFile(t, dir, "remote", `{"Name":"remote","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://me@remote","SkipTLSVerify":false}}}`)
	contextFile(t, dir, "cluster", `{"Name":"cluster","Endpoints":{"kubernetes":{"Host":"https://k"}}}`)
	c, err := dockerconfig.Load(dir, noEnvironment, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func contextFile(t *testing.T, dir, name, content string) {
	t.Helper()
	write(t, filepath.Join(dir, "contexts", "meta", contextID(name), "meta.json"), content)
}

func contextID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func noEnvironment(string) string { return "" }

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

var _ http.Handler = (*engine)(nil)
