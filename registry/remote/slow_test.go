package remote_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// slowLine is a line of so many bytes a second, which all requests share, to
// something that ends each after so much time: with an answer, or without.
type slowLine struct {
	registry http.Handler
	rate     int64
	limit    time.Duration
	status   int // 0 closes the connection
	// cuts, if not zero, is how often all that is under way since begun is lost.
	cuts  time.Duration
	begun time.Time
	turn  chan struct{}
	ended *atomic.Int64
}

func (l slowLine) RoundTrip(req *http.Request) (*http.Response, error) {
	var body strings.Builder
	if req.Body != nil {
		defer req.Body.Close()
		start := time.Now()
		for err := error(nil); !errors.Is(err, io.EOF); {
			l.turn <- struct{}{}
			var n int64
			n, err = io.CopyN(&body, req.Body, 64<<10)
			time.Sleep(time.Duration(n) * time.Second / time.Duration(l.rate)) // of the test's own clock
			<-l.turn
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			if l.cuts > 0 && start.Sub(l.begun)/l.cuts != time.Since(l.begun)/l.cuts {
				l.ended.Add(1)
				l.serve(req, io.MultiReader(strings.NewReader(body.String()), iotest.ErrReader(io.ErrUnexpectedEOF)))
				return nil, io.ErrUnexpectedEOF
			}
			if time.Since(start) > l.limit {
				l.ended.Add(1)
				if l.status == 0 {
					return nil, io.ErrUnexpectedEOF
				}
				return ending(req, l.status), nil
			}
		}
	}
	return l.serve(req, strings.NewReader(body.String())), nil
}

// serve has the registry answer a request with the body that reached it.
func (l slowLine) serve(req *http.Request, body io.Reader) *http.Response {
	again := req.Clone(req.Context())
	again.Body = io.NopCloser(body)
	again.RequestURI = req.URL.RequestURI()
	recorder := httptest.NewRecorder()
	l.registry.ServeHTTP(recorder, again)
	resp := recorder.Result()
	resp.Request = req
	return resp
}

func ending(req *http.Request, status int) *http.Response {
	text := "Client Closed Request"
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{"Content-Type": {"text/plain"}},
		Body: io.NopCloser(strings.NewReader(text)), Request: req,
	}
}

// Layers that take longer than something lets a request take arrive in shorter
// ones, and the next client knows. The clock is the test's.
func TestLimitInTime(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		layers []int
		status int
		want   string
	}{
		"90 MB, 499":                      {[]int{90_000_000}, 499, "Traefik or another proxy written in Go in front of git.example.com ended a request after 1m0s"},
		"90 MB, 408":                      {[]int{90_000_000}, 408, "ended a request after 1m0s"},
		"90 MB, 504":                      {[]int{90_000_000}, 504, "ended a request after 1m"},
		"four at once, which closes":      {[]int{40_000_000, 45_000_000, 50_000_000, 55_000_000}, 0, ""},
		"four at once, which answers 499": {[]int{40_000_000, 45_000_000, 50_000_000, 55_000_000}, 499, "at a time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := t.TempDir()
			var dirs [2]string
			for seed := range dirs {
				var layers [][]byte
				for i, size := range tc.layers {
					layers = append(layers, noise(t, byte(10*seed+i), size))
				}
				dirs[seed] = writeLayout(t, layers...)
			}
			synctest.Test(t, func(t *testing.T) {
				line := slowLine{
					registry: registrytest.New(registrytest.Config{}), rate: 1_000_000, limit: time.Minute, status: tc.status,
					turn: make(chan struct{}, 1), ended: new(atomic.Int64),
				}
				pushed := func(seed int) (notes string) {
					t.Helper()
					c, err := remote.New(registry.RegistryConfig{URL: "https://git.example.com", Auth: registry.AuthConfig{Token: registrytest.Token}}, &remote.Options{
						Transport: line, CacheDir: cache,
					})
					if err != nil {
						t.Fatal(err)
					}
					source, err := image.Open(dirs[seed], nil)
					if err != nil {
						t.Fatal(err)
					}
					defer source.Close()
					err = c.Push(t.Context(), "alice/app:1", registry.PushOptions{Source: source, Progress: func(e registry.Event) { notes += e.Note }})
					if err != nil {
						t.Fatalf("%v\n%+v", err, registry.Diagnose(err))
					}
					return notes
				}
				if notes := pushed(0); !strings.Contains(notes, tc.want) {
					t.Errorf("got %q, want %q", notes, tc.want)
				}
				if line.ended.Load() == 0 {
					t.Error("nothing took too long")
				}
				before := line.ended.Load()
				pushed(1)
				if again := line.ended.Load() - before; again > 0 {
					t.Errorf("the second client had %d requests ended", again)
				}
			})
		})
	}
}

// A line loses all connections every ten seconds, in which four layers side by side
// do not arrive: the registry keeps nothing of a layer that was cut. One by one they
// do. The clock is the test's.
func TestLineThatLosesConnections(t *testing.T) {
	t.Parallel()
	const rate, size, layers = 2_500_000, 8_000_000, 8
	var contents [][]byte
	for i := range layers {
		contents = append(contents, noise(t, byte(i), size))
	}
	dir := writeLayout(t, contents...)
	synctest.Test(t, func(t *testing.T) {
		line := slowLine{
			registry: registrytest.New(registrytest.Config{}), rate: rate, limit: time.Hour,
			cuts: 10 * time.Second, begun: time.Now(), turn: make(chan struct{}, 1), ended: new(atomic.Int64),
		}
		c, err := remote.New(registry.RegistryConfig{URL: "https://git.example.com", Auth: registry.AuthConfig{Token: registrytest.Token}}, &remote.Options{
			Transport: line, Backoff: func(int) time.Duration { return 0 },
		})
		if err != nil {
			t.Fatal(err)
		}
		source, err := image.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		start := time.Now()
		if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Source: source}); err != nil {
			t.Fatal(err)
		}
		// The first twenty seconds are lost, and of each ten after that less than a layer.
		const alone, layer = layers * size / rate, float64(size) / rate // seconds
		if took, most := time.Since(start).Seconds(), 20+alone+(alone/line.cuts.Seconds()+2)*layer; took > most {
			t.Errorf("it took %.1f s, at most %.1f s were expected", took, most)
		}
		if line.ended.Load() == 0 {
			t.Error("nothing was cut")
		}
	})
}
