//go:build !windows

package test

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// turned is each kind of fault that turned one of the programs against its user, as
// SECURITY.md names it, and a function that shows with the real programs that it is
// gone.
var turned = []struct {
	kind  string
	shown func(*testing.T, *owner)
}{
	{"Text of a server reaches a shell or a terminal", textOfServer}, // and TestHostile… of this package
	{"Files of the working directory are trusted", filesOfWorkingDirectory},
	{"A setting that weakens security is not bound to a host", settingOfOneHost},
	{"A switch that cannot be switched off", switchedOff},
	{"TLS settings belong to a transport", settingsOfTransport},
	{"Credentials are offered where they need not be", credentialsOffered},
	{"A normalised key where docker wants the literal one", literalKey},
	{"A file is taken away from its owner, or made to be run by others", fileOfOwner},
	{"A secret in an error, a log or an argument list", secretShown}, // and TestMisplaced…, TestSecretsAreNotShown
	{"An output path is removed", outputPath},
}

func TestNothingIsTurnedAgainstItsUser(t *testing.T) {
	t.Parallel()
	programs := [2]string{filepath.Join(pluginDir(t), "docker-gitea"), filepath.Join(credhelperDir(t), "docker-credential-gitea")}
	page, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, kind := range turned {
		kinds = append(kinds, kind.kind)
		t.Run(kind.kind, func(t *testing.T) {
			t.Parallel()
			kind.shown(t, &owner{plugin: programs[0], helper: programs[1], home: t.TempDir(), dir: t.TempDir()})
		})
	}
	var written []string
	for _, match := range regexp.MustCompile(`(?m)^\*\*(.+?)\.\*\* `).FindAllStringSubmatch(string(page[strings.Index(string(page), "\n## "):]), -1) {
		written = append(written, match[1])
	}
	if !slices.Equal(kinds, written) {
		t.Errorf("SECURITY.md has the kinds %q, shown are %q", written, kinds)
	}
	sources := testsOfAll(t)
	for _, name := range regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(page), -1) {
		if !strings.Contains(sources, "\nfunc "+name[1]+"(") {
			t.Errorf("SECURITY.md names %s, which there is not", name[1])
		}
	}
}

// testsOfAll are the tests of all packages.
func testsOfAll(t *testing.T) string {
	t.Helper()
	var sources strings.Builder
	err := filepath.WalkDir("..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		sources.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources.String()
}

// owner runs the programs.
type owner struct {
	plugin, helper string
	// home is HOME, dir the working directory.
	home, dir string
	// env goes after a small environment, and bare replaces it.
	env, bare []string
	stdin     string
}

// run runs one of the programs, and returns all that it prints.
func (o *owner) run(t *testing.T, program string, args ...string) (string, int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir, c.Stdin = o.dir, strings.NewReader(o.stdin)
	c.Env = append([]string{
		"HOME=" + o.home, "PATH=" + filepath.Join(o.home, "bin") + ":/bin:/usr/bin", "DOCKER_HOST=tcp://127.0.0.1:1",
		"DOCKER_GITEA_RETRIES=0", "DOCKER_CREDENTIAL_GITEA_STORAGE=file",
	}, o.env...)
	if o.bare != nil {
		c.Env = o.bare
	}
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

func (o *owner) write(t *testing.T, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// witness is a server that remembers what it was asked, and with which secrets.
type witness struct {
	*httptest.Server
	host string
	// answer may be nil.
	answer http.HandlerFunc

	mu   sync.Mutex // guards seen
	seen []string
}

// newWitness starts a server, whose certificate nobody trusts.
func newWitness(t *testing.T, tls bool, answer http.HandlerFunc) *witness {
	t.Helper()
	w := &witness{answer: answer}
	w.Server = httptest.NewUnstartedServer(w)
	if w.Start(); tls {
		w.Close()
		w.Server = httptest.NewTLSServer(w)
	}
	t.Cleanup(w.Close)
	_, w.host, _ = strings.Cut(w.URL, "://")
	return w
}

// witnessAt is a Gitea that speaks plain HTTP at an address. It skips the rest of
// the test where that cannot be had.
func witnessAt(t *testing.T, address string) *witness {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip(err)
	}
	w := &witness{answer: giteaIn}
	w.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: w}}
	w.Start()
	t.Cleanup(w.Close)
	return w
}

// ServeHTTP implements [http.Handler].
func (w *witness) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	w.mu.Lock()
	w.seen = append(w.seen, strings.TrimSpace(req.Method+" "+req.URL.String()+" "+req.Header.Get("Authorization")))
	w.mu.Unlock()
	if w.answer == nil {
		http.NotFound(rw, req)
		return
	}
	w.answer(rw, req)
}

// saw are the requests so far that match.
func (w *witness) saw(pattern string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.seen), func(s string) bool { return !regexp.MustCompile(pattern).MatchString(s) })
}

// authority is a file with the server's certificate.
func (w *witness) authority(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Certificate().Raw})
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// strangeAuthority is a file with an authority that no server has to do with.
func strangeAuthority(t *testing.T) string {
	t.Helper()
	authority, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "authority.pem")
	if err := authority.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// clientCertificate writes a certificate that servers may be shown, and its key
// beside it as client.key.
func (o *owner) clientCertificate(t *testing.T) string {
	t.Helper()
	authority, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "alice")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	o.write(t, filepath.Join(o.home, "client.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})), 0o600)
	return o.write(t, filepath.Join(o.home, "client.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})), 0o600)
}
