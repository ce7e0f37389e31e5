//go:build e2e

package test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// newClient is a client of our own for a user of s.
func newClient(t *testing.T, s *servers.Server, auth client.AuthConfig, opts *remote.Options) *remote.Client {
	t.Helper()
	config := client.RegistryConfig{URL: s.URL, CertDirs: []string{}, Auth: auth}
	if s.CertDir != "" {
		config.CertDirs = []string{s.CertDir}
	}
	if s.CAFile != "" {
		config.CAFiles = []string{s.CAFile}
	}
	c, err := remote.New(config, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func userAuth(name string) client.AuthConfig {
	return client.AuthConfig{Username: name, Password: servers.AdminPassword}
}

// pushPath pushes what is at path and returns what was done.
func pushPath(t *testing.T, c *remote.Client, ref, path string, opts client.PushOptions) (client.Result, error) {
	t.Helper()
	source, err := image.Open(path, &image.Options{Compression: opts.Compression})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var result client.Result
	opts.Source, opts.Result = source, &result
	err = c.Push(t.Context(), ref, opts)
	return result, err
}

func mustPush(t *testing.T, c *remote.Client, ref, path string, opts client.PushOptions) client.Result {
	t.Helper()
	result, err := pushPath(t, c, ref, path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestPushIndexWithAttestations(t *testing.T) { eachForge(t, testPushIndex) }

func testPushIndex(t *testing.T, g *servers.Gitea) {
	t.Helper()
	name := newUser(t, g)
	c := newClient(t, g.Server, userAuth(name), nil)
	ref := g.Host + "/" + name + "/app:1"
	dir := samples.Layout(t, 1, 3<<20)

	first := mustPush(t, c, ref, dir, client.PushOptions{Tags: []string{"latest", "V2"}})
	if first.Digest.String() != topDigest(t, dir) {
		t.Errorf("got %s, want the layout's %s", first.Digest, topDigest(t, dir))
	}
	for _, tag := range []string{"1", "latest", "v2"} {
		assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+name+"/app:"+tag), layoutBlobs(t, dir))
	}
	again := mustPush(t, c, ref, dir, client.PushOptions{})
	if again.BytesSent > 4096 || again.Digest != first.Digest {
		t.Errorf("the second push sent %d bytes (first %d)", again.BytesSent, first.BytesSent)
	}
}

func TestPushWithEachCredential(t *testing.T) { eachForge(t, testPushWithEachCredential) }

func testPushWithEachCredential(t *testing.T, g *servers.Gitea) {
	t.Helper()
	name := newUser(t, g)
	token, err := g.CreateToken(t.Context(), name, "write:package")
	servers.Need(t, err)
	readOnly, err := g.CreateToken(t.Context(), name, "read:package")
	servers.Need(t, err)
	unrelated, err := g.CreateToken(t.Context(), name, "read:user")
	servers.Need(t, err)
	dir := samples.Layout(t, 2, 10_000)
	ref := name + "/credentials:1"
	unscoped := client.ErrUnauthorized
	if g.Forgejo() { // whose token service does not look at the scope
		unscoped = client.ErrDenied
	}
	for _, tc := range []struct {
		name string
		auth client.AuthConfig
		ref  string
		want error
	}{
		{"password", userAuth(name), ref, nil},
		{"token with user name", client.AuthConfig{Username: name, Token: token}, ref, nil},
		{"token alone", client.AuthConfig{Token: token}, ref, nil},
		{"token as password", client.AuthConfig{Username: name, Password: token}, ref, nil},
		{"wrong password", client.AuthConfig{Username: name, Password: "wrong"}, ref, client.ErrUnauthorized},
		{"nobody", client.AuthConfig{}, ref, client.ErrUnauthorized},
		{"token without write scope", client.AuthConfig{Token: readOnly}, ref, client.ErrDenied},
		{"token without package scope", client.AuthConfig{Token: unrelated}, ref, unscoped},
		{"somebody else's name", userAuth(name), newUser(t, g) + "/app:1", client.ErrDenied},
		{"no such owner", userAuth(name), "nobody-of-that-name/app:1", client.ErrOwnerUnknown},
		{"no owner", userAuth(name), g.Host + "/app:1", client.ErrNameInvalid},
		{"upper case", userAuth(name), name + "/App:1", client.ErrNameInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := pushPath(t, newClient(t, g.Server, tc.auth, nil), tc.ref, dir, client.PushOptions{})
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err == nil {
				return
			}
			for _, secret := range []string{token, readOnly, unrelated, servers.AdminPassword} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("a secret is in %v", err)
				}
			}
			if d := client.Diagnose(err); !errors.Is(err, client.ErrNameInvalid) && d.Hint == "" {
				t.Errorf("no hint for %v", err)
			}
		})
	}
}

