package remote_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// entry is a file of an archive.
type entry struct {
	name string
	data []byte
}

func pack(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.data))}
		if err := w.WriteHeader(header); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// noise is size bytes that do not compress.
func noise(tb testing.TB, seed byte, size int) []byte {
	tb.Helper()
	data := make([]byte, size)
	if _, err := rand.NewChaCha8([32]byte{seed}).Read(data); err != nil {
		tb.Fatal(err)
	}
	return data
}

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// saved is what `docker save` writes of an image with one raw layer, in the
// layout of Engine 25 and later or in that of earlier ones, and its image ID.
func saved(tb testing.TB, modern bool, layer []byte) ([]byte, digest.Digest) {
	tb.Helper()
	id := digest.FromBytes(layer)
	config := encode(tb, ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{id}},
	})
	configID := digest.FromBytes(config)
	layerName, configName := "ab/layer.tar", configID.Encoded()+".json"
	if modern {
		layerName, configName = "blobs/sha256/"+id.Encoded(), "blobs/sha256/"+configID.Encoded()
	}
	manifest := encode(tb, []map[string]any{{"Config": configName, "RepoTags": []string{"app:1"}, "Layers": []string{layerName}}})
	return pack(tb, entry{layerName, layer}, entry{configName, config}, entry{"manifest.json", manifest}), configID
}

// layout is a tar of an OCI layout with one raw layer, and the digest of its
// manifest.
func layout(tb testing.TB, layers ...[]byte) ([]byte, digest.Digest) {
	tb.Helper()
	describe := func(mediaType string, data []byte) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	}
	config := []byte("{}")
	name := func(data []byte) string { return "blobs/sha256/" + digest.FromBytes(data).Encoded() }
	var described []ocispec.Descriptor
	var entries []entry
	for _, layer := range layers {
		described = append(described, describe(ocispec.MediaTypeImageLayer, layer))
		entries = append(entries, entry{name(layer), layer})
	}
	manifest := encode(tb, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: describe(ocispec.MediaTypeImageConfig, config), Layers: described,
	})
	index := encode(tb, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{describe(ocispec.MediaTypeImageManifest, manifest)}})
	entries = append(entries, entry{name(config), config}, entry{name(manifest), manifest},
		entry{"index.json", index}, entry{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)})
	return pack(tb, entries...), digest.FromBytes(manifest)
}

// save gives an archive as a daemon would.
func save(data []byte) image.SaveFunc {
	return func(context.Context, string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

// clientOf is a client of srv that does not wait between retries.
func clientOf(t *testing.T, srv *registrytest.Server, opts remote.Options) *remote.Client {
	t.Helper()
	return clientAs(t, srv, srv.Config().Auth, opts)
}

// clientAs is clientOf with another credential.
func clientAs(t *testing.T, srv *registrytest.Server, auth registry.AuthConfig, opts remote.Options) *remote.Client {
	t.Helper()
	config := srv.Config()
	config.Auth = auth
	opts.Backoff = func(int) time.Duration { return 0 }
	transport, err := transport.New(srv.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	opts.Transport = transport
	c, err := remote.New(config, &opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func layerOf(t *testing.T, size int) []byte {
	t.Helper()
	return pack(t, entry{"file", noise(t, 1, size)})
}

func TestPushOfADaemonsImage(t *testing.T) {
	t.Parallel()
	for _, modern := range []bool{false, true} {
		for _, size := range []int{1000, 6 << 20} { // in memory, and spooled to a file
			for _, algorithm := range []string{image.Gzip, image.Zstd, image.None} {
				t.Run(fmt.Sprint(modern, size, algorithm), func(t *testing.T) {
					t.Parallel()
					srv := registrytest.Start(t, registrytest.Config{})
					archive, id := saved(t, modern, layerOf(t, size))
					c := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: t.TempDir()})
					var first, again registry.Result
					opts := registry.PushOptions{ImageID: id, Compression: image.Compression{Algorithm: algorithm}, Result: &first}
					if err := c.Push(t.Context(), "alice/app:1", opts); err != nil {
						t.Fatal(err)
					}
					data, _, ok := srv.Registry.Manifest("alice/app", "1")
					if !ok || digest.FromBytes(data) != first.Digest || first.BytesSent < int64(size) {
						t.Errorf("got %v, %+v", ok, first)
					}
					opts.Result, opts.Tags = &again, []string{"two"}
					if err := c.Push(t.Context(), "alice/app:1", opts); err != nil {
						t.Fatal(err)
					}
					if again.BytesSent != 0 || again.Requests > 3 || again.Digest != first.Digest {
						t.Errorf("the second push: %+v", again)
					}
					// Under another name, all is mounted.
					opts.Tags = nil
					if err := c.Push(t.Context(), "alice/other:1", opts); err != nil || again.BytesSent != 0 {
						t.Errorf("another name: %v, %+v", err, again)
					}
				})
			}
		}
	}
}

// The second push of a file does not read its layers: they may be damaged by
// then.
func TestUnchangedFileIsNotReadAgain(t *testing.T) {
	t.Parallel()
	layer := layerOf(t, 100_000)
	legacy, _ := saved(t, false, layer)
	modern, _ := saved(t, true, layer)
	oci, _ := layout(t, layer)
	for name, archive := range map[string][]byte{"legacy": legacy, "modern": modern, "layout": oci} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			c := clientOf(t, srv, remote.Options{CacheDir: t.TempDir()})
			path := filepath.Join(t.TempDir(), "image.tar")
			push := func(data []byte) (result registry.Result) {
				t.Helper()
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				source, err := image.Open(path, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer source.Close()
				if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Source: source, Result: &result}); err != nil {
					t.Fatal(err)
				}
				return result
			}
			first := push(archive)
			damaged := bytes.Replace(archive, layer[1000:2000], make([]byte, 1000), 1)
			if again := push(damaged); again.Digest != first.Digest || again.BytesSent != 0 || again.Requests > 3 {
				t.Errorf("got %+v, want %s with nothing sent in 3 requests", again, first.Digest)
			}
		})
	}
}

