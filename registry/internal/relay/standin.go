package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/content"
)

// A classic store does not know the digests of its compressed layers. If it has pushed
// a layer before, it asks for the digest of that time. It compresses any other layer, on
// one processor, while it sends it, and tells the digest at the end. So a layer that an export took to the registry would be
// compressed and sent once more when the daemon pushes.
//
// It need not be. The relay takes the beginning of a layer, recognises by it
// a layer that it saw before, and breaks off if the registry has that: the
// daemon then names the layer by the digest of what it has sent, which stands
// in for the real one. Which layer a stand-in is for, its place in the manifest
// tells; the manifest for the registry is made with the real digests, the same
// as of an export. Layers that begin alike, or that nobody saw, are broken off
// too. If the registry turns out to lack some, the daemon is asked for them in a
// second push. There, and in every push to come, the others are found by their
// stand-ins.
type standIns struct {
	relay *Relay
	// cached is what the cache knows of the image's layers, by diff ID.
	cached map[digest.Digest]cache.Layer
	// known gives the layers that the registry has, by diff ID; it asks once.
	known func() (map[digest.Digest]ocispec.Descriptor, error)

	// mu guards the field below.
	mu sync.Mutex
	// off: layers are wanted whole.
	off bool
}

// standInHead is how much of a layer is taken. A shorter layer is whole; of a
// longer one, this holds [content.BeginningSize] bytes, uncompressed.
const standInHead = 64 << 10

func newStandIns(ctx context.Context, r *Relay) *standIns {
	s := &standIns{relay: r, cached: map[digest.Digest]cache.Layer{}}
	for _, diffID := range r.DiffIDs {
		if entry, found := r.Cache.Layer(diffID, r.Form); found {
			s.cached[diffID] = entry
			r.digests.change(entry.Digest, func(b *blob) { b.before = true })
		}
	}
	s.known = sync.OnceValues(func() (map[digest.Digest]ocispec.Descriptor, error) { return s.ask(ctx) })
	return s
}

// prepare asks before the daemon has begun to send, where it may send what the
// registry has: it would compress some MiB of each layer in the meantime.
func (s *standIns) prepare() {
	for diffID := range s.cached {
		if !s.relay.Cache.Taught(s.relay.repository, diffID) {
			_, _ = s.known() // who needs the answer gets it, or the error
			return
		}
	}
}

// ask finds out which layers the registry has in the form that the cache knows.
func (s *standIns) ask(ctx context.Context) (map[digest.Digest]ocispec.Descriptor, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(registry.DefaultJobs)
	var mu sync.Mutex // guards known
	known := map[digest.Digest]ocispec.Descriptor{}
	for diffID, entry := range s.cached {
		group.Go(func() error {
			exists, err := s.relay.to.Mount(ctx, entry.Digest)
			if err != nil || !exists {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			known[diffID] = ocispec.Descriptor{Digest: entry.Digest, Size: entry.Size}
			return nil
		})
	}
	return known, group.Wait()
}

// find gives the layer that a digest stands in for, if that is known and the
// registry has it. A daemon also asks for what it has just sent.
func (s *standIns) find(d digest.Digest) (ocispec.Descriptor, error) {
	if s.fresh(d) {
		return ocispec.Descriptor{Digest: d, Size: standInHead}, nil
	}
	diffIDs := s.relay.Cache.StandsFor(s.relay.repository, d)
	if len(diffIDs) == 0 {
		return ocispec.Descriptor{}, nil
	}
	known, err := s.known()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, diffID := range diffIDs { // several layers may begin alike
		if _, found := known[diffID]; !found {
			return ocispec.Descriptor{}, nil
		}
	}
	return known[diffIDs[0]], nil
}

// fresh reports a stand-in whose layer the manifest has not told yet.
func (s *standIns) fresh(d digest.Digest) bool { return s.relay.digests.get(d).standIn && !s.isOff() }

func (s *standIns) isOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.off
}