func TestPushToAnOrganisation(t *testing.T) {
	g := gitea(t)
	org := "org" + newUser(t, g)
	servers.Need(t, g.CreateOrg(t.Context(), org))
	dir := samples.Layout(t, 3, 10_000)
	mustPush(t, newClient(t, g.Server, admin, nil), org+"/app:1", dir, client.PushOptions{})
	outsider := newClient(t, g.Server, userAuth(newUser(t, g)), nil)
	if _, err := pushPath(t, outsider, org+"/app:2", dir, client.PushOptions{}); !errors.Is(err, client.ErrDenied) {
		t.Errorf("got %v, want %v", err, client.ErrDenied)
	}
}

func TestAuthenticateAndHealth(t *testing.T) {
	g := gitea(t)
	name := newUser(t, g)
	token, err := g.CreateToken(t.Context(), name, "write:package")
	servers.Need(t, err)
	c := newClient(t, g.Server, client.AuthConfig{}, nil)
	if err := c.Health(t.Context()); err != nil {
		t.Errorf("anonymous: %v", err)
	}
	if err := c.Authenticate(t.Context(), client.AuthConfig{Username: name, Password: "wrong"}); !errors.Is(err, client.ErrUnauthorized) {
		t.Errorf("got %v, want %v", err, client.ErrUnauthorized)
	}
	if err := c.Authenticate(t.Context(), client.AuthConfig{Token: token}); err != nil {
		t.Fatal(err)
	}
	id, err := c.Identity(t.Context())
	if err != nil || id.Scope != "write:package" || !id.CanPush() {
		t.Errorf("got %+v, %v", id, err)
	}
	mustPush(t, c, name+"/authenticated:1", samples.Layout(t, 4, 1000), client.PushOptions{})
	if err := newClient(t, g.Server, client.AuthConfig{Username: name, Password: "wrong"}, nil).Health(t.Context()); !errors.Is(err, client.ErrUnauthorized) {
		t.Errorf("got %v, want %v", err, client.ErrUnauthorized)
	}
}

func TestUnknownCertificate(t *testing.T) {
	g := gitea(t)
	c, err := remote.New(client.RegistryConfig{URL: g.URL, CertDirs: []string{}}, nil)
	servers.Need(t, err)
	err = c.Health(t.Context())
	var authority x509.UnknownAuthorityError
	var tlsError *client.TLSError
	if !errors.As(err, &authority) || !errors.As(err, &tlsError) || len(tlsError.Certificates) == 0 {
		t.Fatalf("got %v", err)
	}
	if d := client.Diagnose(err); !strings.Contains(d.Cause, "SHA-256") {
		t.Errorf("got %+v", d)
	}
	insecure, err := remote.New(client.RegistryConfig{URL: g.URL, Insecure: true}, nil)
	servers.Need(t, err)
	if err := insecure.Health(t.Context()); err != nil {
		t.Error(err)
	}
	certs := filepath.Join(t.TempDir(), "certs.d")
	dir := filepath.Join(certs, g.Host)
	servers.Need(t, os.MkdirAll(dir, 0o700))
	pem, err := os.ReadFile(g.CAFile)
	servers.Need(t, err)
	samples.WriteFile(t, filepath.Join(dir, "ca.crt"), pem)
	trusting, err := remote.New(client.RegistryConfig{URL: g.URL, CertDirs: []string{certs}}, nil)
	servers.Need(t, err)
	if err := trusting.Health(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTwentyPushesSideBySide(t *testing.T) { eachForge(t, testTwentyPushes) }

func testTwentyPushes(t *testing.T, g *servers.Gitea) {
	t.Helper()
	name := newUser(t, g)
	c := newClient(t, g.Server, userAuth(name), nil)
	var pushes sync.WaitGroup
	errs := make([]error, 20)
	dirs := make([]string, len(errs))
	for i := range errs {
		dirs[i] = samples.Layout(t, byte(50+i), 200_000)
	}
	for i := range errs {
		pushes.Go(func() {
			source, err := image.Open(dirs[i], nil)
			if err != nil {
				errs[i] = err
				return
			}
			errs[i] = errors.Join(c.Push(t.Context(), name+"/many:t"+string(rune('a'+i)), client.PushOptions{Source: source}), source.Close())
		})
	}
	pushes.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+name+"/many:ta"), layoutBlobs(t, dirs[0]))
	assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+name+"/many:tt"), layoutBlobs(t, dirs[19]))
}

