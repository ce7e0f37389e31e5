package remote_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// nullRegistry takes everything and keeps nothing.
type nullRegistry struct{}

func (nullRegistry) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return nil, err
		}
		if err := req.Body.Close(); err != nil {
			return nil, err
		}
	}
	status, header := http.StatusCreated, http.Header{}
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
		if _, err := rand.Read(data[i:min(i+4<<10, size)]); err != nil {
			b.Fatal(err)
		}
	}
	return data
}

// BenchmarkPush is everything that happens to an image on its way but the
// network and the registry: reading, hashing, compressing, keeping, requests.
func BenchmarkPush(b *testing.B) {
	raw, _ := saved(b, false, pack(b, entry{"file", half(b, 64<<20)}))
	var many [][]byte
	for i := range 60 {
		many = append(many, noise(b, byte(i), 1000))
	}
	small, _ := layout(b, many...)
	for name, archive := range map[string][]byte{"a raw layer of 64 MiB": raw, "60 small layers": small} {
		for _, algorithm := range []string{image.Gzip, image.Zstd} {
			b.Run(name+", "+algorithm, func(b *testing.B) {
				b.SetBytes(int64(len(archive)))
				b.ReportAllocs()
				for b.Loop() {
					c, err := remote.New(registry.RegistryConfig{URL: "https://git.example.com"}, &remote.Options{
						Transport: nullRegistry{},
						Save: func(context.Context, string) (io.ReadCloser, error) {
							return io.NopCloser(bytes.NewReader(archive)), nil
						},
					})
					if err != nil {
						b.Fatal(err)
					}
					if err := c.Push(b.Context(), "me/app:1", registry.PushOptions{Compression: image.Compression{Algorithm: algorithm}}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