// mayBe reports whether a layer with this beginning ("" if unknown) could be one
// that the registry has.
func (s *standIns) mayBe(begins digest.Digest) bool {
	if s.isOff() {
		return false
	}
	candidates := slices.DeleteFunc(slices.Collect(maps.Keys(s.cached)), func(diffID digest.Digest) bool {
		if known := s.relay.Cache.Beginning(diffID); known != "" && begins != "" {
			return known != begins
		}
		return s.relay.Cache.Taught(s.relay.repository, diffID) // it would not be sent
	})
	if len(candidates) == 0 {
		return false
	}
	known, err := s.known()
	return err == nil && slices.ContainsFunc(candidates, func(diffID digest.Digest) bool {
		_, found := known[diffID]
		return found
	})
}

// beginning is the digest of the first bytes of a raw layer. data is the beginning of
// the compressed layer; if it is too short, beginning is empty.
func beginning(data []byte) digest.Digest {
	raw := make([]byte, content.BeginningSize)
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		_, err = io.ReadFull(z, raw)
	}
	if err != nil {
		return ""
	}
	return digest.FromBytes(raw)
}

// head reads the beginning of a layer, and reports whether that is all.
func head(body io.Reader) (data []byte, whole bool, err error) {
	data = make([]byte, standInHead)
	n, err := io.ReadFull(body, data)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return data[:n], true, nil
	case err != nil:
		return nil, false, err
	}
	return data, !bytes.HasPrefix(data, []byte{0x1f, 0x8b}), nil // a config is no gzip
}

// breakOff answers a request before all of its body was read, and lets the rest go
// by.
func breakOff(w http.ResponseWriter, req *http.Request, location, id string) error {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // both sides are done with it
	stop := context.AfterFunc(req.Context(), func() { _ = conn.Close() })
	defer stop()
	resp := &http.Response{
		StatusCode: http.StatusAccepted, ProtoMajor: 1, ProtoMinor: 1, Close: true, Request: req,
		Header: http.Header{"Location": {location}, "Docker-Upload-Uuid": {id}, "Range": {"0-0"}},
	}
	if err := errors.Join(resp.Write(buffered), buffered.Flush()); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, conn) // until the daemon hangs up
	return nil
}

// resolve puts the real layers into a manifest of the daemon's. again asks for
// one more push, with the layers that are lacking. Which layer is which, the
// config tells, whose digest is the ID of the image.
func (s *standIns) resolve(ctx context.Context, m image.Manifest) (resolved image.Manifest, again bool, err error) {
	if !s.uses(m.References) {
		return m, false, nil
	}
	if m.References[0].Digest != s.relay.ImageID {
		return m, false, errOtherImage
	}
	layers, err := s.relay.Layers(ctx, m)
	if err != nil {
		return m, false, err
	}
	known, err := s.known()
	if err != nil {
		return m, false, err
	}
	var sent []image.Sent
	for _, layer := range layers {
		real, found := known[layer.DiffID]
		if passed := s.relay.digests.get(layer.Digest); passed.whole && !found {
			real, found = ocispec.Descriptor{Digest: layer.Digest, Size: passed.size}, true
		}
		s.relay.Cache.KeepStandsFor(s.relay.repository, layer.Digest, layer.DiffID)
		if !found {
			again = true
			continue
		}
		s.relay.exists(real)
		sent = append(sent, image.Sent{Digest: real.Digest, Size: real.Size, DiffID: layer.DiffID})
	}
	if again {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.off = true
		return m, true, nil
	}
	resolved, err = m.WithLayers(sent)
	return resolved, false, err
}

// errOtherImage ends a push in which the daemon does not send what was asked for.
var errOtherImage = errors.New("the daemon pushed another image")

// uses reports whether a layer is named by a stand-in.
func (s *standIns) uses(layers []ocispec.Descriptor) bool {
	for _, layer := range layers {
		if s.relay.digests.get(layer.Digest).standIn || len(s.relay.Cache.StandsFor(s.relay.repository, layer.Digest)) > 0 {
			return true
		}
	}
	return false
}