func TestSharedLayerIsMounted(t *testing.T) { eachForge(t, testSharedLayer) }

func testSharedLayer(t *testing.T, g *servers.Gitea) {
	t.Helper()
	dir := samples.Layout(t, 5, 5<<20)
	var sent []int64
	for range 2 {
		name := newUser(t, g)
		result := mustPush(t, newClient(t, g.Server, userAuth(name), nil), name+"/shared:1", dir, client.PushOptions{})
		sent = append(sent, result.BytesSent)
		assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+name+"/shared:1"), layoutBlobs(t, dir))
	}
	if sent[0] < 5<<20 || sent[1] > 4096 {
		t.Errorf("sent %d bytes, then %d for the other owner", sent[0], sent[1])
	}
}

func TestSameTagTwice(t *testing.T) {
	g := gitea(t)
	name := newUser(t, g)
	c := newClient(t, g.Server, userAuth(name), nil)
	mustPush(t, c, name+"/app:1", samples.Layout(t, 6, 1000), client.PushOptions{})
	second := samples.Layout(t, 7, 1000)
	mustPush(t, c, name+"/app:1", second, client.PushOptions{})
	assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+name+"/app:1"), layoutBlobs(t, second))
}

// exported gives the image of an engine, as `docker save` does.
func exported(e *servers.Engine) image.SaveFunc {
	socket := strings.TrimPrefix(e.Host(), "unix://")
	docker := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	return func(ctx context.Context, ref string) (io.ReadCloser, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/images/"+ref+"/get", nil)
		if err != nil {
			return nil, err
		}
		resp, err := docker.Do(req)
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}
}

func TestPushFromEachDaemon(t *testing.T) {
	eachForge(t, testPushFromEachDaemon)
}

func testPushFromEachDaemon(t *testing.T, g *servers.Gitea) {
	t.Helper()
	for _, store := range []servers.Store{servers.Classic, servers.Graph, servers.Containerd} {
		for _, compression := range []image.Compression{{}, {Algorithm: image.Zstd}} {
			if g.Forgejo() && (compression.Algorithm == image.Zstd || store == servers.Graph) {
				continue // the same requests
			}
			t.Run(string(store)+" "+compression.String(), func(t *testing.T) {
				e := engine(t, store)
				name := newUser(t, g)
				tag := name + "/app:1"
				servers.Need(t, e.Build(t.Context(), tag, samples.BuildContext(t, 30, 20<<20)))
				cache := filepath.Join(t.TempDir(), "cache")
				c := newClient(t, g.Server, userAuth(name), &remote.Options{
					Save: exported(e), CacheDir: cache,
				})
				var first, again client.Result
				opts := client.PushOptions{Image: tag, ImageID: digest.Digest(imageID(t, e, tag)), Compression: compression, Result: &first}
				servers.Need(t, c.Push(t.Context(), tag, opts))
				got := pullWithSkopeo(t, g.Server, name, g.Host+"/"+tag)
				if compression.Algorithm != image.Zstd { // crane validates gzip alone
					assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+tag), got)
				}
				if got[first.Digest.String()] != first.Size {
					t.Errorf("%s of %d bytes is not among %v", first.Digest, first.Size, got)
				}
				opts.Result = &again
				servers.Need(t, c.Push(t.Context(), tag, opts))
				if again.Digest != first.Digest {
					t.Errorf("the second push gave %s, the first %s", again.Digest, first.Digest)
				}
				if again.BytesSent > 0 || again.Requests > 3 {
					t.Errorf("the second push sent %d bytes in %d requests", again.BytesSent, again.Requests)
				}
				t.Logf("first %d bytes in %d requests, again %d bytes in %d requests", first.BytesSent, first.Requests, again.BytesSent, again.Requests)
				c = newClient(t, g.Server, userAuth(name), &remote.Options{CacheDir: cache})
				servers.Need(t, c.Push(t.Context(), tag, opts))
				if again.Digest != first.Digest || again.Requests != 1 {
					t.Errorf("another process gave %s in %d requests, want %s in one", again.Digest, again.Requests, first.Digest)
				}
			})
		}
	}
}