func TestLayerThatIsCachedIsNotCompressedAgain(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	archive, _ := saved(t, true, layerOf(t, 1<<20))
	c := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: t.TempDir()})
	var results [2]registry.Result
	for i := range results {
		if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Result: &results[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if results[0].Digest != results[1].Digest || results[1].BytesSent > 1000 {
		t.Errorf("got %+v", results)
	}
	var dry registry.Result
	if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Result: &dry, DryRun: true}); err != nil || dry.Digest != results[0].Digest {
		t.Errorf("dry run: %v, %+v", err, dry)
	}
}

// A dry run compresses a layer, which the next push need not, and sends none.
func TestDryRunPushesNoLayer(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	layer := layerOf(t, 5000)
	archive, _ := saved(t, true, layer)
	c := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: t.TempDir()})
	for i, dry := range []bool{true, false, true} {
		if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{DryRun: dry}); err != nil {
			t.Fatal(err)
		}
		if got, want := c.Pushed([]digest.Digest{digest.FromBytes(layer)}), min(i, 1); got != want {
			t.Errorf("after push %d, %d layers count as pushed, want %d", i, got, want)
		}
	}
}

// A stream tells only at its end that a raw layer is wanted as it is; it is
// then made from what was sent.
func TestRawLayerOfAStreamedLayout(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{image.Gzip, image.Zstd} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			layer := layerOf(t, 5000)
			stream, manifest := layout(t, layer)
			c := clientOf(t, srv, remote.Options{Save: save(stream)})
			var result registry.Result
			if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Result: &result, Compression: image.Compression{Algorithm: algorithm}}); err != nil {
				t.Fatal(err)
			}
			if got, ok := srv.Registry.Blob(digest.FromBytes(layer)); !ok || !bytes.Equal(got, layer) || result.Digest != manifest {
				t.Errorf("got %d bytes, %v, %+v", len(got), ok, result)
			}
		})
	}
}

func TestStreamSurvivesCuts(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"PATCH", "POST", "PUT"} {
		for _, after := range []int64{0, 1 << 20, 3 << 20} {
			t.Run(fmt.Sprint(method, after), func(t *testing.T) {
				t.Parallel()
				srv := registrytest.Start(t, registrytest.Config{})
				srv.Registry.Fault(registrytest.Rule{Method: method, Times: 2, Action: registrytest.Cut{After: after}})
				archive, _ := saved(t, false, layerOf(t, 6<<20))
				opts := registry.PushOptions{}
				if err := clientOf(t, srv, remote.Options{Save: save(archive)}).Push(t.Context(), "alice/app:1", opts); err != nil {
					t.Fatal(err)
				}
				if tags := srv.Registry.Tags("alice/app"); len(tags) != 1 {
					t.Errorf("got tags %v", tags)
				}
				// Of a session whose address was lost on the way nobody knows.
				if n, lost := srv.Registry.OpenSessions(), map[string]int{"POST": 2}[method]; n != lost {
					t.Errorf("%d sessions are left, want %d", n, lost)
				}
			})
		}
	}
}

