//go:build e2e

package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/test/interfere"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// guest is somebody with the real program and a token, at a Gitea as people
// run it.
type guest struct {
	shopper
	// front is what stands before it, or itself.
	gitea       *servers.Gitea
	front       *servers.Server
	pull        puller
	user, token string
	// refused: Gitea leads downloads to a storage without TLS.
	refused bool
}

// visit does at a Gitea all that people do there, one thing after the other.
func visit(t *testing.T, g *servers.Gitea, front *servers.Server, storage servers.Storage) {
	t.Helper()
	user := newUser(t, g)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	v := guest{
		shopper: newShopper(t, filepath.Join(pluginDir(t), "docker-gitea"), front, user, token),
		gitea:   g, front: front, pull: pulling(storage), refused: storage == servers.S3DirectPlain, user: user, token: token,
	}
	begin := time.Now()
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"check", v.checks}, {"push", v.pushes}, {"cut", v.isCutOff}, {"missing layers", v.completes}, {"ls and rm", v.tidies}, {"50 at once", v.bringsACrowd},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
	t.Logf("all of it in %s", time.Since(begin).Round(100*time.Millisecond))
}

func (v guest) ref(tag string) string { return v.front.Host + "/" + v.user + "/app:" + tag }

// sent pushes a layout, compares what arrived, and says how much was sent.
func (v guest) sent(t *testing.T, dir, tag string) int64 {
	t.Helper()
	out := run(t, v.env, v.plugin, "gitea", "push", "--progress", "quiet", "--format", "json", dir, v.ref(tag))
	report := decode[struct {
		Status struct{ BytesSent int64 }
	}](t, []byte(out))
	assertBlobs(t, v.pull(t, v.front, v.user, v.token, v.ref(tag)), layoutBlobs(t, dir))
	return report.Status.BytesSent
}

func (v guest) checks(t *testing.T) {
	t.Helper()
	v.expect(t, 0, "✓ ", "check", v.front.Host+"/"+v.user)
}

// pushes sends an image, the same again, and one with a layer more.
func (v guest) pushes(t *testing.T) {
	t.Helper()
	const size = 3_000_000
	one, two := stacked(t, size, 7), stacked(t, size, 7, 8)
	if n := v.sent(t, one, "1"); n < size {
		t.Errorf("the first push sent %d bytes", n)
	}
	if n := v.sent(t, one, "1"); n > size/100 {
		t.Errorf("the same again: sent %d bytes", n)
	}
	if n := v.sent(t, two, "2"); n < size || n > size+size/10 {
		t.Errorf("one layer more: sent %d bytes", n)
	}
}

// isCutOff loses one connection, and gets on; then all of them, is told what
// happened, and gets on when it tries again.
func (v guest) isCutOff(t *testing.T) {
	t.Helper()
	c := interfere.StartCutter(t, v.front.Host)
	_, port, err := net.SplitHostPort(c.Address())
	servers.Need(t, err)
	host := net.JoinHostPort("localhost", port)
	push := func(dir, tag string) (string, int) {
		cmd := shopper{plugin: v.plugin, dir: v.dir, env: append(v.env, "DOCKER_GITEA_HOST="+host, "DOCKER_GITEA_TOKEN="+v.token)}
		return cmd.try(t.Context(), "push", "--progress", "quiet", "--retries", "2", dir, host+"/"+v.user+"/app:"+tag)
	}
	for seed, kind := range map[byte]interfere.Fault{9: interfere.Reset, 10: interfere.Outage} {
		dir := stacked(t, 4_000_000, seed)
		c.Arm(2_000_000, kind)
		out, code := push(dir, string(kind))
		if _, met := c.Count(); !met {
			t.Errorf("%s: nothing was cut off", kind)
		}
		c.Disarm()
		switch {
		case kind == interfere.Reset && code != 0:
			t.Errorf("one connection was lost: exit code %d: %s", code, out)
		case kind == interfere.Outage && (code == 0 || !strings.Contains(out, "cause: ") || !strings.Contains(out, "hint: ")):
			t.Errorf("all connections were lost: exit code %d: %s", code, out)
		}
		if out, code := push(dir, string(kind)); code != 0 {
			t.Errorf("%s, again: exit code %d: %s", kind, code, out)
		}
		assertBlobs(t, v.pull(t, v.front, v.user, v.token, v.ref(string(kind))), layoutBlobs(t, dir))
	}
}

// awayFromTLS is what reading ends in where Gitea leads to a storage without TLS.
const awayFromTLS = "from https to its storage without TLS: http://127.0.0.1:"

