package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// A layer that is compressed on its way is compressed before it is sent, its
// size on the wire is guessed until it is known, and nothing exceeds a total. It
// has one name all the time.
func TestEventsOfALayerThatIsCompressed(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	archive, _ := saved(t, false, layerOf(t, 8<<20))
	pushing := make(chan struct{})
	c := clientOf(t, srv, remote.Options{Save: func(context.Context, string) (io.ReadCloser, error) {
		rest := &waitingReader{r: bytes.NewReader(archive[7<<20:]), until: pushing}
		return io.NopCloser(io.MultiReader(bytes.NewReader(archive[:7<<20]), rest)), nil
	}})
	begun := sync.OnceFunc(func() { close(pushing) })
	var states []registry.Status
	var estimated bool
	var last registry.Event
	opts := registry.PushOptions{Progress: func(e registry.Event) {
		if e.Name != "ab/layer.tar" {
			return
		}
		if len(states) == 0 || states[len(states)-1] != e.Status {
			states = append(states, e.Status)
		}
		if e.Total > 0 && e.Current > e.Total || e.Status == registry.StatusCompressing && e.Total == 0 {
			t.Errorf("got %+v", e)
		}
		if e.Status == registry.StatusPushing {
			begun()
		}
		if last.ID != "" && e.ID != last.ID || (e.Digest != "") != e.Status.Final() {
			t.Errorf("got %+v after %+v", e, last)
		}
		estimated = estimated || e.Estimated && e.Total > e.Current
		last = e
	}}
	if err := c.Push(t.Context(), "alice/app:1", opts); err != nil {
		t.Fatal(err)
	}
	want := []registry.Status{registry.StatusWaiting, registry.StatusCompressing, registry.StatusPushing, registry.StatusPushed}
	if !slices.Equal(states, want) || !estimated || last.Estimated || last.Current != last.Total {
		t.Errorf("got %v, estimated %v, last %+v, want %v", states, estimated, last, want)
	}
}

// waitingReader gives nothing before until is closed.
type waitingReader struct {
	r     io.Reader
	until <-chan struct{}
}

func (w *waitingReader) Read(p []byte) (int, error) {
	<-w.until
	return w.r.Read(p)
}

// All layers of a file are announced before the first is sent.
func TestEventsBeginWithEveryBlob(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	source, err := image.Open(writeLayout(t, []byte("one"), []byte("two"), []byte("three")), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var waiting, bytes int64
	var begun bool
	opts := registry.PushOptions{Source: source, Jobs: 1, Progress: func(e registry.Event) {
		if begun = begun || e.Status == registry.StatusPushing; !begun && e.Status == registry.StatusWaiting {
			waiting++
			bytes += e.Total
		}
	}}
	if err := clientOf(t, srv, remote.Options{}).Push(t.Context(), "alice/app:1", opts); err != nil {
		t.Fatal(err)
	}
	if waiting < 4 || bytes == 0 {
		t.Errorf("got %d blobs of %d bytes, want 3 layers and a config", waiting, bytes)
	}
}

// A push that fails tells how far it came.
func TestResultOfAFailure(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	srv.Fault(registrytest.Rule{Method: http.MethodPut, Path: "/manifests/", Action: registrytest.Answer{
		Status: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"errors":[{"code":"DENIED"}]}`,
	}})
	archive, _ := saved(t, false, layerOf(t, 1000))
	var got registry.Result
	err := clientOf(t, srv, remote.Options{Save: save(archive)}).Push(t.Context(), "alice/app:1", registry.PushOptions{Result: &got})
	if !errors.Is(err, registry.ErrDenied) {
		t.Errorf("got %v, want denied", err)
	}
	if len(got.Blobs) != 2 || got.BytesSent == 0 || got.Requests == 0 || got.Duration == 0 || got.Reference == "" {
		t.Errorf("got %+v, want two blobs", got)
	}
	if got.Digest != "" || got.Tags != nil {
		t.Errorf("got %+v, want no digest and no tags", got)
	}
}
