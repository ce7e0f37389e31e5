package remote_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "canary-5ecret"

// server is the smallest registry: it takes blobs and manifests, and lets
// itself be changed by hook, which answers a request by returning true.
type server struct {
	*httptest.Server
	hook func(w http.ResponseWriter, req *http.Request) bool
	// certDirs are those of its clients.
	certDirs []string

	mu        sync.Mutex
	seen      []string // method and path
	leaks     []string // requests with credentials
	blobs     map[string][]byte
	manifests map[string][]byte
	sessions  map[string][]byte
	taken     int // bytes of chunks
}

func start(t *testing.T, hook func(w http.ResponseWriter, req *http.Request) bool) *server {
	t.Helper()
	s := &server{hook: hook, certDirs: []string{}, blobs: map[string][]byte{}, manifests: map[string][]byte{}, sessions: map[string][]byte{}}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ConnContext = shortBuffers
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// shortBuffers has the system hold little of what a server wrote and the
// client did not take, so that what was written tells what was taken.
func shortBuffers(ctx context.Context, conn net.Conn) context.Context {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(64 << 10)
	}
	return ctx
}

func (s *server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	s.seen = append(s.seen, req.Method+" "+req.URL.Path)
	if req.Header.Get("Authorization") != "" {
		s.leaks = append(s.leaks, req.Method+" "+req.URL.Path)
	}
	s.mu.Unlock()
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if s.hook != nil && s.hook(w, req) {
		return
	}
	path := strings.TrimPrefix(req.URL.Path, "/v2/me/app/")
	kind, name, _ := strings.Cut(path, "/")
	switch {
	case req.URL.Path == "/v2/":
	case strings.HasPrefix(path, "blobs/uploads/"):
		s.upload(w, req)
	case kind == "blobs":
		s.get(w, req, s.blobs, name)
	case req.Method == http.MethodPut:
		data, _ := io.ReadAll(req.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.manifests[name] = data
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(data).String())
		w.WriteHeader(http.StatusCreated)
	default:
		s.get(w, req, s.manifests, name)
	}
}

func (s *server) get(w http.ResponseWriter, req *http.Request, from map[string][]byte, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := from[name]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Docker-Content-Digest", digest.FromBytes(data).String())
	if req.Method == http.MethodGet {
		_, _ = w.Write(data)
	}
}

