package test

import (
	"bytes"
	"encoding/base64"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// proxy is an HTTP proxy that reaches one server, whatever name is asked for.
type proxy struct {
	*httptest.Server
	upstream string
	// credential is what it wants; empty is nothing. refuse is its answer to
	// everybody, unless zero.
	credential string
	refuse     int

	// mu guards the field below.
	mu    sync.Mutex
	asked []string
}

func startProxy(t *testing.T, upstream string, setUp func(*proxy)) *proxy {
	t.Helper()
	p := &proxy{upstream: upstream}
	if setUp != nil {
		setUp(p)
	}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, req.Method+" "+req.Host)
	p.mu.Unlock()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.credential))
	switch {
	case p.refuse != 0:
		w.WriteHeader(p.refuse)
		return
	case p.credential != "" && req.Header.Get("Proxy-Authorization") != want:
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	up, err := net.Dial("tcp", p.upstream)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer up.Close()
	// The first request of a connection is written before the connection is
	// taken over: net/http reads ahead once a body has ended, and a byte of the
	// next request would be lost.
	if req.Method != http.MethodConnect {
		if err := req.Write(up); err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
	}
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	if req.Method == http.MethodConnect {
		_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
	}
	go func() { _, _ = io.Copy(up, buffered) }()
	_, _ = io.Copy(down, up)
}

func (p *proxy) connections() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// hostBehind is a name that only the proxy knows.
const hostBehind = "git.behind.invalid"