// completes pushes an image to another registry, when one of its layers is here alone.
func (v guest) completes(t *testing.T) {
	t.Helper()
	dir := stacked(t, 2_000_000, 11)
	v.sent(t, dir, "whole")
	want := layoutBlobs(t, dir)
	for name, size := range want {
		if size > 1_000_000 {
			servers.Need(t, os.Remove(samples.LayoutWriter{T: t, Dir: dir}.Path(digest.Digest(name))))
		}
	}
	here := newClient(t, v.front, client.AuthConfig{Token: v.token}, nil)
	other := registry(t)
	repository := v.user + "/completed"
	_, err := pushPath(t, newClient(t, other, client.AuthConfig{}, nil), repository+":1", dir, client.PushOptions{
		Fetch: func(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
			return here.Blob(ctx, v.user+"/app", d)
		},
	})
	if v.refused {
		if err == nil || !strings.Contains(err.Error(), awayFromTLS) {
			t.Errorf("a redirect away from TLS: got %v", err)
		}
		return
	}
	servers.Need(t, err)
	assertBlobs(t, pull(t, other, "", "", other.Host+"/"+repository+":1"), want)
}

// tidies lists what is there and deletes a tag.
func (v guest) tidies(t *testing.T) {
	t.Helper()
	image := v.front.Host + "/" + v.user + "/app"
	if v.refused { // of manifests, too
		v.expect(t, 1, awayFromTLS, "ls", image)
		return
	}
	tags := v.expect(t, 0, "whole", "ls", image)
	for _, tag := range []string{"1 ", "2 ", "reset "} {
		if !strings.Contains(tags, "\n"+tag) {
			t.Errorf("ls does not list %q", tag)
		}
	}
	v.expect(t, 0, "", "rm", "--force", v.ref("2"))
	if tags := v.expect(t, 0, "\n1 ", "ls", image); strings.Contains(tags, "\n2 ") {
		t.Error("2 is listed after it was deleted")
	}
	assertBlobs(t, v.pull(t, v.front, v.user, v.token, v.ref("1")), layoutBlobs(t, stacked(t, 3_000_000, 7)))
}

// bringsACrowd pushes many images at once. Each arrives whole, at the latest
// when a push that failed with a reason is made again.
func (v guest) bringsACrowd(t *testing.T) {
	t.Helper()
	var dirs []string
	for i := range sideBySide {
		dirs = append(dirs, stacked(t, 200_000+i, byte(100+i)))
	}
	push := func(i int) (client.Result, error) {
		c := newClient(t, v.front, client.AuthConfig{Token: v.token}, nil)
		return pushPath(t, c, fmt.Sprintf("%s/crowd:%d", v.user, i), dirs[i], client.PushOptions{})
	}
	failed := make([]error, sideBySide)
	begin := time.Now()
	var pushes sync.WaitGroup
	for i := range sideBySide {
		pushes.Go(func() { _, failed[i] = push(i) })
	}
	pushes.Wait()
	took, n := time.Since(begin), 0
	for i, err := range failed {
		if err != nil {
			n++
			t.Logf("push %d: %v", i, err)
			if d := client.Diagnose(err); d.Cause == "" || d.Hint == "" {
				t.Errorf("the failure has no name: %v", err)
			}
		}
		if got, err := push(i); err != nil || got.Digest.String() != topDigest(t, dirs[i]) {
			t.Errorf("push %d, again: got %s, %v", i, got.Digest, err)
		}
	}
	t.Logf("%d at once in %s; %d of them failed", sideBySide, took.Round(100*time.Millisecond), n)
}

// stacked is an OCI layout of one image, with a layer of size bytes for each seed.
func stacked(t *testing.T, size int, seeds ...byte) string {
	t.Helper()
	l := samples.NewLayout(t)
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}, RootFS: ocispec.RootFS{Type: "layers"}}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for _, seed := range seeds {
		layer := l.Layer(seed, size)
		manifest.Layers = append(manifest.Layers, layer)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.DiffID(layer))
	}
	manifest.Config = l.JSON(ocispec.MediaTypeImageConfig, config)
	top, err := json.Marshal(samples.Index(l.JSON(ocispec.MediaTypeImageManifest, manifest)))
	servers.Need(t, errors.Join(err, os.WriteFile(filepath.Join(l.Dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600)))
	samples.WriteFile(t, filepath.Join(l.Dir, "index.json"), top)
	return l.Dir
}