func (s *server) upload(w http.ResponseWriter, req *http.Request) {
	session := strings.TrimPrefix(req.URL.Path, "/v2/me/app/blobs/uploads/")
	want := req.URL.Query().Get("digest")
	data, err := io.ReadAll(req.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		return
	case req.Method == http.MethodPost && want != "", req.Method == http.MethodPut:
		data = append(s.sessions[session], data...)
		if digest.FromBytes(data).String() != want {
			http.Error(w, `{"errors":[{"code":"DIGEST_INVALID"}]}`, http.StatusBadRequest)
			return
		}
		s.blobs[want] = data
		w.Header().Set("Docker-Content-Digest", want)
		w.WriteHeader(http.StatusCreated)
	case req.Method == http.MethodPost:
		if _, known := s.blobs[req.URL.Query().Get("mount")]; known {
			w.Header().Set("Docker-Content-Digest", req.URL.Query().Get("mount"))
			w.WriteHeader(http.StatusCreated)
			return
		}
		session = fmt.Sprint("s", len(s.seen))
		s.sessions[session] = nil
		w.Header().Set("Location", "/v2/me/app/blobs/uploads/"+session)
		w.WriteHeader(http.StatusAccepted)
	case req.Method == http.MethodPatch:
		s.taken += len(data)
		s.sessions[session] = append(s.sessions[session], data...)
		w.Header().Set("Location", "/v2/me/app/blobs/uploads/"+session)
		w.Header().Set("Range", fmt.Sprintf("0-%d", len(s.sessions[session])-1))
		w.WriteHeader(http.StatusAccepted)
	case req.Method == http.MethodGet:
		if n := len(s.sessions[session]); n > 0 {
			w.Header().Set("Range", fmt.Sprintf("0-%d", n-1))
		}
		w.WriteHeader(http.StatusNoContent)
	case req.Method == http.MethodDelete:
		delete(s.sessions, session)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *server) count(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, seen := range s.seen {
		if strings.HasPrefix(seen, prefix) {
			n++
		}
	}
	return n
}

// client is one that trusts the server and does not wait.
func (s *server) client(t *testing.T, auth registry.AuthConfig) *remote.Client {
	t.Helper()
	return s.clientVia(t, auth, func(*http.Transport) {})
}

// clientVia is a client with a transport that set has set up.
func (s *server) clientVia(t *testing.T, auth registry.AuthConfig, set func(*http.Transport)) *remote.Client {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, data, 0o600); err != nil {
		t.Fatal(err)
	}
	config := registry.RegistryConfig{URL: s.URL, CAFiles: []string{ca}, CertDirs: s.certDirs, Auth: auth}
	transport, err := transport.New(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	own, err := transport.To(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	set(own)
	c, err := remote.New(config, &remote.Options{Backoff: func(int) time.Duration { return 0 }, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// clientAlone is a client with these options, that trusts the server, in a
// network without other hosts: what the server leads to is not looked for in
// the one that the test runs in.
func (s *server) clientAlone(t *testing.T, opts *remote.Options) *remote.Client {
	t.Helper()
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	config := registry.RegistryConfig{URL: s.URL, CAData: string(data), Auth: secretAuth}
	transport, err := transport.New(config, &transport.Options{ConnectTimeout: opts.ConnectTimeout, StallTimeout: opts.StallTimeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	opts.Transport = lonely{transport, strings.TrimPrefix(s.URL, "https://")}
	c, err := remote.New(config, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lonely reaches one host, and finds no other.
type lonely struct {
	base http.RoundTripper
	host string
}

func (l lonely) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == l.host {
		return l.base.RoundTrip(req)
	}
	if req.Body != nil {
		_ = req.Body.Close() // a RoundTripper's duty
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: req.URL.Hostname(), IsNotFound: true}}
}

// alsoTrust has the clients of s know the certificate of another server, as
// that one's own.
func (s *server) alsoTrust(t *testing.T, other *server) {
	t.Helper()
	certs := t.TempDir()
	dir := filepath.Join(certs, strings.TrimPrefix(other.URL, "https://"))
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw})
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "ca.crt"), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	s.certDirs = append(s.certDirs, certs)
}

// writeLayout writes an OCI layout of one artifact with these layers.
func writeLayout(t *testing.T, layers ...[]byte) string {
	t.Helper()
	dir := t.TempDir()
	write := func(mediaType string, data []byte) ocispec.Descriptor {
		d := digest.FromBytes(data)
		path := filepath.Join(dir, "blobs", "sha256", d.Encoded())
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
		return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
	}
	marshal := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	m.Config = write(ocispec.MediaTypeImageConfig, []byte("{}"))
	for _, layer := range layers {
		m.Layers = append(m.Layers, write(opaque, layer))
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{write(ocispec.MediaTypeImageManifest, marshal(m))}}
	for name, data := range map[string][]byte{"index.json": marshal(index), "oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const opaque = "application/vnd.example.data"

func push(t *testing.T, c *remote.Client, dir string, opts registry.PushOptions) error {
	t.Helper()
	source, err := image.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	opts.Source = source
	return c.Push(t.Context(), "me/app:1", opts)
}

var secretAuth = registry.AuthConfig{Username: "me", Password: canary}

// bearer makes a server want a token, which token names.
func bearer(realm func(req *http.Request) string, token func() string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path == "/v2/token" {
			if _, password, _ := req.BasicAuth(); password != canary {
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			_, _ = fmt.Fprintf(w, `{"token":%q}`, token())
			return true
		}
		if req.Header.Get("Authorization") == "Bearer "+token() {
			return false
		}
		w.Header().Add("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="s",scope="*"`, realm(req)))
		w.Header().Add("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

func own(req *http.Request) string { return "https://" + req.Host + "/v2/token" }

func TestTokenIsFetchedOnce(t *testing.T) {
	t.Parallel()
	s := start(t, bearer(own, func() string { return "t1" }))
	layers := make([][]byte, 20)
	for i := range layers {
		layers[i] = []byte{byte(i)}
	}
	if err := push(t, s.client(t, secretAuth), writeLayout(t, layers...), registry.PushOptions{Jobs: 8}); err != nil {
		t.Fatal(err)
	}
	if n := s.count("GET /v2/token"); n != 1 {
		t.Errorf("got %d token requests, want 1", n)
	}
}

// A password or token goes straight to Gitea's token service, so that no
// request is made only to be refused.
func TestFirstRequestGetsTheToken(t *testing.T) {
	t.Parallel()
	s := start(t, bearer(own, func() string { return "t1" }))
	c := s.client(t, secretAuth)
	layers := [][]byte{{1}, {2}, {3}}
	var result registry.Result
	if err := push(t, c, writeLayout(t, layers...), registry.PushOptions{Result: &result}); err != nil {
		t.Fatal(err)
	}
	if most := len(layers) + 4; result.Requests > most {
		t.Errorf("got %d requests, want at most %d", result.Requests, most)
	}
}

func TestTokenRefusedInTheMiddleIsReplacedAndTheBodySentAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	token := "t1"
	current := func() string {
		mu.Lock()
		defer mu.Unlock()
		return token
	}
	auth := bearer(own, current)
	s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "manifests") {
			mu.Lock()
			if token == "t1" {
				token = "t2" // expired between the blobs and the manifest
			}
			mu.Unlock()
		}
		return auth(w, req)
	})
	if err := push(t, s.client(t, secretAuth), writeLayout(t, make([]byte, 1<<20)), registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := s.count("GET /v2/token"); n != 2 {
		t.Errorf("got %d token requests, want 2", n)
	}
}

// A realm elsewhere never sees the credential; the registry's own service does.
func TestRealmOnAnotherHostSeesNothing(t *testing.T) {
	t.Parallel()
	evil := start(t, nil)
	for name, realm := range map[string]string{
		"another origin": evil.URL + "/v2/token", "plain http": "http://git.example.com/v2/token",
		"link-local": "http://169.254.169.254/latest", "garbage": "::", "credentials": "https://a:b@127.0.0.1/v2/token",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			auth := bearer(func(*http.Request) string { return realm }, func() string { return "t1" })
			s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
				if req.URL.Path == "/v2/token" && req.URL.Query().Get("service") == "" {
					w.WriteHeader(http.StatusNotFound) // what comes unasked is not answered here
					return true
				}
				return auth(w, req)
			})
			var notes []string
			opts := registry.PushOptions{Progress: func(e registry.Event) {
				if e.Note != "" {
					notes = append(notes, e.Note)
				}
			}}
			if err := push(t, s.client(t, secretAuth), writeLayout(t, []byte("x")), opts); err != nil {
				t.Fatal(err)
			}
			if len(evil.seen) > 0 {
				t.Errorf("the other host saw %v", evil.seen)
			}
			if len(notes) != 1 || !strings.Contains(notes[0], "ROOT_URL") {
				t.Errorf("got notes %q", notes)
			}
		})
	}
}

func TestLocationOnAnotherOriginSeesNoCredential(t *testing.T) {
	t.Parallel()
	other := start(t, nil)
	base := bearer(own, func() string { return "t1" })
	s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
		if base(w, req) {
			return true
		}
		if req.Method == http.MethodPost {
			w.Header().Set("Location", other.URL+"/v2x/upload")
			w.WriteHeader(http.StatusAccepted)
			return true
		}
		return false
	})
	s.alsoTrust(t, other)
	if err := push(t, s.client(t, secretAuth), writeLayout(t, []byte("x")), registry.PushOptions{}); err != nil {
		t.Error(err)
	}
	if len(other.seen) == 0 || len(other.leaks) > 0 {
		t.Errorf("seen %v, with a credential %v", other.seen, other.leaks)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	other := start(t, nil)
	for name, to := range map[string]string{"another origin": other.URL + "/v2/", "plain http": strings.Replace(other.URL, "https", "http", 1)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := bearer(own, func() string { return "t1" })
			s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
				if base(w, req) {
					return true
				}
				http.Redirect(w, req, to, http.StatusTemporaryRedirect)
				return true
			})
			s.alsoTrust(t, other)
			c := s.client(t, secretAuth)
			_ = c.Health(t.Context()) // whatever it makes of it
			err := push(t, c, writeLayout(t, []byte("x")), registry.PushOptions{})
			if !errors.Is(err, registry.ErrRedirected) {
				t.Errorf("got %v, want %v", err, registry.ErrRedirected)
			}
			if len(other.leaks) > 0 {
				t.Errorf("credentials went to %v", other.leaks)
			}
		})
	}
}

