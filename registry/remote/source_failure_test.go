package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// What a push reads from another registry may fail as that registry does: whether
// another try makes sense follows from its answer, the error names it, and the
// destination is not asked again for what the source will not give.
func TestSourceRegistryFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		action    registrytest.Action
		temporary bool
		// said is what is said about the source; empty where the error says it all.
		said string
	}{
		"busy":               {registrytest.ProxyError(http.StatusServiceUnavailable, "nginx"), true, "nginx in front of %s does not reach Gitea"},
		"without an answer":  {registrytest.Cut{Reset: true}, true, "the connection to %s broke off"},
		"within its answer":  {halfAnswer{}, true, "the connection to %s broke off"},
		"it lost the blob":   {registrytest.EmptyError(http.StatusNotFound), false, "%s no longer has all of alice/app"},
		"it hides the blob":  {registrytest.EmptyError(http.StatusForbidden), false, "%s does not let you read alice/app"},
		"it has other bytes": {flipped, false, ""},
	} {
		for way, push := range map[string]func(*testing.T, *remote.Client, *remote.Client) error{
			"as the source": func(t *testing.T, from, to *remote.Client) error {
				t.Helper()
				_, err := copied(t, from, to, "alice/copy:2", registry.PushOptions{})
				return err
			},
			"for a layer that the source lacks": func(t *testing.T, from, to *remote.Client) error {
				t.Helper()
				return to.Push(t.Context(), "alice/copy:2", registry.PushOptions{Fetch: func(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
					return from.Blob(ctx, "alice/app", d)
				}})
			},
		} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				layer := layerOf(t, 300<<10)
				whole, _ := layout(t, layer)
				origin := registrytest.Start(t, registrytest.Config{})
				from := clientOf(t, origin, remote.Options{Save: save(whole), Retries: 2})
				if err := from.Push(t.Context(), "alice/app:1", registry.PushOptions{}); err != nil {
					t.Fatal(err)
				}
				origin.Registry.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/blobs/" + digest.FromBytes(layer).String(), Action: tc.action})
				srv := registrytest.Start(t, registrytest.Config{})
				to := clientOf(t, srv, remote.Options{Save: save(without(t, whole, layer)), Retries: 2})
				err := push(t, from, to)
				if err == nil {
					t.Fatal("it was pushed")
				}
				if registry.Temporary(err) != tc.temporary {
					t.Errorf("temporary is %v: %v", !tc.temporary, err)
				}
				if got := registry.Diagnose(err); strings.Contains(got.Cause+got.Hint, srv.Host) || tc.said != "" && !strings.Contains(got.Cause, fmt.Sprintf(tc.said, origin.Host)) {
					t.Errorf("%v\n%+v", err, got)
				}
				asked := 0
				for _, e := range srv.Registry.Log() {
					if e.Method == http.MethodPost && strings.HasSuffix(e.Path, "/uploads/") {
						asked++
					}
				}
				if asked > 3 {
					t.Errorf("%d uploads were begun", asked)
				}
			})
		}
	}
}

// An index that lacks a child is there all the same: its registry has lost a part of it.
func TestSourceRegistryLacksAChild(t *testing.T) {
	t.Parallel()
	archive, content := multi(t)
	origin := registrytest.Start(t, registrytest.Config{})
	from := clientOf(t, origin, remote.Options{Save: save(archive)})
	if err := from.Push(t.Context(), "alice/app:1", registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	lose(t, from, content[1])
	_, err := from.Source(t.Context(), "alice/app", "1", nil)
	if _, ofSource := errors.AsType[*registry.SourceError](err); !ofSource || registry.Temporary(err) {
		t.Errorf("got %v", err)
	}
	if got := registry.Diagnose(err); got.Cause != origin.Host+" no longer has all of alice/app, or hides it from you" {
		t.Errorf("%v\n%+v", err, got)
	}
}

// flipped answers with as many bytes as are right.
var flipped = registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
	next.ServeHTTP(flipping{w}, req)
})

type flipping struct{ http.ResponseWriter }

func (f flipping) Write(p []byte) (int, error) {
	other := bytes.Clone(p)
	for i := range other {
		other[i] ^= 1
	}
	return f.ResponseWriter.Write(other)
}
