//go:build e2e

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"strconv"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// subject is a kind of source that the fault suite pushes from. Each of its
// images has a number, and no blob with another in common.
type subject struct {
	name string
	// share of the usual number of positions, for a subject that takes longer.
	share float64
	// offer opens image n.
	offer func(t *testing.T, n int) offer
}

// offer is an image for one push.
type offer struct {
	options client.PushOptions
	save    image.SaveFunc
	// close is called after the push.
	close func() error
}

// The sizes of layers: one that is sent in a request with its digest, and one
// that is sent while it is still being compressed.
const (
	smallLayer = 40_000
	largeLayer = 5 << 20
)

var atRest = []subject{
	{"an OCI layout", 1, func(t *testing.T, n int) offer {
		t.Helper()
		return opened(t)(image.Open(samples.Layout(t, byte(n), smallLayer+n), nil))
	}},
	{"an OCI layout, in chunks", 1, func(t *testing.T, n int) offer {
		t.Helper()
		o := opened(t)(image.Open(samples.Layout(t, byte(n), smallLayer+n), nil))
		o.options.ChunkSize = smallLayer / 3
		return o
	}},
	{"an archive in a file", 1, func(t *testing.T, n int) offer {
		t.Helper()
		path := filepath.Join(t.TempDir(), "image.tar")
		samples.WriteFile(t, path, samples.DockerArchive(t, byte(n), smallLayer+n))
		return opened(t)(image.Open(path, nil))
	}},
	{"an archive on standard input", 1, func(t *testing.T, n int) offer {
		t.Helper()
		return opened(t)(image.Read(bytes.NewReader(samples.DockerArchive(t, byte(n), smallLayer+n)), "standard input", nil))
	}},
	{"a large archive on standard input", 0.2, func(t *testing.T, n int) offer {
		t.Helper()
		return opened(t)(image.Read(bytes.NewReader(samples.DockerArchive(t, byte(n), largeLayer+n)), "standard input", nil))
	}},
}

// opened makes a failure to open a source the test's.
func opened(t *testing.T) func(*image.Source, error) offer {
	t.Helper()
	return func(s *image.Source, err error) offer {
		t.Helper()
		servers.Need(t, err)
		return offer{options: client.PushOptions{Source: s}, close: s.Close}
	}
}

// inDaemon are the ways out of a daemon, which is given images 0 to n-1.
func inDaemon(t *testing.T, store servers.Store, e *servers.Engine, n int) []subject {
	t.Helper()
	load(t, e, n)
	d, err := daemon.Connect(t.Context(), daemon.Endpoint{Host: e.Host()})
	servers.Need(t, err)
	t.Cleanup(d.Close)
	ask := func(t *testing.T, n int) offer {
		t.Helper()
		found, err := d.Image(t.Context(), numbered(n))
		servers.Need(t, err)
		return offer{
			options: client.PushOptions{Image: found.Export, ImageID: digest.Digest(found.ID)},
			save:    func(ctx context.Context, ref string) (io.ReadCloser, error) { return d.Save(ctx, ref, "") },
			close:   func() error { return nil },
		}
	}
	return []subject{
		{"the " + string(store) + " store, exported", 0.5, ask},
		{"the " + string(store) + " store, pushed by the daemon", 0.5, func(t *testing.T, n int) offer {
			t.Helper()
			o := ask(t, n)
			id := o.options.ImageID.String()
			o.options.Via = func(ctx context.Context, to client.Loopback) error {
				return d.PushThrough(ctx, id, "", store == servers.Containerd, to)
			}
			o.save = nil
			return o
		}},
	}
}

// numbered is the name of an image in a daemon.
func numbered(n int) string { return "numbered:" + strconv.Itoa(n) }

// load gives an engine images 0 to n-1, all in one archive.
func load(t *testing.T, e *servers.Engine, n int) {
	t.Helper()
	var files []samples.File
	var index []json.RawMessage
	for i := range n {
		parts := samples.Archived(t, byte(i), smallLayer+i, numbered(i))
		last := len(parts) - 1
		files = append(files, parts[:last]...)
		var entries []json.RawMessage
		servers.Need(t, json.Unmarshal(parts[last].Content, &entries))
		index = append(index, entries...)
	}
	path := filepath.Join(t.TempDir(), "images.tar")
	samples.WriteFile(t, path, samples.Tar(append(files, samples.File{Name: "manifest.json", Content: samples.Encoded(t, index)})...))
	servers.Need(t, e.Load(t.Context(), path))
}