func TestBasicAlone(t *testing.T) {
	t.Parallel()
	s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
		if _, password, _ := req.BasicAuth(); password == canary {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	c := s.client(t, registry.AuthConfig{Token: canary})
	if err := c.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := push(t, c, writeLayout(t, []byte("x")), registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Authenticate(t.Context(), registry.AuthConfig{Username: "me", Password: "wrong"}); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
}

func TestWhatAnswersIsNoRegistry(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]func(w http.ResponseWriter, req *http.Request) bool{
		"a page": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<html>")
			return true
		},
		"nothing there": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Del("Docker-Distribution-Api-Version")
			w.WriteHeader(http.StatusNotFound)
			return true
		},
		"a sign-in page": func(w http.ResponseWriter, req *http.Request) bool {
			if req.URL.Path == "/v2/" {
				http.Redirect(w, req, "/user/login", http.StatusFound)
			}
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := start(t, hook).client(t, registry.AuthConfig{}).Health(t.Context())
			if !errors.Is(err, registry.ErrNotRegistry) {
				t.Errorf("got %v, want %v", err, registry.ErrNotRegistry)
			}
		})
	}
}

func TestFailuresOfBlobs(t *testing.T) {
	t.Parallel()
	fail := func(times int, match string, answer func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
		var mu sync.Mutex
		return func(w http.ResponseWriter, req *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			if !strings.HasPrefix(req.Method+" "+req.URL.Path, match) || times == 0 {
				return false
			}
			times--
			answer(w)
			return true
		}
	}
	status := func(code int, body string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	fromProxy := func(code int, server string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Del("Docker-Distribution-Api-Version")
			w.Header().Set("Server", server)
			w.WriteHeader(code)
		}
	}
	cut := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	for _, tc := range []struct {
		name string
		hook func(http.ResponseWriter, *http.Request) bool
		want error
	}{
		{"an empty 500", fail(2, "POST /v2/me/app/blobs/uploads/", status(500, "")), nil},
		{"503 with Retry-After", fail(1, "POST", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
		}), nil},
		{"a cut", fail(2, "POST", cut), nil},
		{"405 to a single request", fail(9, "POST /v2/me/app/blobs/uploads/?digest", status(405, "")), nil},
		{"413 for ever", fail(-1, "P", fromProxy(413, "nginx")), registry.ErrTooLarge},
		{"a quota", fail(-1, "POST", status(403, "")), registry.ErrQuota},
		{"the quota of Forgejo", fail(-1, "P", func(w http.ResponseWriter) {
			w.Header().Del("Docker-Distribution-Api-Version")
			http.Error(w, "enforcePackagesQuota", http.StatusRequestEntityTooLarge)
		}), registry.ErrQuota},
		{"a firewall", fail(-1, "POST", func(w http.ResponseWriter) { fromProxy(403, "cloudflare")(w); _, _ = io.WriteString(w, "<html>") }), registry.ErrNotRegistry},
		{"too many requests", fail(-1, "POST", status(429, "")), registry.ErrRateLimited},
		{"a server that is down", fail(-1, "POST", fromProxy(502, "nginx")), registry.ErrServer},
		{"a manifest refused", fail(-1, "PUT", status(400, `{"errors":[{"code":"MANIFEST_INVALID","message":"\u001b[2Jno"}]}`)), registry.ErrManifestInvalid},
		{"a manifest that fails once", fail(1, "PUT", status(500, "")), nil},
		{"a blob that is lost", fail(-1, "PUT", status(404, `{"errors":[{"code":"BLOB_UNKNOWN"}]}`)), registry.ErrBlobUnknown},
		{"another digest", fail(-1, "PUT", func(w http.ResponseWriter) {
			w.Header().Set("Docker-Content-Digest", "sha256:bad")
			w.WriteHeader(http.StatusCreated)
		}), registry.ErrDigestMismatch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tc.hook)
			err := push(t, s.client(t, registry.AuthConfig{}), writeLayout(t, []byte("x"), make([]byte, 3<<20)), registry.PushOptions{Retries: 3})
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err == nil && len(s.manifests) == 0 {
				t.Error("no manifest arrived")
			}
			if err != nil && strings.ContainsRune(err.Error(), 0x1b) {
				t.Errorf("an escape sequence is in %q", err)
			}
		})
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	data := make([]byte, 5<<20+1)
	if err := push(t, s.client(t, registry.AuthConfig{}), writeLayout(t, data), registry.PushOptions{ChunkSize: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if n := s.count("PATCH"); n != 6 {
		t.Errorf("got %d chunks, want 6", n)
	}
	if got := s.blobs[digest.FromBytes(data).String()]; len(got) != len(data) {
		t.Errorf("got %d bytes", len(got))
	}
}

// A push that is cancelled removes its upload session, also one of whose
// beginning it had not heard yet.
func TestCancelledPushLeavesNoSession(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		opts registry.PushOptions
		hook func(s *server, w http.ResponseWriter, req *http.Request, cancel func()) bool
	}{
		{"in a chunk", registry.PushOptions{ChunkSize: 1 << 20}, func(_ *server, _ http.ResponseWriter, req *http.Request, cancel func()) bool {
			if req.Method == http.MethodPatch {
				cancel()
				_, _ = io.Copy(io.Discard, req.Body)
			}
			return req.Method == http.MethodPatch
		}},
		{"while a session begins", registry.PushOptions{ChunkSize: 1 << 20}, func(_ *server, _ http.ResponseWriter, req *http.Request, cancel func()) bool {
			if req.Method == http.MethodPost && !req.URL.Query().Has("digest") {
				cancel()
			}
			return false
		}},
		{"while an upload in one request becomes a session", registry.PushOptions{}, func(s *server, w http.ResponseWriter, req *http.Request, cancel func()) bool {
			if req.Method != http.MethodPost {
				return false
			}
			cancel()
			w.Header().Set("Location", s.begin())
			w.WriteHeader(http.StatusAccepted)
			return true
		}},
		{"after a chunk, while the connection dies", registry.PushOptions{ChunkSize: 1 << 20}, func(s *server, w http.ResponseWriter, req *http.Request, cancel func()) bool {
			switch req.Method {
			case http.MethodPatch:
				cancel()
			case http.MethodDelete:
				if s.count(http.MethodDelete) == 1 {
					hangUp(w)
					return true
				}
			}
			return false
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var s *server
			s = start(t, func(w http.ResponseWriter, req *http.Request) bool { return tc.hook(s, w, req, cancel) })
			source, err := image.Open(writeLayout(t, make([]byte, 3<<20)), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			tc.opts.Source = source
			err = s.client(t, registry.AuthConfig{}).Push(ctx, "me/app:1", tc.opts)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.sessions) > 0 {
				t.Errorf("%d sessions are left", len(s.sessions))
			}
		})
	}
}

