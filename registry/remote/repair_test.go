package remote_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// loseAtManifest loses a layer when the manifest of a tag arrives, after the client
// was told that the registry has it.
func loseAtManifest(t *testing.T, srv *registrytest.Server, c *remote.Client, repository string, d digest.Digest) {
	t.Helper()
	srv.Registry.Fault(registrytest.Rule{
		Method: http.MethodPut, Path: "/manifests/", Times: 1,
		Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
			resp, err := c.Ask(context.WithoutCancel(req.Context()), http.MethodDelete, "/v2/"+repository+"/blobs/"+d.String())
			if err != nil {
				t.Error(err)
			} else if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			next.ServeHTTP(w, req)
		}),
	})
}

// A layer that is sent again may have become another blob than the manifest
// names: the cache had it from a daemon, whose compressor is another.
func TestRepairOfALayerInAnotherForm(t *testing.T) {
	t.Parallel()
	for _, layers := range []int{1, 3} {
		srv := registrytest.Start(t, registrytest.Config{})
		cache := t.TempDir()
		c := clientOf(t, srv, remote.Options{CacheDir: cache})
		s := newStore(t)
		var raws [][]byte
		for i := range layers {
			raws = append(raws, pack(t, entry{"file", noise(t, byte(i+1), 2000)}))
		}
		config := s.configFor("amd64", raws...)
		first := s.manifest(config)
		for _, raw := range raws {
			m, err := image.ParseManifest(first.MediaType, s.content[first.Digest])
			if err != nil {
				t.Fatal(err)
			}
			first = s.manifest(config, append(slices.Clone(m.References[1:]), s.gzipped(raw))...)
		}
		opts := registry.PushOptions{ImageID: digest.FromBytes(config), DiffIDs: []digest.Digest{"known by the config"}}
		opts.Via = func(ctx context.Context, to registry.Loopback) error {
			return s.send(first)(ctx, &holder{to, to.Password})
		}
		if err := c.Push(t.Context(), "alice/app:daemon", opts); err != nil {
			t.Fatal(err)
		}

		var names []string
		entries := []entry{{"config.json", config}}
		for i, raw := range raws {
			names = append(names, string(rune('a'+i))+"/layer.tar")
			entries = append(entries, entry{names[i], raw})
		}
		entries = append(entries, entry{"manifest.json", encode(t, []map[string]any{{"Config": "config.json", "RepoTags": []string{"app:1"}, "Layers": names}})})
		path := filepath.Join(t.TempDir(), "image.tar")
		if err := os.WriteFile(path, pack(t, entries...), 0o600); err != nil {
			t.Fatal(err)
		}
		source, err := image.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		loseAtManifest(t, srv, c, "alice/app", digest.FromBytes(gzipped(t, raws[0])))
		var result registry.Result
		if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Source: source, Result: &result}); err != nil {
			t.Fatal(err)
		}
		want := "application/vnd.docker.distribution.manifest.v2+json\n  application/vnd.docker.container.image.v1+json " + digest.FromBytes(config).String()
		for _, raw := range raws {
			want += "\n  application/vnd.docker.image.rootfs.diff.tar.gzip " + digest.FromBytes(raw).String()
		}
		if got := amounts(t, srv, "alice/app", "1"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		data, _, _ := srv.Registry.Manifest("alice/app", "1")
		if digest.FromBytes(data) != result.Digest || len(result.Blobs) != layers+1 {
			t.Errorf("the result is %+v", result)
		}
	}
}

// Where a daemon was told that a blob is there, and the manifest turns out to
// lack it, the source decides.
func TestBlobLostUnderADaemonsPush(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	s := newStore(t)
	root := s.manifest(s.config, s.gzipped(s.raw))
	c := clientOf(t, srv, remote.Options{Save: save(s.export(root)), CacheDir: t.TempDir()})
	loseAtManifest(t, srv, c, "alice/app", digest.FromBytes(gzipped(t, s.raw)))
	var result registry.Result
	opts := registry.PushOptions{ImageID: root.Digest, Result: &result}
	opts.Via = func(ctx context.Context, to registry.Loopback) error {
		return s.send(root)(ctx, &holder{to, to.Password})
	}
	if err := c.Push(t.Context(), "alice/app:1", opts); err != nil {
		t.Fatal(err)
	}
	if blob, ok := srv.Registry.Blob(digest.FromBytes(gzipped(t, s.raw))); !ok || !bytes.Equal(blob, gzipped(t, s.raw)) || result.Digest != root.Digest {
		t.Errorf("the layer is there: %v, %+v", ok, result)
	}
}

// A push of what the cache knows reads the source where the blobs have gone.
func TestKnownImageWithoutItsBlobs(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	archive, id := saved(t, true, layerOf(t, 1000))
	c := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: t.TempDir()})
	opts := registry.PushOptions{ImageID: id}
	if err := c.Push(t.Context(), "alice/app:1", opts); err != nil {
		t.Fatal(err)
	}
	data, mediaType, _ := srv.Registry.Manifest("alice/app", "1")
	m, err := image.ParseManifest(mediaType, data)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range m.References {
		lose(t, c, d)
		var notes []string
		opts.Progress = func(e registry.Event) { notes = append(notes, e.Note) }
		if err := c.Push(t.Context(), "alice/app:new"+string(rune('a'+i)), opts); err != nil {
			t.Error(err)
		}
		if got := strings.Join(notes, ""); got != "" {
			t.Errorf("got the notes %q", got)
		}
		if lacking := lacking(srv, m.References); len(lacking) > 0 {
			t.Errorf("the registry lacks %q", lacking)
		}
	}
}

// The port of a push is open until the holder's push has returned, whatever it
// still asks when the image has arrived, and in a client that has pushed before,
// which greets no more.
func TestPortIsOpenUntilThePushReturns(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	c := clientOf(t, srv, remote.Options{})
	for i := range 3 {
		s := newStore(t)
		root := s.manifest(s.config, s.gzipped(pack(t, entry{"file", noise(t, byte(i+20), 1000)})))
		var result registry.Result
		pushes := 0
		err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{
			ImageID: root.Digest, Result: &result,
			Via: func(ctx context.Context, to registry.Loopback) error {
				pushes++
				h := &holder{to, to.Password}
				if err := s.send(root)(ctx, h); err != nil {
					return err
				}
				if !to.Sent() {
					return errors.New("the image has not arrived")
				}
				_, err := h.do(ctx, http.MethodGet, "/v2/", nil, http.StatusOK)
				return err
			},
			Progress: func(e registry.Event) {
				if e.Note != "" {
					t.Error(e.Note)
				}
			},
		})
		if err != nil || result.Digest != root.Digest || pushes != 1 {
			t.Errorf("push %d: %v after %d pushes of the holder, %+v", i, err, pushes, result)
		}
	}
}

// Several pushes of one client, at once and one after the other, each find out
// with one request that nothing has changed, whichever of them greeted.
func TestUnchangedPushesAtOnce(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	archive, id := saved(t, true, layerOf(t, 1000))
	cache := t.TempDir()
	if err := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: cache}).Push(t.Context(), "alice/app:1", registry.PushOptions{ImageID: id}); err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, srv, remote.Options{CacheDir: cache})
	push := func() {
		var result registry.Result
		via := func(context.Context, registry.Loopback) error { return errors.New("not needed") }
		err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{ImageID: id, Result: &result, Via: via})
		if err != nil || !result.Unverified || result.Digest == "" || result.Requests != 1 {
			t.Errorf("%v, %+v", err, result)
		}
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(push)
	}
	group.Wait()
	push()
}
