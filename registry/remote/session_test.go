package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// behind is a registry of a flavor with a proxy in front that takes requests
// of at most 2 MiB, each to its end before it passes it on: what is cut never
// reaches the registry.
func behind(t *testing.T, flavor registrytest.Flavor) *registrytest.Server {
	t.Helper()
	return registrytest.Start(t, registrytest.Config{Flavor: flavor, Proxy: &registrytest.Proxy{MaxBody: 2 << 20, Buffered: true}})
}

// outage ends every connection from the third chunk on, as when the network
// is gone.
var outage = registrytest.Rule{Path: "/blobs/uploads/", Skip: 4, Action: registrytest.Cut{After: 100, Withhold: true}}

// filesIn are the files below a folder.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A push goes on where another process was interrupted, whatever the source.
func TestUploadGoesOnInAnotherProcess(t *testing.T) {
	t.Parallel()
	const size = 7 << 20
	layer := layerOf(t, size)
	archive, _ := saved(t, true, layer)
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := writeLayout(t, noise(t, 3, size))
	stream := packDir(t, dir)
	for source, open := range map[string]func() (*image.Source, error){
		"directory": func() (*image.Source, error) { return image.Open(dir, nil) },
		"archive":   func() (*image.Source, error) { return image.Open(path, nil) },
		"stream":    func() (*image.Source, error) { return image.Read(strings.NewReader(string(archive)), "stream", nil) },
		"layout":    func() (*image.Source, error) { return image.Read(strings.NewReader(string(stream)), "stream", nil) },
	} {
		for _, flavor := range []registrytest.Flavor{registrytest.Gitea, registrytest.Forgejo, registrytest.Distribution} {
			t.Run(fmt.Sprint(source, flavor), func(t *testing.T) {
				t.Parallel()
				srv := behind(t, flavor)
				cache := t.TempDir()
				push := func(retries int) (result registry.Result, err error) {
					src, err := open()
					if err != nil {
						t.Fatal(err)
					}
					defer src.Close()
					c := clientOf(t, srv, remote.Options{CacheDir: cache})
					err = c.Push(t.Context(), "alice/app:1", registry.PushOptions{Source: src, Result: &result, Retries: retries, ChunkSize: 2 << 20, Jobs: 1})
					return result, err
				}
				srv.Registry.Fault(outage)
				if _, err := push(-1); registry.Diagnose(err).Cause == "" {
					t.Fatalf("got %v, want a broken connection", err)
				}
				files := filesIn(t, filepath.Join(cache, "sessions"))
				if len(files) != 1 {
					t.Fatalf("got %q, want one session", files)
				}
				if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("got %v, %v", info.Mode(), err)
				}
				srv.Registry.ClearFaults()
				again, err := push(0)
				if err != nil {
					t.Fatal(err)
				}
				if most := int64(size - 2<<20); again.BytesSent > most {
					t.Errorf("the second push sent %d bytes, want at most %d", again.BytesSent, most)
				}
				if n := srv.Registry.OpenSessions(); n != 0 {
					t.Errorf("%d sessions are left", n)
				}
				if files := filesIn(t, filepath.Join(cache, "sessions")); len(files) != 0 {
					t.Errorf("remembered are %q", files)
				}
			})
		}
	}
}

// packDir is the files of a directory in a tar, in lexical order.
func packDir(t *testing.T, dir string) []byte {
	t.Helper()
	var entries []entry
	for _, path := range filesIn(t, dir) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{filepath.ToSlash(name), data})
	}
	return pack(t, entries...)
}

// pushAs pushes a directory with a client of its own.
func pushAs(t *testing.T, srv *registrytest.Server, cache string, dir string, opts registry.PushOptions) error {
	t.Helper()
	source, err := image.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	opts.Source = source
	return clientOf(t, srv, remote.Options{CacheDir: cache}).Push(t.Context(), "alice/app:1", opts)
}