// TestBuildxInAPipe builds and pushes in one pipe, as docs/push.md shows it:
// no daemon holds the image, no file does.
func TestBuildxInAPipe(t *testing.T) {
	t.Parallel()
	g := gitea(t)
	e, err := servers.StartEngine(t.Context(), servers.Containerd, servers.EngineOptions{})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, e.Stop) })
	servers.Need(t, e.InstallPlugin(program(t, "docker-buildx")))
	servers.Need(t, e.InstallPlugin(filepath.Join(pluginDir(t), "docker-gitea")))
	name := newUser(t, g)
	token, err := g.CreateToken(t.Context(), name, "write:package")
	servers.Need(t, err)
	env := append(e.Env(), "DOCKER_GITEA_HOST="+g.Host, "DOCKER_GITEA_TOKEN="+token,
		"DOCKER="+program(t, "docker"), "CA="+g.CAFile, "DIR="+samples.BuildContext(t, 4, 1<<20))
	tag := name + "/app:1"
	out := run(t, env, "bash", "-c", `set -o pipefail
"$DOCKER" buildx build -o type=oci,dest=- "$DIR" | "$DOCKER" gitea push --ca-file "$CA" - `+tag)
	digests := pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+tag)
	for d := range digests {
		if strings.Contains(out, d) {
			return
		}
	}
	t.Errorf("got %q, want one of %v", out, digests)
}

// pullWithSkopeo is [pull] for what crane does not know.
func pullWithSkopeo(t *testing.T, s *servers.Server, user, ref string) blobs {
	t.Helper()
	env, err := s.Env(t.TempDir(), user, servers.AdminPassword)
	servers.Need(t, err)
	dir := t.TempDir()
	run(t, env, program(t, "skopeo"), "copy", "--quiet", "--all", "docker://"+ref, "dir:"+dir)
	return blobsIn(t, dir)
}

func TestPushThroughAProxyWithALimit(t *testing.T) { eachForge(t, testPushThroughALimit) }

func testPushThroughALimit(t *testing.T, g *servers.Gitea) {
	t.Helper()
	name := newUser(t, g)
	n := behind(t, servers.NginxOptions{Upstream: g.URL, MaxBody: "4m"})
	cache := t.TempDir()
	dir := samples.Layout(t, 8, 10<<20)
	result := mustPush(t, newClient(t, n, userAuth(name), &remote.Options{CacheDir: cache}), name+"/chunked:1", dir, client.PushOptions{})
	assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+name+"/chunked:1"), layoutBlobs(t, dir))
	t.Logf("%d requests, %d retries, %d bytes", result.Requests, result.Retries, result.BytesSent)
	other := samples.Layout(t, 9, 10<<20)
	second := mustPush(t, newClient(t, n, userAuth(name), &remote.Options{CacheDir: cache}), name+"/chunked:2", other, client.PushOptions{})
	if second.Requests >= result.Requests {
		t.Errorf("the limit was not remembered: %d requests, then %d", result.Requests, second.Requests)
	}
}

func TestPushToTheDistributionRegistry(t *testing.T) {
	s := registry(t)
	c := newClient(t, s, client.AuthConfig{}, nil)
	dir := samples.Layout(t, 10, 5<<20)
	mustPush(t, c, "team/app:1", dir, client.PushOptions{})
	assertBlobs(t, pull(t, s, "", "", s.Host+"/team/app:1"), layoutBlobs(t, dir))
	chunked := samples.Layout(t, 11, 5<<20)
	mustPush(t, c, "team/app:2", chunked, client.PushOptions{ChunkSize: 1 << 20})
	assertBlobs(t, pull(t, s, "", "", s.Host+"/team/app:2"), layoutBlobs(t, chunked))
}

func TestPushTimeout(t *testing.T) {
	g := gitea(t)
	name := newUser(t, g)
	_, err := pushPath(t, newClient(t, g.Server, userAuth(name), nil), name+"/app:1", samples.Layout(t, 12, 1000), client.PushOptions{Timeout: time.Nanosecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
