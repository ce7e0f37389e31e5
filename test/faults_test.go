//go:build e2e

package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// positions is how many places of a push are cut, for each kind of source.
const positions = 200

// TestFaultsCuts cuts pushes at positions spread evenly over all the bytes that
// a push exchanges, in both directions. Each either ends well or with an error
// that has a name; the tag then leads to nothing or to exactly the image; and
// the same push without a cut ends well.
func TestFaultsCuts(t *testing.T) {
	for _, source := range []struct {
		name string
		open func(t *testing.T, seed byte) *image.Source
	}{
		{"layout", func(t *testing.T, seed byte) *image.Source {
			t.Helper()
			return opened(t)(image.Open(layout(t, seed, 40_000), nil))
		}},
		{"archive", func(t *testing.T, seed byte) *image.Source {
			t.Helper()
			path := filepath.Join(t.TempDir(), "image.tar")
			writeFile(t, path, dockerArchive(t, seed, 40_000))
			return opened(t)(image.Open(path, nil))
		}},
		{"stream", func(t *testing.T, seed byte) *image.Source {
			t.Helper()
			return opened(t)(image.Read(bytes.NewReader(dockerArchive(t, seed, 40_000)), "standard input", nil))
		}},
	} {
		t.Run(source.name, func(t *testing.T) {
			// A Gitea of its own: it must hold none of the blobs already.
			g, err := servers.StartGitea(t.Context(), servers.GiteaOptions{PlainHTTP: true})
			servers.Need(t, err)
			t.Cleanup(func() { stop(t, g.Stop) })
			s := sweep{gitea: g, proxy: startCutter(t, g.Host), user: newUser(t, g), open: source.open}
			s.run(t)
			t.Logf("%s: %d cuts made, %d pushes survived them, %d ended with a named error, %d damaged tags",
				source.name, s.made, s.survived, s.named, s.damaged)
		})
	}
}

// sweep is the pushes of one kind of source, each with its cut.
type sweep struct {
	gitea *servers.Gitea
	proxy *cutter
	user  string
	open  func(t *testing.T, seed byte) *image.Source

	made, survived, named, damaged int
}

func (s *sweep) run(t *testing.T) {
	t.Helper()
	s.proxy.arm(-1, cutReset)
	if _, err := s.push(t, positions, "clean"); err != nil {
		t.Fatal(err)
	}
	total, _ := s.proxy.count()
	for i := range positions {
		s.cut(t, byte(i), total*int64(i)/positions, cut(i)%cuts)
	}
	if s.made < positions*9/10 {
		t.Errorf("only %d of %d pushes were cut", s.made, positions)
	}
}

// cut makes one push with a cut, and checks what came of it.
func (s *sweep) cut(t *testing.T, seed byte, at int64, kind cut) {
	t.Helper()
	tag := "t" + strconv.Itoa(int(seed))
	s.proxy.arm(at, kind)
	result, err := s.push(t, seed, tag)
	if _, done := s.proxy.count(); done {
		s.made++
	}
	s.proxy.arm(-1, cutReset)
	held, failed := s.held(t, tag), err
	switch {
	case err == nil:
		s.survived++
		s.want(t, kind, at, held, result.Digest)
	case client.Diagnose(err).Cause == "":
		t.Errorf("%s at %d: no cause is named for %v", kind, at, err)
	default:
		s.named++
	}
	again, err := s.push(t, seed, tag)
	if err != nil {
		t.Errorf("%s at %d: the next push: %v", kind, at, err)
		return
	}
	if failed != nil && held != "" {
		s.want(t, kind, at, held, again.Digest)
	}
	s.want(t, kind, at, s.held(t, tag), again.Digest)
}

// want compares what a tag leads to with the image's manifest.
func (s *sweep) want(t *testing.T, kind cut, at int64, held, want digest.Digest) {
	t.Helper()
	if held != want {
		s.damaged++
		t.Errorf("%s at %d: the tag leads to %q, want %s", kind, at, held, want)
	}
}

// push makes one push through the proxy, with connections of its own.
func (s *sweep) push(t *testing.T, seed byte, tag string) (client.Result, error) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := client.New(client.RegistryConfig{URL: "http://" + s.proxy.Host, Auth: userAuth(s.user)}, &client.Options{
		Transport: transport,
		Backoff:   func(int) time.Duration { return 0 },
	})
	servers.Need(t, err)
	source := s.open(t, seed)
	var result client.Result
	err = c.Push(t.Context(), s.user+"/app:"+tag, client.PushOptions{Source: source, Result: &result})
	return result, errors.Join(err, source.Close())
}

// held asks Gitea itself, without our client, what the tag leads to: every blob
// of it is read and compared with its digest. Nothing is the empty string.
func (s *sweep) held(t *testing.T, tag string) digest.Digest {
	t.Helper()
	base := "/v2/" + s.user + "/app/"
	manifest := s.read(t, base+"manifests/"+tag)
	if manifest == nil {
		return ""
	}
	s.whole(t, base, manifest)
	return digest.FromBytes(manifest)
}

// whole reads all that a manifest or index names.
func (s *sweep) whole(t *testing.T, base string, manifest []byte) {
	t.Helper()
	type descriptor struct{ Digest digest.Digest }
	named := decode[struct {
		Config            descriptor
		Layers, Manifests []descriptor
	}](t, manifest)
	for _, d := range named.Manifests {
		s.whole(t, base, s.verified(t, base+"manifests/", d.Digest))
	}
	if named.Config.Digest != "" {
		s.verified(t, base+"blobs/", named.Config.Digest)
	}
	for _, d := range named.Layers {
		s.verified(t, base+"blobs/", d.Digest)
	}
}

func (s *sweep) verified(t *testing.T, base string, d digest.Digest) []byte {
	t.Helper()
	data := s.read(t, base+d.String())
	if got := digest.FromBytes(data); got != d {
		s.damaged++
		t.Errorf("%s holds %s", base+d.String(), got)
	}
	return data
}

// read is nil where there is nothing.
func (s *sweep) read(t *testing.T, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.gitea.URL+path, http.NoBody)
	servers.Need(t, err)
	req.SetBasicAuth(s.user, servers.AdminPassword)
	resp, err := s.gitea.Client().Do(req)
	servers.Need(t, err)
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	servers.Need(t, err)
	switch resp.StatusCode {
	case http.StatusOK:
		return body.Bytes()
	case http.StatusNotFound:
	default:
		t.Errorf("GET %s: %s: %s", path, resp.Status, body.Bytes())
	}
	return nil
}

// opened makes a failure to open a source the test's.
func opened(t *testing.T) func(*image.Source, error) *image.Source {
	t.Helper()
	return func(s *image.Source, err error) *image.Source {
		t.Helper()
		servers.Need(t, err)
		return s
	}
}

// dockerArchive is an image of one layer of about size bytes, as `docker save` wrote it before 25.0.
func dockerArchive(t *testing.T, seed byte, size int) []byte {
	t.Helper()
	layer := tarOf(file{"a", content(seed, size)})
	config, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": "amd64",
		"rootfs": map[string]any{"type": "layers", "diff_ids": []digest.Digest{digest.FromBytes(layer)}},
	})
	servers.Need(t, err)
	name := digest.FromBytes(config).Encoded() + ".json"
	index, err := json.Marshal([]map[string]any{{"Config": name, "Layers": []string{"1/layer.tar"}}})
	servers.Need(t, err)
	return tarOf(file{"1/layer.tar", layer}, file{name, config}, file{"manifest.json", index})
}