// What another process left behind may be gone, poisoned or another's.
func TestUploadThatCannotGoOnBeginsAnew(t *testing.T) {
	t.Parallel()
	get := func(action registrytest.Action) registrytest.Rule {
		return registrytest.Rule{Method: http.MethodGet, Path: "/blobs/uploads/", Times: 1, Action: action}
	}
	poison := registrytest.Rule{Method: http.MethodPatch, Times: 1, Action: registrytest.EmptyError(500)}
	for name, rules := range map[string][]registrytest.Rule{
		"404":           {get(registrytest.Answer{Status: 404, Body: `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}`})},
		"500":           {get(registrytest.EmptyError(500))},
		"416":           {get(registrytest.Answer{Status: 416})},
		"400":           {get(registrytest.Answer{Status: 400, Body: `{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}`})},
		"unreachable":   {get(registrytest.ProxyError(502, "nginx"))},
		"poisoned":      {poison},
		"nothing held":  {get(registrytest.Edit(func(h http.Header) { h.Del("Range") }))},
		"too much held": {get(registrytest.Edit(func(h http.Header) { h.Set("Range", "0-999999999") }))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, cache := behind(t, registrytest.Gitea), t.TempDir()
			dir := writeLayout(t, noise(t, 4, 7<<20))
			opts := registry.PushOptions{ChunkSize: 2 << 20, Retries: -1, Jobs: 1}
			srv.Registry.Fault(outage)
			if err := pushAs(t, srv, cache, dir, opts); err == nil {
				t.Fatal("the first push is not interrupted")
			}
			srv.Registry.ClearFaults()
			for _, rule := range rules {
				srv.Registry.Fault(rule)
			}
			opts.Retries = 2
			if err := pushAs(t, srv, cache, dir, opts); err != nil {
				t.Fatal(err)
			}
			if n := srv.Registry.OpenSessions(); n > 1 || n == 1 && name != "404" {
				t.Errorf("%d sessions are left", n)
			}
		})
	}
}

