//go:build unix

package remote_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// nullRegistry takes everything and keeps nothing.
type nullRegistry struct{}

func (nullRegistry) RoundTrip(req *http.Request) (*http.Response, error) {
	status, header := http.StatusCreated, http.Header{}
	header.Set("Docker-Content-Digest", req.URL.Query().Get("digest"))
	if req.Body != nil {
		sink := io.Discard
		if strings.Contains(req.URL.Path, "/manifests/") {
			manifest := digest.Canonical.Digester()
			sink = manifest.Hash()
			defer func() { header.Set("Docker-Content-Digest", manifest.Digest().String()) }()
		}
		if _, err := io.Copy(sink, req.Body); err != nil {
			return nil, err
		}
		if err := req.Body.Close(); err != nil {
			return nil, err
		}
	}
	switch {
	case req.Method == http.MethodHead, req.Method == http.MethodGet:
		status = http.StatusNotFound
	case req.Method == http.MethodPost && !strings.Contains(req.URL.RawQuery, "digest="), req.Method == http.MethodPatch:
		status = http.StatusAccepted
		header.Set("Location", "/v2/me/app/blobs/uploads/1")
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: http.NoBody, Request: req,
	}, nil
}

// half is data that compresses to half its size, the same each time.
func half(b *testing.B, size int) []byte {
	b.Helper()
	data := make([]byte, size)
	for i := 0; i < size; i += 8 << 10 {
		copy(data[i:], noise(b, byte(i>>13), min(4<<10, size-i)))
	}
	return data
}

// gigabyte is what processor time is told of.
const gigabyte = 1e9

// BenchmarkPush is everything that happens to an image on its way but the network
// and the registry: reading, hashing, compressing, keeping, requests. Beside the
// time it tells the processor's, in seconds for a gigabyte of what is read. In a
// relay that includes what the daemon's side of the loopback takes, which is here
// the same process.
func BenchmarkPush(b *testing.B) {
	layer := pack(b, entry{"file", half(b, 64<<20)})
	raw, _ := saved(b, false, layer)
	whole, _ := layout(b, layer)
	var many [][]byte
	for i := range 60 {
		many = append(many, noise(b, byte(i), 1000))
	}
	small, _ := layout(b, many...)
	for _, path := range []struct {
		name        string
		read        int
		compression string
		source      func(b *testing.B) registry.PushOptions
	}{
		{"layout", len(layer), image.Gzip, fromFile(b, whole)},
		{"raw-gzip", len(layer), image.Gzip, fromFile(b, raw)},
		{"raw-zstd", len(layer), image.Zstd, fromFile(b, raw)},
		{"relay", len(layer), image.Gzip, fromHolder(b, layer)},
		{"60-small-layers", len(small), image.Gzip, fromFile(b, small)},
	} {
		b.Run(path.name, func(b *testing.B) {
			b.SetBytes(int64(path.read))
			b.ReportAllocs()
			used := processor(b)
			for b.Loop() {
				c, err := remote.New(registry.RegistryConfig{URL: "https://git.example.com"}, &remote.Options{Transport: nullRegistry{}})
				if err != nil {
					b.Fatal(err)
				}
				opts := path.source(b)
				opts.Compression = image.Compression{Algorithm: path.compression}
				err = c.Push(b.Context(), "me/app:1", opts)
				if opts.Source != nil {
					err = errors.Join(err, opts.Source.Close())
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			read := float64(path.read) * float64(b.N)
			b.ReportMetric((processor(b)-used).Seconds()/read*gigabyte, "cpu-s/GB")
		})
	}
}

// fromFile is a push of what is written to a file.
func fromFile(b *testing.B, archive []byte) func(*testing.B) registry.PushOptions {
	b.Helper()
	path := filepath.Join(b.TempDir(), "image.tar")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		b.Fatal(err)
	}
	return func(b *testing.B) registry.PushOptions {
		b.Helper()
		source, err := image.Open(path, nil)
		if err != nil {
			b.Fatal(err)
		}
		return registry.PushOptions{Source: source}
	}
}

// fromHolder is a push of what a daemon sends to the loopback.
func fromHolder(b *testing.B, layer []byte) func(*testing.B) registry.PushOptions {
	b.Helper()
	d := digest.FromBytes(layer)
	config, manifest := partsOf(b, layer)
	via := func(ctx context.Context, to registry.Loopback) error {
		h := &holder{to, to.Password}
		if err := errors.Join(
			h.stream(ctx, layer, d, http.StatusCreated),
			h.whole(ctx, config, digest.FromBytes(config), http.StatusCreated)); err != nil {
			return err
		}
		_, err := h.do(ctx, http.MethodPut, "manifests/push", manifest, http.StatusCreated)
		return err
	}
	return func(*testing.B) registry.PushOptions { return registry.PushOptions{Via: via} }
}

// processor is the time that this process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