// What little is left of a body is sent although the push is cancelled: where it
// is cut, distribution keeps the session and refuses to remove it.
func TestCancelledPushEndsItsBody(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		chunk int64
	}{{"a short body", 40_000}, {"the end of a long body", 1 << 20}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var came atomic.Int64
			s := start(t, func(_ http.ResponseWriter, req *http.Request) bool {
				if req.Method == http.MethodPatch {
					came.Store(req.ContentLength)
				}
				return false
			})
			source, err := image.Open(writeLayout(t, make([]byte, 3<<20)), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			err = s.client(t, registry.AuthConfig{}).Push(ctx, "me/app:1", registry.PushOptions{
				Source: source, ChunkSize: tc.chunk,
				Progress: func(e registry.Event) {
					if e.Status != registry.StatusPushing || e.Total != 3<<20 || e.Current < tc.chunk-40_000 || ctx.Err() != nil {
						return
					}
					cancelled := make(chan struct{})
					context.AfterFunc(ctx, func() { close(cancelled) })
					cancel()
					<-cancelled
				},
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if got := s.taken; got != int(came.Load()) || got == 0 {
				t.Errorf("%d bytes of a body of %d came", got, came.Load())
			}
			if len(s.sessions) > 0 {
				t.Errorf("%d sessions are left", len(s.sessions))
			}
		})
	}
}