// TestProxyOfTheEnvironment pushes through a proxy, and past one.
func TestProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	dir := t.TempDir()
	if err := writePluginImages(dir); err != nil {
		t.Fatal(err)
	}
	const user = "me:" + canary
	for _, tc := range []struct {
		name string
		// env is the environment; PROXY stands for the proxy's host and port.
		env   []string
		args  []string
		setUp func(p *proxy)
		// used: something was asked of the proxy.
		used bool
		// want is in what is shown; empty is a push that succeeds.
		want []string
	}{
		{name: "tunnel", env: []string{"HTTPS_PROXY=http://PROXY"}, used: true},
		{name: "lower case, without a scheme", env: []string{"https_proxy=PROXY"}, used: true},
		{name: "plain HTTP", env: []string{"HTTP_PROXY=http://PROXY"}, args: []string{"--plain-http"}, used: true},
		{name: "a credential", env: []string{"HTTPS_PROXY=http://" + user + "@PROXY"}, setUp: func(p *proxy) { p.credential = user }, used: true},
		{
			name: "no credential", env: []string{"HTTPS_PROXY=http://PROXY"}, setUp: func(p *proxy) { p.credential = user }, used: true,
			want: []string{"407 Proxy Authentication Required", "HTTPS_PROXY=http://USER:PASSWORD@", "NO_PROXY=" + hostBehind},
		},
		{
			name: "a wrong credential", env: []string{"HTTPS_PROXY=http://" + user + "@PROXY"}, setUp: func(p *proxy) { p.credential = "other" }, used: true,
			want: []string{"407 Proxy Authentication Required", "requires a credential, or rejects"},
		},
		{
			name: "no credential, plain HTTP", env: []string{"HTTP_PROXY=http://PROXY"}, args: []string{"--plain-http"}, setUp: func(p *proxy) { p.credential = user }, used: true,
			want: []string{"407 Proxy Authentication Required", "HTTP_PROXY=http://USER:PASSWORD@"},
		},
		{
			name: "refused", env: []string{"HTTPS_PROXY=http://" + user + "@PROXY"}, setUp: func(p *proxy) { p.refuse = 403 }, used: true,
			want: []string{"of HTTPS_PROXY: 403 Forbidden", "does not let through to " + hostBehind, "NO_PROXY=" + hostBehind},
		},
		{
			name: "unreachable", env: []string{"HTTPS_PROXY=http://" + user + "@127.0.0.1:1"},
			want: []string{"127.0.0.1:1 of HTTPS_PROXY", "connection refused", "correct HTTPS_PROXY"},
		},
		{
			name: "unreachable, plain HTTP", env: []string{"HTTP_PROXY=http://" + user + "@127.0.0.1:1"}, args: []string{"--plain-http"},
			want: []string{"127.0.0.1:1 of HTTP_PROXY", "correct HTTP_PROXY"},
		},
		{
			name: "no such name", env: []string{"HTTPS_PROXY=http://" + user + "@proxy.invalid:3128"},
			want: []string{"proxy.invalid:3128 of HTTPS_PROXY", "correct HTTPS_PROXY"},
		},
		{
			name: "no address", env: []string{"HTTPS_PROXY=http://" + user + "@[bad"},
			want: []string{"its value is not the address of a proxy", "http://HOST:PORT"},
		},
		{
			name: "past the proxy", env: []string{"HTTPS_PROXY=http://PROXY", "NO_PROXY=other.example.com,.behind.invalid"},
			want: []string{hostBehind, "cause: "},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			start := registrytest.Start
			if len(tc.args) > 0 {
				start = registrytest.StartPlain
			}
			srv := start(t, registrytest.Config{})
			p := startProxy(t, srv.Host, tc.setUp)
			home := t.TempDir()
			for _, command := range [][]string{{"push", "--retries", "1"}, {"check"}} {
				args := append([]string{"-D"}, command...)
				if args = append(args, tc.args...); len(tc.args) == 0 {
					args = append(args, "--insecure")
				}
				target := hostBehind + "/alice/app"
				if command[0] == "push" {
					args = append(args, filepath.Join(dir, "archive.tar"))
					target += ":1"
				}
				c := exec.CommandContext(t.Context(), plugin, append(args, target)...)
				c.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "DOCKER_GITEA_HOST=" + hostBehind, "DOCKER_GITEA_TOKEN=" + registrytest.Token}
				c.Env = withProxy(c.Env, tc.env, strings.TrimPrefix(p.URL, "http://"))
				out, err := c.CombinedOutput()
				if (err == nil) != (tc.want == nil) {
					t.Fatalf("%v: %v: %s", command, err, out)
				}
				for _, want := range tc.want {
					if !bytes.Contains(out, []byte(want)) {
						t.Errorf("%v: %q is not in %s", command, want, out)
					}
				}
				assertNoCanary(t, command[0], out)
			}
			if used := len(p.connections()) > 0; used != tc.used {
				t.Errorf("the proxy was asked for %v", p.connections())
			}
			assertNoCanaryIn(t, home)
		})
	}
}

// withProxy adds variables in which PROXY stands for an address.
func withProxy(env, variables []string, address string) []string {
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		env = append(env, name+"="+strings.Replace(value, "PROXY", address, 1))
	}
	return env
}

// canary is a secret that is easily found.
const canary = "CANARYcanary"

// assertNoCanary looks for the canary, as it is and in base64, and for tokens
// that a registry gave (which are JWTs), in what something has shown.
func assertNoCanary(t *testing.T, what string, shown []byte) {
	t.Helper()
	secrets := []string{canary, "eyJhbGciOi"}
	for _, before := range []string{"", "a", "aa"} { // at each position in a group of three
		encoded := base64.StdEncoding.EncodeToString([]byte(before + canary))
		secrets = append(secrets, encoded[4:len(encoded)-4])
	}
	for line := range bytes.Lines(shown) {
		for _, secret := range secrets {
			if bytes.Contains(line, []byte(secret)) {
				t.Errorf("%s shows a secret: %s", what, line)
			}
		}
	}
}

// assertNoCanaryIn looks through all files below dir, but for those named.
func assertNoCanaryIn(t *testing.T, dir string, but ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for _, name := range but {
			if entry.Name() == name {
				return nil
			}
		}
		data, err := os.ReadFile(path)
		assertNoCanary(t, path, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
