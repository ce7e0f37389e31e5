package remote_test

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// A blob is said to be mounted from where the client knew it to be and the
// registry found it, and to exist where nobody knows more. Where it has gone
// from there, it is found elsewhere or sent.
func TestMountedFrom(t *testing.T) {
	t.Parallel()
	gitea, distribution := registrytest.Config{}, registrytest.Config{Flavor: registrytest.Distribution}
	for _, row := range []struct {
		name   string
		config registrytest.Config
		// prepare is what happens between the pushes to alice/app and alice/other.
		prepare func(*registrytest.Server, *remote.Options)
		image   bool // the manifest is known, too
		status  registry.Status
		from    string
	}{
		{"gitea", gitea, nil, false, registry.StatusMounted, "alice/app"},
		{"distribution", distribution, nil, false, registry.StatusMounted, "alice/app"},
		{"known image", gitea, nil, true, registry.StatusMounted, "alice/app"},
		{"nothing is known", gitea, forget, false, registry.StatusExists, ""},
		{"nothing is known, distribution", distribution, forget, false, registry.StatusPushed, ""},
		{"it has gone from there", gitea, empty, false, registry.StatusExists, ""},
		{"it has gone from there, distribution", distribution, empty, false, registry.StatusPushed, ""},
		{"it may not be mounted", distribution, refuse, false, registry.StatusPushed, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, row.config)
			archive, id := saved(t, true, layerOf(t, 200_000))
			options := remote.Options{Save: save(archive), CacheDir: t.TempDir()}
			var result registry.Result
			var seen registry.Event // the last of the layer
			opts := registry.PushOptions{Result: &result, Progress: func(e registry.Event) {
				if e.Total > 100_000 {
					seen = e
				}
			}}
			if row.image {
				opts.ImageID = id
			}
			push := func(to string) {
				t.Helper()
				if err := clientOf(t, srv, options).Push(t.Context(), to, opts); err != nil {
					t.Fatal(err)
				}
			}
			push("alice/app:1")
			if row.prepare != nil {
				row.prepare(srv, &options)
			}
			push("alice/other:1")
			layer := slices.MaxFunc(result.Blobs, func(a, b registry.BlobResult) int { return cmp.Compare(a.Size, b.Size) })
			if layer.Status != row.status || layer.From != row.from || seen.Status != row.status || seen.From != row.from {
				t.Errorf("got %+v and %+v, want %s from %q", layer, seen, row.status, row.from)
			}
			if n := srv.Registry.OpenSessions(); n != 0 {
				t.Errorf("%d upload sessions are left", n)
			}
			// What the repository got from here is looked for there alone.
			srv.Registry.ResetLog()
			opts.ImageID = ""
			push("alice/other:2")
			for _, req := range srv.Registry.Requests(http.MethodPost, "") {
				if options.CacheDir != "" || req.Query.Has("from") {
					t.Errorf("got %+v", req)
				}
			}
		})
	}
}

func forget(_ *registrytest.Server, options *remote.Options) { options.CacheDir = "" }

func empty(srv *registrytest.Server, _ *remote.Options) {
	// A registry that finds nothing to mount begins an upload.
	begin := func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		req.URL.RawQuery = ""
		next.ServeHTTP(w, req)
	}
	srv.Registry.Fault(registrytest.Rule{Match: isMountFrom, Action: registrytest.ActionFunc(begin)})
}

func isMountFrom(req *http.Request) bool { return req.URL.Query().Get("from") != "" }

func refuse(srv *registrytest.Server, _ *remote.Options) {
	srv.Registry.Fault(registrytest.Rule{Match: isMountFrom, Action: registrytest.EmptyError(http.StatusForbidden)})
}

// An upload that begins again says why, also when it need not wait.
func TestBeginningAgainIsAnEvent(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Proxy: &registrytest.Proxy{MaxBody: 2 << 20}})
	archive, _ := layout(t, noise(t, 9, 3<<20))
	var states []registry.Status
	var why error
	opts := registry.PushOptions{Compression: image.Compression{Algorithm: image.None}, Progress: func(e registry.Event) {
		if e.Total != 3<<20 || len(states) > 0 && states[len(states)-1] == e.Status {
			return
		}
		states = append(states, e.Status)
		if e.Status == registry.StatusRetrying {
			why = e.Err
			if e.Wait != 0 {
				t.Errorf("got a wait of %v", e.Wait)
			}
		}
	}}
	if err := clientOf(t, srv, remote.Options{Save: save(archive)}).Push(t.Context(), "alice/app:1", opts); err != nil {
		t.Fatal(err)
	}
	want := []registry.Status{registry.StatusWaiting, registry.StatusRetrying, registry.StatusPushing, registry.StatusPushed}
	if !slices.Equal(states, want) || !errors.Is(why, registry.ErrTooLarge) {
		t.Errorf("got %v because of %v, want %v", states, why, want)
	}
}
