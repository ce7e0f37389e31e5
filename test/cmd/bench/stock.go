//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// What the registry that is copied from has, beside the image [toolchain].
const (
	many   = "many"
	heavy  = "heavy"
	halves = "halves"
)

// Each of many tags has a layer and a config of its own, and the same layers below
// these: 200 tags have 403 blobs.
const (
	tagsOfMany = 200
	shared     = 3
	sharedSize = 1 << 20
	ownSize    = 64 << 10
	// The heavy image has 450 MB.
	heavyLayers = 6
	heavySize   = 75_000_000
)

// stock is an OCI layout of images of noise, which nobody looks into. Layers go to the
// disk as they are made: what this program has in memory counts for every program that
// it starts.
type stock struct {
	dir   string
	index ocispec.Index
}

func newStock(dir string) (*stock, error) {
	s := &stock{dir: dir, index: ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}}}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return nil, err
	}
	return s, os.WriteFile(filepath.Join(dir, ocispec.ImageLayoutFile), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600)
}

// add adds a blob.
func (s *stock) add(mediaType string, content io.Reader) (ocispec.Descriptor, error) {
	file, err := os.CreateTemp(s.dir, "blob-")
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	sum := digest.Canonical.Digester()
	size, err := io.Copy(file, io.TeeReader(content, sum.Hash()))
	if err = errors.Join(err, file.Close()); err != nil {
		return ocispec.Descriptor{}, err
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: sum.Digest(), Size: size}
	return d, os.Rename(file.Name(), filepath.Join(s.dir, "blobs", "sha256", d.Digest.Encoded()))
}

func (s *stock) document(mediaType string, content any) (ocispec.Descriptor, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return s.add(mediaType, bytes.NewReader(data))
}

// layers are n layers, which depend on their name alone.
func (s *stock) layers(name string, n int, size int64) (all []ocispec.Descriptor, err error) {
	for i := range n {
		var seed [32]byte
		copy(seed[:], fmt.Sprint(i, name))
		d, err := s.add(ocispec.MediaTypeImageLayerGzip, io.LimitReader(rand.NewChaCha8(seed), size))
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// image adds an image of these layers under a name.
func (s *stock) image(name, arch string, layers ...ocispec.Descriptor) error {
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: arch}, RootFS: ocispec.RootFS{Type: "layers"}}
	for _, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.Digest)
	}
	described, err := s.document(ocispec.MediaTypeImageConfig, config)
	if err != nil {
		return err
	}
	root, err := s.document(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: described, Layers: layers,
	})
	root.Annotations = map[string]string{ocispec.AnnotationRefName: name}
	s.index.Manifests = append(s.index.Manifests, root)
	return err
}

// write makes all images.
func (s *stock) write() error {
	base, err := s.layers(many, shared, sharedSize)
	if err != nil {
		return err
	}
	for i := range tagsOfMany {
		own, err := s.layers(fmt.Sprint("own of ", i), 1, ownSize)
		if err == nil {
			err = s.image(fmt.Sprintf("%s:%d", many, i), "amd64", append(own, base...)...)
		}
		if err != nil {
			return err
		}
	}
	for _, arch := range []string{"amd64", "arm64"} {
		if err := s.image(halves+":"+arch, arch, base[:2]...); err != nil {
			return err
		}
	}
	large, err := s.layers(heavy, heavyLayers, heavySize)
	if err == nil {
		err = s.image(heavy+":1", "amd64", large...)
	}
	if err != nil {
		return err
	}
	index, err := json.Marshal(s.index)
	return errors.Join(err, os.WriteFile(filepath.Join(s.dir, ocispec.ImageIndexFile), index, 0o600))
}

// stocked is the registry that is copied from: distribution's, filled at its first use.
func (i *images) stocked(ctx context.Context) (*servers.Server, error) {
	if i.source != nil {
		return i.source, nil
	}
	built, err := i.get(ctx, toolchain, servers.Classic)
	if err != nil {
		return nil, err
	}
	s, err := newStock(filepath.Join(i.dir, "stock"))
	if err == nil {
		err = s.write()
	}
	if err != nil {
		return nil, err
	}
	if i.source, err = servers.StartRegistry(ctx, servers.RegistryOptions{}); err != nil {
		return nil, err
	}
	to := i.source.Host + "/stock/"
	env, err := i.source.Env(s.dir, "", "")
	for _, args := range [][]string{{"--all-images", "--to", to, s.dir}, {built.layout, to + toolchain + ":latest"}} {
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, i.ours, append([]string{"push", "--quiet"}, args...)...)
		cmd.Env = env
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("fill the registry: %w: %s", err, out)
		}
	}
	return i.source, nil
}

// stored is an image of that registry, or a repository of it, as a subject.
func (i *images) stored(ctx context.Context, name string) (subject, error) {
	s, err := i.stocked(ctx)
	if err != nil {
		return subject{}, err
	}
	tag := map[string]string{heavy: ":1", toolchain: ":latest"}[name]
	return subject{from: s.Host + "/stock/" + name + tag, authority: s.CAFile}, nil
}

// services is how many images the project has.
const services = 10

// project builds images that share their base, as the services of a compose file.
func (i *images) project(ctx context.Context, store servers.Store) (subject, error) {
	base, err := i.get(ctx, toolchain, store)
	if err != nil {
		return base, err
	}
	dir := filepath.Join(i.dir, "project-"+string(store))
	s := subject{host: base.host, compose: filepath.Join(dir, "compose.yaml")}
	var file strings.Builder
	file.WriteString("services:\n")
	for n := range services {
		name := fmt.Sprint("service", n)
		s.services = append(s.services, name)
		fmt.Fprintf(&file, "  %s: {image: %s, build: %s}\n", name, name, name)
	}
	if _, err := os.Stat(s.compose); err == nil {
		return s, nil
	}
	for _, name := range s.services {
		context := filepath.Join(dir, name)
		if err := os.MkdirAll(context, 0o755); err != nil {
			return s, err
		}
		for path, content := range map[string]string{"Dockerfile": "FROM " + base.tag + "\nCOPY own /own\n", "own": strings.Repeat(name, 10_000)} {
			if err := os.WriteFile(filepath.Join(context, path), []byte(content), 0o600); err != nil {
				return s, err
			}
		}
		if err := i.engines[store].Build(ctx, name, context); err != nil {
			return s, err
		}
	}
	return s, os.WriteFile(s.compose, []byte(file.String()), 0o600)
}