// A layer of a file is compressed on its way to the registry without a copy of
// it, and then once more with one where its beginning is needed again.
func TestLayerOfAFilePasses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.tar")
	archive, _ := saved(t, true, layerOf(t, 9<<20))
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ cut, room, pushed bool }{{room: true, pushed: true}, {pushed: true}, {cut: true, room: true, pushed: true}, {cut: true}} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			srv := registrytest.Start(t, registrytest.Config{})
			c := clientOf(t, srv, remote.Options{})
			if test.cut {
				srv.Registry.Fault(registrytest.Rule{Method: "PATCH", Times: 1, Action: registrytest.Cut{After: 7 << 20}})
			}
			source, err := image.Open(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			if !test.room {
				t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
			}
			err = c.Push(t.Context(), "alice/app:1", registry.PushOptions{Source: source})
			if pushed := err == nil; pushed != test.pushed || pushed != (len(srv.Registry.Tags("alice/app")) == 1) || !pushed && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
			if n := srv.Registry.OpenSessions(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	}
}

func TestEachFlavor(t *testing.T) {
	t.Parallel()
	for _, flavor := range []registrytest.Flavor{registrytest.Gitea, registrytest.Forgejo, registrytest.Distribution} {
		for _, chunk := range []int64{0, 1 << 20} {
			t.Run(fmt.Sprint(flavor, chunk), func(t *testing.T) {
				t.Parallel()
				srv := registrytest.Start(t, registrytest.Config{Flavor: flavor})
				archive, _ := saved(t, false, layerOf(t, 5<<20))
				c := clientOf(t, srv, remote.Options{Save: save(archive)})
				if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{ChunkSize: chunk}); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestTokensThatExpireDuringAPush(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	c := clientOf(t, srv, remote.Options{})
	if err := c.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.Registry.RevokeTokens()
	if err := pushSmall(t, c, "alice/app:1"); err != nil {
		t.Error(err)
	}
}

// pushSmall pushes a small layout.
func pushSmall(t *testing.T, c *remote.Client, ref string) error {
	t.Helper()
	source, err := image.Open(writeLayout(t, []byte("x")), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	return c.Push(t.Context(), ref, registry.PushOptions{Source: source})
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	c := clientOf(t, srv, remote.Options{})
	if err := c.Authenticate(t.Context(), registry.AuthConfig{Username: "alice", Password: "wrong"}); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
	if err := c.Authenticate(t.Context(), registry.AuthConfig{Username: "alice"}); err == nil {
		t.Error("half a credential is accepted")
	}
	if err := c.Authenticate(t.Context(), registry.AuthConfig{Username: registrytest.Username, Password: registrytest.Password}); err != nil {
		t.Fatal(err)
	}
	id, err := c.Identity(t.Context())
	if err != nil || !id.CanPush() || id.UserID <= 0 {
		t.Errorf("got %+v, %v", id, err)
	}
	if err := c.Authenticate(t.Context(), registry.AuthConfig{}); err != nil {
		t.Errorf("anonymous: %v", err)
	}
	if err := pushSmall(t, c, "alice/app:1"); !errors.Is(err, registry.ErrUnauthorized) {
		t.Errorf("got %v, want %v", err, registry.ErrUnauthorized)
	}
}

func TestLimitsOfTheRegistry(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config registrytest.Config
		ref    string
		want   error
	}{
		"a proxy's limit": {registrytest.Config{Proxy: &registrytest.Proxy{MaxBody: 2 << 20, Server: "nginx"}}, "alice/app:1", nil},
		"blob size":       {registrytest.Config{Quota: registrytest.Quota{BlobSize: 100}}, "alice/app:1", registry.ErrQuota},
		"no such owner":   {registrytest.Config{}, "nobody/app:1", registry.ErrOwnerUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, tc.config)
			source, err := image.Open(writeLayout(t, noise(t, 2, 5<<20)), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			c := clientOf(t, srv, remote.Options{CacheDir: t.TempDir()})
			err = c.Push(t.Context(), tc.ref, registry.PushOptions{Source: source, Tags: []string{"V2"}})

			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err != nil && (!strings.Contains(err.Error(), tc.ref) || registry.Diagnose(err).Hint == "") {
				t.Errorf("got %v, %+v", err, registry.Diagnose(err))
			}
		})
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	pem, err := os.ReadFile(srv.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	certsDir := t.TempDir()
	dir := filepath.Join(certsDir, srv.Host)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "ca.crt"), pem, 0o600), os.WriteFile(filepath.Join(dir, "README"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.pem")
	if err := os.WriteFile(bad, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	halfDirs := t.TempDir()
	half := filepath.Join(halfDirs, srv.Host)
	if err := errors.Join(os.Mkdir(half, 0o700), os.WriteFile(filepath.Join(half, "client.cert"), pem, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		config registry.RegistryConfig
		ok     bool
	}{
		"from a directory":         {registry.RegistryConfig{CertDirs: []string{certsDir}}, true},
		"insecure":                 {registry.RegistryConfig{Insecure: true, CertDirs: []string{}}, true},
		"unknown":                  {registry.RegistryConfig{}, false},
		"no certificate in a file": {registry.RegistryConfig{CAFiles: []string{bad}}, false},
		"no such file":             {registry.RegistryConfig{CAFiles: []string{bad + "x"}}, false},
		"no key":                   {registry.RegistryConfig{CertFile: bad, KeyFile: bad}, false},
		"half a pair":              {registry.RegistryConfig{CertDirs: []string{halfDirs}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.config.URL = srv.URL
			transport, err := transport.New(tc.config, &transport.Options{ConnectTimeout: time.Minute, StallTimeout: time.Minute})
			if err == nil {
				defer transport.CloseIdleConnections()
				var c *remote.Client
				if c, err = remote.New(tc.config, &remote.Options{Transport: transport}); err != nil {
					t.Fatal(err)
				}
				err = c.Health(t.Context())
			}
			if (err == nil) != tc.ok {
				t.Fatalf("got %v", err)
			}
			if name == "unknown" && !strings.Contains(registry.Diagnose(err).Cause, "SHA-256") {
				t.Errorf("got %+v for %v", registry.Diagnose(err), err)
			}
		})
	}
	if dirs := certs.DefaultDirs("/x"); len(dirs) < 3 || !strings.Contains(strings.Join(dirs, " "), "/x/certs.d") {
		t.Errorf("got %v", dirs)
	}
}

func TestReferenceParts(t *testing.T) {
	t.Parallel()
	ref, err := registry.ParseReference("git.example.com/me/app/part:1")
	if err != nil || ref.Owner() != "me" || ref.Name() != "app/part" || ref.Familiar() != "git.example.com/me/app/part" {
		t.Errorf("got %+v, %v", ref, err)
	}
	if !registry.StatusPushed.Final() || registry.StatusPushing.Final() {
		t.Error("Final is wrong")
	}
	if wait := wire.FullJitter(3); wait < 0 || wait > 2*time.Second || wire.FullJitter(100) > 30*time.Second {
		t.Errorf("got %v", wait)
	}
}

// The push's number of retries is that of every request, not of uploads alone.
func TestRetriesOfOtherRequests(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name            string
		retries, faults int
		ok              bool
	}{
		{"never", -1, 1, false},
		{"fewer than needed", 2, 3, false},
		{"enough", 7, 7, true},
		{"by default", 0, registry.DefaultRetries, true},
		{"not more by default", 0, registry.DefaultRetries + 1, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			srv.Registry.Fault(registrytest.Rule{Method: "PUT", Path: "/manifests/", Times: row.faults, Action: registrytest.ProxyError(503, "nginx")})
			archive, _ := saved(t, true, layerOf(t, 1000))
			err := clientOf(t, srv, remote.Options{Save: save(archive)}).Push(t.Context(), "alice/app:1", registry.PushOptions{Retries: row.retries})
			if row.ok != (err == nil) || !row.ok && !errors.Is(err, registry.ErrServer) {
				t.Errorf("got %v, want success: %v", err, row.ok)
			}
		})
	}
}

// Distribution takes a manifest for a wrong one while it writes the same for
// another push.
func TestManifestTakenForAnotherIsSentAgain(t *testing.T) {
	t.Parallel()
	for times, want := range map[int]error{1: nil, registry.DefaultRetries: nil, registry.DefaultRetries + 1: registry.ErrDigestMismatch} {
		srv := registrytest.Start(t, registrytest.Config{})
		srv.Registry.Fault(registrytest.Rule{Method: "PUT", Path: "/manifests/", Times: times, Action: registrytest.ActionFunc(
			func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"errors":[{"code":"DIGEST_INVALID"}]}`)
			})})
		archive, _ := saved(t, true, layerOf(t, 1000))
		err := clientOf(t, srv, remote.Options{Save: save(archive)}).Push(t.Context(), "alice/app:1", registry.PushOptions{})
		if !errors.Is(err, want) {
			t.Errorf("refused %d times: got %v, want %v", times, err, want)
		}
	}
}

// A registry may lose blobs between their upload and the manifest that names
// them: Gitea's cleaning does.
func TestLostBlobsAreSentAgain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		lose int // how often
		want error
	}{{"once", 1, nil}, {"always", -1, registry.ErrBlobUnknown}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var s *server
			lose := tc.lose
			s = start(t, func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method != http.MethodPut || !strings.Contains(req.URL.Path, "/manifests/") || lose == 0 {
					return false
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				lose--
				clear(s.blobs)
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, `{"errors":[{"code":"BLOB_UNKNOWN"}]}`)
				return true
			})
			err := push(t, s.client(t, registry.AuthConfig{}), writeLayout(t, []byte("one"), []byte("two")), registry.PushOptions{})
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if tc.want == nil && len(s.blobs) != 3 {
				t.Errorf("the registry holds %d blobs, want 3", len(s.blobs))
			}
			if tc.want != nil && tc.lose-lose != 2 {
				t.Errorf("the manifest was sent %d times, want 2", tc.lose-lose)
			}
		})
	}
}

// A token may end between any two requests of an upload, and the request that
// meets it is sent again with all of its body.
func TestTokenThatExpiresWithinABlob(t *testing.T) {
	t.Parallel()
	for _, flavor := range []registrytest.Flavor{registrytest.Gitea, registrytest.Forgejo, registrytest.Distribution} {
		for _, rule := range []registrytest.Rule{
			{Method: http.MethodPost, Path: "/blobs/"},
			{Method: http.MethodPatch, Skip: 1},
			{Method: http.MethodPut, Path: "/blobs/"},
			{Method: http.MethodPut, Path: "/manifests/"},
		} {
			t.Run(fmt.Sprint(flavor, rule.Method, rule.Path), func(t *testing.T) {
				t.Parallel()
				srv := registrytest.Start(t, registrytest.Config{Flavor: flavor})
				rule.Times, rule.Action = 1, srv.Registry.Expire()
				fault := srv.Registry.Fault(rule)
				var result registry.Result
				archive, _ := saved(t, true, layerOf(t, 5<<20))
				opts := registry.PushOptions{ChunkSize: 1 << 20, Result: &result, Jobs: 1}
				if err := clientOf(t, srv, remote.Options{Save: save(archive)}).Push(t.Context(), "alice/app:1", opts); err != nil {
					t.Fatal(err)
				}
				if fault.Hits() != 1 || result.Retries != 0 {
					t.Errorf("%d tokens expired, and %d steps were tried again", fault.Hits(), result.Retries)
				}
				if n := srv.Registry.OpenSessions(); n != 0 {
					t.Errorf("%d sessions are left", n)
				}
			})
		}
	}
}

// Gitea on SQLite answers parallel uploads with an empty 500: fewer at a time
// then, down to one.
func TestLocksLessenParallelUploads(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	finished, failures, most := 0, 0, 0
	s := start(t, nil)
	s.hook = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if failures < 4 {
			failures++
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	}
	layers := make([][]byte, 40)
	for i := range layers {
		layers[i] = []byte{byte(i), 1}
	}
	active := map[string]bool{}
	progress := func(e registry.Event) { // events come one at a time
		if e.Name == "" {
			return
		}
		switch {
		case e.Status.Final():
			delete(active, e.Name)
			finished++
		case e.Status == registry.StatusPushing:
			active[e.Name] = true
		case e.Status == registry.StatusRetrying:
			delete(active, e.Name) // it leaves its place to others, which may go first
		}
		if finished > 20 { // those that were under way when it narrowed are through
			most = max(most, len(active))
		}
	}
	if err := push(t, s.client(t, registry.AuthConfig{}), writeLayout(t, layers...), registry.PushOptions{Jobs: 8, Progress: progress}); err != nil {
		t.Fatal(err)
	}
	if failures != 4 || most != 1 {
		t.Errorf("after %d locks, %d layers were under way side by side, want 1", failures, most)
	}
}

// closing is a way to a registry on which something takes a part of a large
// body, and then closes without a word.
type closing struct {
	http.RoundTripper

	after  int64
	server string // in the header of the other answers
}

func (c closing) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.after > 0 && req.ContentLength > c.after {
		_, err := io.CopyN(io.Discard, req.Body, c.after)
		return nil, errors.Join(err, req.Body.Close(), io.ErrUnexpectedEOF)
	}
	resp, err := c.RoundTripper.RoundTrip(req)
	if err == nil && c.server != "" {
		resp.Header.Set("Server", c.server)
	}
	return resp, err
}

// What limits the body of a request is found out, worked around, named with its
// directive, and remembered, whether it answers 413 or only closes.
func TestLimitOnBodiesIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	const limit = 3 << 20
	for name, tc := range map[string]struct {
		proxy *registrytest.Proxy
		way   closing
		want  string
	}{
		"413 from nginx":          {&registrytest.Proxy{MaxBody: limit}, closing{}, "client_max_body_size"},
		"413 from Caddy":          {&registrytest.Proxy{MaxBody: limit, Server: "Caddy"}, closing{}, "max_size of request_body"},
		"nginx closes":            {nil, closing{after: limit, server: "nginx/1.22.1"}, "client_max_body_size"},
		"nobody knows who closes": {nil, closing{after: limit}, "something in front of the registry ends large requests"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, cache := registrytest.Start(t, registrytest.Config{Proxy: tc.proxy}), t.TempDir()
			push := func(seed byte) (notes string, sent int64) {
				t.Helper()
				transport, err := transport.New(srv.Config(), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer transport.CloseIdleConnections()
				tc.way.RoundTripper = transport
				c, err := remote.New(srv.Config(), &remote.Options{
					Transport: tc.way, CacheDir: cache, Backoff: func(int) time.Duration { return 0 },
				})
				if err != nil {
					t.Fatal(err)
				}
				source, err := image.Open(writeLayout(t, noise(t, seed, 7<<20)), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer source.Close()
				var result registry.Result
				refusals := 0
				opts := registry.PushOptions{Source: source, Result: &result, Progress: func(e registry.Event) {
					notes += e.Note
					if answer := (*registry.Error)(nil); e.Status == registry.StatusRetrying && errors.As(e.Err, &answer) {
						if refusals++; refusals > 1 {
							t.Errorf("looking for the limit is told again: %v", e.Err)
						}
					}
				}}
				if err := c.Push(t.Context(), "alice/app:1", opts); err != nil {
					t.Fatal(err)
				}
				return notes, result.BytesSent
			}
			if notes, _ := push(9); !strings.Contains(notes, tc.want) || !strings.Contains(notes, "sending parts of at most 2 MiB") {
				t.Errorf("got %q, want %q", notes, tc.want)
			}
			// The next process knows it: nothing is sent in vain.
			if _, sent := push(10); sent > 7<<20+10_000 {
				t.Errorf("the second push sent %d bytes", sent)
			}
		})
	}
}

// A proxy that refuses a large body, and closes before its answers to the smaller ones
// can be read, is named as what refuses.
func TestRefusalIsToldWhereTheNextBreakOff(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Users: me})
	large := func(req *http.Request) bool {
		return strings.Contains(req.URL.Path, "/blobs/uploads/") && req.ContentLength > 100_000
	}
	srv.Registry.Fault(registrytest.Rule{Match: large, Times: 1, Action: registrytest.EmptyError(http.StatusRequestEntityTooLarge)})
	srv.Registry.Fault(registrytest.Rule{Match: large, Action: registrytest.Cut{Withhold: true, Reset: true}})
	err := push(t, clientOf(t, srv, remote.Options{Retries: 1}), writeLayout(t, noise(t, 1, 3<<20)), registry.PushOptions{})
	if got := registry.Diagnose(err); !strings.Contains(got.Cause, "larger than") || !strings.Contains(err.Error(), "smaller requests broke off") {
		t.Errorf("got %+v of %v", got, err)
	}
}
