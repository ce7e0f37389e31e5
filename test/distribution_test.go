//go:build e2e

package test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestWideDistribution3 pushes to release 3.1 of the distribution registry.
func TestWideDistribution3(t *testing.T) {
	wide(t)
	attest(t, "registry", "distribution 3", "pushes of every form, mounts, chunks, a repair", "registry-3")
	s, err := servers.StartRegistry(t.Context(), servers.RegistryOptions{Newer: true})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, s.Stop) })
	pushesToForeign(t, s)
}

// TestWideCraneRegistry pushes to the registry that crane starts, which has no
// TLS itself.
func TestWideCraneRegistry(t *testing.T) {
	wide(t)
	attest(t, "registry", "crane registry serve", "pushes of every form, mounts, chunks, a repair", "crane", "haproxy")
	s, err := servers.StartCraneRegistry(t.Context())
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, s.Stop) })
	front, err := servers.StartHAProxy(t.Context(), servers.HAProxyOptions{Upstream: s.URL})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, front.Stop) })
	pushesToForeign(t, front)
}

// pushesToForeign does with a registry that is no Gitea what people do one after
// the other: after each push, skopeo and crane pull what has to be there.
func pushesToForeign(t *testing.T, s *servers.Server) {
	t.Helper()
	c := newClient(t, s, client.AuthConfig{}, &remote.Options{CacheDir: t.TempDir()})
	const size = 3_000_000
	one, two := stacked(t, size, 7), stacked(t, size, 7, 8)
	push := func(t *testing.T, dir, to string, opts client.PushOptions) client.Result {
		t.Helper()
		result := mustPush(t, c, to, dir, opts)
		assertBlobs(t, pull(t, s, "", "", s.Host+"/"+to), layoutBlobs(t, dir))
		return result
	}
	t.Run("first", func(t *testing.T) { push(t, one, "team/app:1", client.PushOptions{}) })
	t.Run("again", func(t *testing.T) {
		if r := push(t, one, "team/app:1", client.PushOptions{}); r.Requests != 1 || r.BytesSent > 0 {
			t.Errorf("%d requests sent %d bytes, want 1 and none", r.Requests, r.BytesSent)
		}
	})
	t.Run("a layer more", func(t *testing.T) {
		if r := push(t, two, "team/app:2", client.PushOptions{}); r.BytesSent > size+size/10 {
			t.Errorf("sent %d bytes", r.BytesSent)
		}
	})
	t.Run("a tag moves", func(t *testing.T) { push(t, two, "team/app:1", client.PushOptions{}) })
	t.Run("mounted", func(t *testing.T) {
		if r := push(t, two, "team/other:1", client.PushOptions{}); r.BytesSent > size/100 {
			t.Errorf("sent %d bytes", r.BytesSent)
		}
	})
	t.Run("in chunks", func(t *testing.T) {
		push(t, stacked(t, size, 9), "team/app:chunks", client.PushOptions{ChunkSize: 1 << 20})
	})
	t.Run("a name and a tag of no Gitea", func(t *testing.T) { push(t, one, "a__b:RC1", client.PushOptions{}) })
	t.Run("asked first, without waiting", func(t *testing.T) {
		begin := time.Now()
		r := push(t, stacked(t, size, 10), "team/app:asked", client.PushOptions{})
		t.Logf("%d requests, %s with both pulls", r.Requests, time.Since(begin).Round(10*time.Millisecond))
	})
	for _, algorithm := range []string{image.Gzip, image.Zstd} {
		t.Run("a stream, "+algorithm, func(t *testing.T) {
			archive := samples.DockerArchive(t, 11, size)
			source, err := image.Read(bytes.NewReader(archive), "standard input", &image.Options{Compression: image.Compression{Algorithm: algorithm}})
			servers.Need(t, err)
			defer source.Close()
			servers.Need(t, c.Push(t.Context(), "team/app:"+algorithm, client.PushOptions{Source: source, Compression: image.Compression{Algorithm: algorithm}}))
			pullBySkopeo(t, s, "", "", s.Host+"/team/app:"+algorithm) // crane knows no zstd
		})
	}
	t.Run("lost behind its tag", func(t *testing.T) { repairs(t, s, c, two) })
}

// repairs loses the blobs of an image, which a push with Verify brings back.
func repairs(t *testing.T, s *servers.Server, c *remote.Client, dir string) {
	t.Helper()
	mustPush(t, c, "team/lost:1", dir, client.PushOptions{})
	for name, size := range layoutBlobs(t, dir) {
		if size > 1_000_000 {
			deleteBlob(t, s, "team/lost", digest.Digest(name))
		}
	}
	mustPush(t, c, "team/lost:1", dir, client.PushOptions{Verify: true})
	assertBlobs(t, pull(t, s, "", "", s.Host+"/team/lost:1"), layoutBlobs(t, dir))
}

func deleteBlob(t *testing.T, s *servers.Server, repository string, d digest.Digest) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodDelete, s.URL+"/v2/"+repository+"/blobs/"+d.String(), http.NoBody)
	servers.Need(t, err)
	resp, err := s.Client().Do(req)
	servers.Need(t, err)
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("DELETE: %s", resp.Status)
	}
}
