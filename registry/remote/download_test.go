package remote_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// breakOff answers with a part of a blob, from where it is asked for if ranges
// is set, and ends the connection.
func breakOff(ranges bool) registrytest.Action {
	return registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, req)
		data := answer.Body.Bytes()
		first, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(req.Header.Get("Range"), "bytes="), "-"))
		status := http.StatusOK
		if ranges && first > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(data)-1, len(data)))
			status = http.StatusPartialContent
		} else {
			first = 0
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(data)-first))
		w.WriteHeader(status)
		_, _ = w.Write(data[first : (first+len(data))/2])
		panic(http.ErrAbortHandler)
	})
}

// A download that breaks off goes on where it was, or begins anew where the
// registry knows no ranges, and does not try for ever.
func TestDownloadGoesOn(t *testing.T) {
	t.Parallel()
	layer := layerOf(t, 1<<20)
	whole, _ := layout(t, layer)
	for _, test := range []struct {
		name   string
		action registrytest.Action
		times  int
		fails  bool
	}{
		{"ranges", breakOff(true), 3, false},
		{"no ranges", breakOff(false), 1, false},
		{"a registry that is gone", registrytest.Cut{}, 0, true},
		{"another range", registrytest.Answer{Status: http.StatusPartialContent, Header: http.Header{"Content-Range": {"bytes 1-2/3"}}}, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			c := clientOf(t, srv, remote.Options{Save: save(whole), Backoff: func(int) time.Duration { return 0 }})
			if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			d := digest.FromBytes(layer)
			if test.fails { // it breaks off once, and then there is nobody
				srv.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/blobs/", Times: 1, Action: breakOff(true)})
			}
			fault := srv.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/blobs/", Times: test.times, Action: test.action})
			r, err := c.Blob(t.Context(), "alice/app", d)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			data, err := io.ReadAll(r)
			if !test.fails && (err != nil || digest.FromBytes(data) != d) {
				t.Errorf("got %d bytes, %v", len(data), err)
			}
			if test.fails && (err == nil || errors.Is(err, io.EOF) || len(data) >= len(layer)) {
				t.Errorf("got %d bytes, %v; want a failure", len(data), err)
			}
			if fault.Hits() == 0 {
				t.Error("nothing broke off")
			}
		})
	}
}
