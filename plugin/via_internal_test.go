package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// Of the names that pushes give, those are left alone whose push may go on.
func TestRemoveLeftovers(t *testing.T) {
	busy, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	ended := endedPush(t) // not as busy
	_, repository, _ := strings.Cut(ended, "/")
	elsewhere := "/docker-gitea-" + strings.Repeat("0", 32) + ":push"
	fresh, old := time.Now(), time.Now().Add(-2*abandoned)
	tagged := map[string]time.Time{
		ended + ":push": fresh, // its port is free
		busy.Addr().String() + "/" + repository + ":push": fresh,
		"127.0.0.1:2" + elsewhere:                         fresh,
		"127.0.0.1:3" + elsewhere:                         old,
		"127.0.0.1:5" + elsewhere:                         {}, // the daemon does not say when
		"127.0.0.1:4/somebody/else:push":                  old,
	}
	want := map[string]bool{ended + ":push": true, "127.0.0.1:3" + elsewhere: true}
	p := &pusher{daemon: connectTo(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, path, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/images/")
		name := strings.TrimSuffix(path, "/json")
		switch {
		case req.URL.Path == "/_ping":
			w.Header().Set("Api-Version", "1.41")
		case path == "json":
			image := daemon.Image{ID: "sha256:1"}
			for name := range tagged {
				image.RepoTags = append(image.RepoTags, name)
			}
			_ = json.NewEncoder(w).Encode([]daemon.Image{image})
		case req.Method == http.MethodDelete:
			if !want[path] {
				t.Errorf("removed %s", path)
			}
			delete(want, path)
		default:
			image := daemon.Image{ID: "sha256:1"}
			image.Metadata.LastTagTime = tagged[name]
			_ = json.NewEncoder(w).Encode(image)
		}
	}))}
	if err := p.removeLeftovers(t.Context()); err != nil {
		t.Error(err)
	}
	if len(want) > 0 {
		t.Errorf("did not remove %v", want)
	}
}

// endedPush is the repository that a push listened as.
func endedPush(t *testing.T) string {
	t.Helper()
	srv := registrytest.Start(t, registrytest.Config{})
	c, err := remote.New(registry.RegistryConfig{URL: srv.URL, Auth: registry.AuthConfig{Token: registrytest.Token}, CAFiles: []string{srv.CAFile}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var repository string
	err = c.Push(t.Context(), "alice/app:1", registry.PushOptions{Via: func(_ context.Context, to registry.Loopback) error {
		repository = to.Repository
		return errors.New("not now")
	}})
	if !errors.Is(err, registry.ErrNoSource) {
		t.Fatal(err)
	}
	return repository
}

// connectTo starts a daemon.
func connectTo(t *testing.T, h http.Handler) *daemon.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: h}}
	server.Start()
	t.Cleanup(server.Close)
	client, err := daemon.Connect(t.Context(), daemon.Endpoint{Host: "unix://" + socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// Only the containerd store of a daemon that knows the option pushes the image
// for one platform.
func TestPlatformIsExported(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, api, driver, platform string
		exported                    bool
	}{
		{"classic store", "1.52", "overlay2", "linux/arm64", true},
		{"classic store, all of it", "1.52", "overlay2", "", false},
		{"containerd store", "1.46", "io.containerd.snapshotter.v1", "linux/arm64", false},
		{"containerd store of Engine 25", "1.44", "io.containerd.snapshotter.v1", "linux/arm64", true},
		{"containerd store of Engine 25, all of it", "1.44", "io.containerd.snapshotter.v1", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := connectTo(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/_ping" {
					w.Header().Set("Api-Version", test.api)
					return
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"DriverStatus": [][2]string{{"driver-type", test.driver}}})
			}))
			info, err := client.Info(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			fault := exportOnly(options.Settings{Platform: test.platform, Compression: image.Gzip}, info, daemon.Image{RepoTags: []string{"app:1"}})
			if (fault != "") != test.exported {
				t.Errorf("got %q, want a reason to export: %t", fault, test.exported)
			}
		})
	}
}

// A daemon that does not reach the port is asked once a run, and named once.
func TestUnreachedDaemonIsNamedOnce(t *testing.T) {
	t.Parallel()
	p := &pusher{}
	var told []string
	asked := 0
	for range 3 {
		via := p.tellingWhy(func(context.Context, registry.Loopback) error {
			asked++
			return fmt.Errorf("%w: connection refused", daemon.ErrUnreached)
		}, func(e registry.Event) { told = append(told, e.Note) })
		if err := via(t.Context(), registry.Loopback{}); !errors.Is(err, daemon.ErrUnreached) {
			t.Errorf("got %v", err)
		}
	}
	want := "the daemon cannot push: it does not reach 127.0.0.1 of this machine, being in another network; reading the image instead (--via export does so at once)"
	if asked != 1 || len(told) != 1 || told[0] != want {
		t.Errorf("asked %d times; told %q", asked, told)
	}
	quicker := (&pusher{}).tellingWhy(func(context.Context, registry.Loopback) error { return errExportQuicker }, func(e registry.Event) { t.Errorf("told %q", e.Note) })
	if err := quicker(t.Context(), registry.Loopback{}); !errors.Is(err, errExportQuicker) {
		t.Errorf("got %v", err)
	}
}
