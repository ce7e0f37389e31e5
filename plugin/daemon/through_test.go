package daemon_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
)

// The name that an image has meanwhile is taken away as soon as the daemon does
// not need it any more.
func TestPushThrough(t *testing.T) {
	for _, tc := range []struct {
		name       string
		containerd bool
		want       []string
	}{
		{"containerd", true, []string{"tag", "untag", "pushed"}},
		{"classic", false, []string{"tag", "pushed", "untag"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			reached, untagged := make(chan struct{}), make(chan struct{})
			client := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/_ping":
					w.Header().Set("Api-Version", "1.48")
				case strings.HasSuffix(r.URL.Path, "/tag"):
					got = append(got, "tag")
				case r.Method == http.MethodDelete:
					got = append(got, "untag")
					close(untagged)
				case strings.HasSuffix(r.URL.Path, "/push"):
					close(reached)
					if tc.containerd {
						<-untagged
					}
					got = append(got, "pushed")
					if tc.containerd {
						_, _ = io.WriteString(w, `{"error":"409 Conflict"}`)
					}
				}
			}))
			refuses := false
			to := registry.Loopback{
				Repository: "127.0.0.1:1/x", Tag: registry.LoopbackTag, Reached: reached,
				Refuse: func() { refuses = true }, Sent: func() bool { return refuses },
			}
			if err := client.PushThrough(t.Context(), "sha256:1", "", tc.containerd, to); err != nil {
				t.Error(err)
			}
			if refuses != tc.containerd {
				t.Errorf("has the manifest refused: %v", refuses)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// Whenever a push is cancelled, the name that the daemon gives it goes away.
func TestNameOfACancelledPush(t *testing.T) {
	for _, at := range []string{"/tag", "/push"} {
		t.Run(at, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var mu sync.Mutex
			named := false
			client := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Api-Version", "1.48")
				if strings.HasSuffix(r.URL.Path, at) {
					cancel()
				}
				switch {
				case strings.HasSuffix(r.URL.Path, "/tag"):
					mu.Lock()
					defer mu.Unlock()
					named = true
				case strings.HasSuffix(r.URL.Path, "/push"):
					<-r.Context().Done()
				case r.Method == http.MethodDelete:
					mu.Lock()
					defer mu.Unlock()
					named = false
				}
			}))
			to := registry.Loopback{
				Repository: "127.0.0.1:1/x", Tag: registry.LoopbackTag, Reached: make(chan struct{}),
				Refuse: func() {}, Sent: func() bool { return false },
			}
			if err := client.PushThrough(ctx, "sha256:1", "", true, to); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if named {
				t.Error("the temporary name stays in the daemon")
			}
		})
	}
}
