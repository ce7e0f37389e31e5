package daemon_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
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