// begin begins a session, and returns its address.
func (s *server) begin() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := fmt.Sprint("s", len(s.seen))
	s.sessions[session] = nil
	return "/v2/me/app/blobs/uploads/" + session
}

// hangUp ends the connection of w without an answer.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close() // that is all it is for
	}
}

// A client that has waited for "100 Continue" long enough sends the body all
// the same. A push that is cancelled then must not end the body, and with it
// the connection: the registry may be about to say which session it has begun.
func TestCancelledPushAwaitsSlowSession(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var s *server
	s = start(t, func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost || req.Header.Get("Expect") == "" {
			return false
		}
		location := s.begin()
		cancel()
		// Reading the request's own body would send "100 Continue".
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return true
		}
		defer conn.Close()
		if n, err := io.CopyN(io.Discard, buffered, req.ContentLength); err != nil {
			t.Errorf("%d bytes of the body came before the connection ended: %v", n, err)
			return true
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 202 Accepted\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", location)
		return true
	})
	c := s.clientVia(t, registry.AuthConfig{}, func(transport *http.Transport) { transport.ExpectContinueTimeout = time.Nanosecond })
	source, err := image.Open(writeLayout(t, make([]byte, 3<<20)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if err = c.Push(ctx, "me/app:1", registry.PushOptions{Source: source}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) > 0 {
		t.Errorf("%d sessions are left", len(s.sessions))
	}
}

func TestDryRunSendsNothing(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	var result registry.Result
	if err := push(t, s.client(t, registry.AuthConfig{}), writeLayout(t, []byte("x")), registry.PushOptions{DryRun: true, Result: &result}); err != nil {
		t.Fatal(err)
	}
	if n := s.count("P"); n != 0 || !result.DryRun || len(result.Blobs) != 2 || result.Blobs[0].Status != registry.StatusSkipped {
		t.Errorf("%d requests changed something; %+v", n, result)
	}
}

func TestRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.client(t, registry.AuthConfig{})
	for name, tc := range map[string]struct {
		ref  string
		opts registry.PushOptions
		want error
	}{
		"another host":    {"git.example.com/me/app:1", registry.PushOptions{}, registry.ErrNameInvalid},
		"a bad tag":       {"me/app:1", registry.PushOptions{Tags: []string{"a b"}}, registry.ErrNameInvalid},
		"nothing to read": {"me/app:1", registry.PushOptions{}, registry.ErrNoSource},
	} {
		if err := c.Push(t.Context(), tc.ref, tc.opts); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	for _, opts := range []registry.PushOptions{{Timeout: -1}, {Jobs: -1}, {ChunkSize: -1}, {Compression: image.Compression{Algorithm: "x"}}} {
		if c.Push(t.Context(), "me/app:1", opts) == nil {
			t.Errorf("%+v: got no error", opts)
		}
	}
	for _, config := range []registry.RegistryConfig{
		{},
		{URL: "ftp://x"},
		{URL: "h", CertFile: "x"},
		{URL: "h", Auth: registry.AuthConfig{Username: "u"}},
		{URL: "h", Auth: registry.AuthConfig{Password: "p"}},
		{URL: "h", Auth: registry.AuthConfig{Token: "t", Password: "p"}},
		{URL: "h", Auth: registry.AuthConfig{Token: "t\r\n"}},
	} {
		if _, err := remote.New(config, nil); err == nil {
			t.Errorf("%+v: got no error", config)
		}
	}
	if len(s.seen) > 0 {
		t.Errorf("the registry saw %v", s.seen)
	}
}

func TestEndlessAnswers(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, req *http.Request) {
		for req.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
				return
			}
		}
	}
	for name, path := range map[string]string{"a token": "/v2/token", "an error": "/v2/me/app/"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := bearer(own, func() string { return "t1" })
			s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
				if strings.HasPrefix(req.URL.Path, path) {
					if path != "/v2/token" {
						if base(w, req) {
							return true
						}
						w.WriteHeader(http.StatusBadRequest)
					}
					endless(w, req)
					return true
				}
				return base(w, req)
			})
			if err := push(t, s.client(t, secretAuth), writeLayout(t, []byte("x")), registry.PushOptions{}); err == nil {
				t.Error("got no error")
			}
		})
	}
}

func TestPlainHTTPOnLoopbackUnasked(t *testing.T) {
	t.Parallel()
	s := &server{blobs: map[string][]byte{}, manifests: map[string][]byte{}, sessions: map[string][]byte{}}
	plain := httptest.NewServer(s)
	t.Cleanup(plain.Close)
	u, err := url.Parse(plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := remote.New(registry.RegistryConfig{URL: u.Host}, &remote.Options{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	if err := push(t, c, writeLayout(t, []byte("x")), registry.PushOptions{}); err != nil {
		t.Error(err)
	}
	asked, err := remote.New(registry.RegistryConfig{URL: "https://" + u.Host}, &remote.Options{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	err = asked.Health(t.Context())
	if d := registry.Diagnose(err); !strings.Contains(d.Hint, "--plain-http") {
		t.Errorf("got %v, %+v", err, d)
	}
}