// A user's interrupt leaves nothing behind, nor does a failure for good.
func TestInterruptedUploadIsRemoved(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		action func(cancel func()) registrytest.Action
		want   error
	}{
		"interrupt": {func(cancel func()) registrytest.Action {
			return registrytest.ActionFunc(func(_ http.ResponseWriter, req *http.Request, _ http.Handler) {
				cancel()
				<-req.Context().Done()
			})
		}, context.Canceled},
		"for good": {func(func()) registrytest.Action {
			return registrytest.Answer{Status: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"errors":[{"code":"DENIED"}]}`}
		}, registry.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, cache := behind(t, registrytest.Gitea), t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			srv.Registry.Fault(registrytest.Rule{Method: http.MethodPatch, Skip: 2, Action: tc.action(cancel)})
			source, err := image.Open(writeLayout(t, noise(t, 5, 7<<20)), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			c := clientOf(t, srv, remote.Options{CacheDir: cache})
			err = c.Push(ctx, "alice/app:1", registry.PushOptions{Source: source, ChunkSize: 2 << 20})
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if n := srv.Registry.OpenSessions(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
			if files := filesIn(t, filepath.Join(cache, "sessions")); len(files) != 0 {
				t.Errorf("remembered are %q", files)
			}
		})
	}
}

// What only asks for something may begin a session as well: a mount that finds
// nothing does, and so does a check for the right to push.
func TestInterruptedQuestionLeavesNoSession(t *testing.T) {
	t.Parallel()
	archive, id := saved(t, true, layerOf(t, 1000))
	srv := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution})
	c := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: t.TempDir()})
	if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{ImageID: id}); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(context.Context){
		"mount": func(ctx context.Context) { _ = c.Push(ctx, "alice/other:1", registry.PushOptions{ImageID: id}) },
		"check": func(ctx context.Context) { c.Check(ctx, "alice/other") },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		asked := srv.Registry.Fault(registrytest.Rule{Method: http.MethodPost, Path: "/alice/other/blobs/uploads/", Action: registrytest.ActionFunc(
			func(w http.ResponseWriter, req *http.Request, next http.Handler) {
				cancel()
				next.ServeHTTP(w, req)
			})})
		ask(ctx)
		if n := srv.Registry.OpenSessions(); n != 0 || asked.Hits() == 0 {
			t.Errorf("%s: %d sessions are left, after %d requests that may begin one", name, n, asked.Hits())
		}
		srv.Registry.ClearFaults()
	}
}

// Two processes never go on with the same upload.
func TestUploadGoesOnInOneProcessAlone(t *testing.T) {
	t.Parallel()
	srv, cache := behind(t, registrytest.Gitea), t.TempDir()
	dir := writeLayout(t, noise(t, 6, 7<<20))
	opts := registry.PushOptions{ChunkSize: 2 << 20, Retries: -1, Jobs: 1}
	srv.Registry.Fault(outage)
	if err := pushAs(t, srv, cache, dir, opts); err == nil {
		t.Fatal("the first push is not interrupted")
	}
	srv.Registry.ClearFaults()
	// The second push waits in its first chunk until the third one is done.
	third := make(chan struct{})
	reached := make(chan struct{})
	srv.Registry.Fault(registrytest.Rule{Method: http.MethodPatch, Times: 1, Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		close(reached)
		<-third
		next.ServeHTTP(w, req)
	})})
	second := make(chan error, 1)
	go func() { second <- pushAs(t, srv, cache, dir, opts) }()
	<-reached
	err := pushAs(t, srv, cache, dir, opts)
	close(third)
	if err = errors.Join(err, <-second); err != nil {
		t.Fatal(err)
	}
	if n := len(srv.Registry.Requests(http.MethodGet, "/blobs/uploads/")); n != 1 {
		t.Errorf("the upload was asked for %d times, want once", n)
	}
}

// A push that is killed between its layers and its manifest has noted what the
// layers became: the next one does not send them again.
func TestLayersOfAKilledPushAreKnown(t *testing.T) {
	t.Parallel()
	layer := layerOf(t, 6<<20)
	legacy, _ := saved(t, false, layer)
	modern, _ := saved(t, true, layer)
	write := func(data []byte) string {
		path := filepath.Join(t.TempDir(), "image.tar")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	legacyPath, modernPath := write(legacy), write(modern)
	dir := writeLayout(t, layer)
	stream := packDir(t, dir)
	reader := func(data []byte) func() (*image.Source, error) {
		return func() (*image.Source, error) { return image.Read(strings.NewReader(string(data)), "stream", nil) }
	}
	for name, open := range map[string]func() (*image.Source, error){
		"directory":      func() (*image.Source, error) { return image.Open(dir, nil) },
		"layout stream":  reader(stream),
		"legacy archive": func() (*image.Source, error) { return image.Open(legacyPath, nil) },
		"modern archive": func() (*image.Source, error) { return image.Open(modernPath, nil) },
		"modern stream":  reader(modern),
		"legacy stream":  reader(legacy),
	} {
		for _, flavor := range []registrytest.Flavor{registrytest.Gitea, registrytest.Distribution} {
			t.Run(fmt.Sprint(name, flavor), func(t *testing.T) {
				t.Parallel()
				srv := registrytest.Start(t, registrytest.Config{Flavor: flavor})
				cache := t.TempDir()
				push := func() (result registry.Result, err error) {
					source, err := open()
					if err != nil {
						t.Fatal(err)
					}
					defer source.Close()
					c := clientOf(t, srv, remote.Options{CacheDir: cache})
					err = c.Push(t.Context(), "alice/app:1", registry.PushOptions{Source: source, Result: &result, Retries: -1})
					return result, err
				}
				srv.Registry.Fault(registrytest.Rule{Method: http.MethodPut, Path: "/manifests/", Action: registrytest.Cut{Withhold: true}})
				if _, err := push(); err == nil {
					t.Fatal("the first push is not interrupted")
				}
				srv.Registry.ClearFaults()
				again, err := push()
				if err != nil {
					t.Fatal(err)
				}
				if again.BytesSent > 4096 {
					t.Errorf("the second push sent %d bytes", again.BytesSent)
				}
			})
		}
	}
}
