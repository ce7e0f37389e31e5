package remote_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// dockerTypes makes an OCI layout of manifests one of Docker's.
const dockerTypes = "application/vnd.docker."

// blobsOf writes a layout with these documents and blobs; its index names root.
func blobsOf(t *testing.T, root ocispec.Descriptor, blobs ...[]byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": encode(t, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{root}})}
	for _, b := range blobs {
		files["blobs/sha256/"+digest.FromBytes(b).Encoded()] = b
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A registry that takes OCI's media types alone gets Docker's converted; elsewhere
// they stay what they are, whatever was pushed before.
func TestOCIOnly(t *testing.T) {
	t.Parallel()
	layer := gzipped(t, layerOf(t, 1000))
	described := func(mediaType string, data []byte) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: dockerTypes + mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	}
	config := encode(t, ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layerOf(t, 1000))}}})
	manifest := encode(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: dockerTypes + "distribution.manifest.v2+json",
		Config: described("container.image.v1+json", config), Layers: []ocispec.Descriptor{described("image.rootfs.diff.tar.gzip", layer)},
	})
	child := described("distribution.manifest.v2+json", manifest)
	child.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
	list := encode(t, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: dockerTypes + "distribution.manifest.list.v2+json", Manifests: []ocispec.Descriptor{child}})
	for name, root := range map[string]ocispec.Descriptor{"manifest": child, "list": described("distribution.manifest.list.v2+json", list)} {
		dir := blobsOf(t, root, layer, config, manifest, list)
		cache := t.TempDir()
		push := func(srv *registrytest.Server, tag string, verify bool) (registry.Result, string) {
			source, err := image.Open(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			var result registry.Result
			var notes []string
			if err := clientOf(t, srv, remote.Options{CacheDir: cache}).Push(t.Context(), "alice/app:"+tag, registry.PushOptions{Source: source, Result: &result, Verify: verify, Progress: func(e registry.Event) {
				if e.Note != "" {
					notes = append(notes, e.Note)
				}
			}}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return result, strings.Join(notes, "\n")
		}
		strict := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution, OCIOnly: true})
		for i, tag := range []string{"1", "1", "2", "3"} {
			result, notes := push(strict, tag, i == 3)
			data, mediaType, _ := strict.Registry.Manifest("alice/app", tag)
			if strings.Contains(string(data), "vnd.docker") || strings.Contains(mediaType, "vnd.docker") {
				t.Errorf("%s: the registry got %s %s", name, mediaType, data)
			}
			if result.Digest != digest.FromBytes(data) || result.MediaType != mediaType {
				t.Errorf("%s: the result says %s %s, the registry has %s %s", name, result.MediaType, result.Digest, mediaType, digest.FromBytes(data))
			}
			if strings.Count(notes, "OCI media types alone") != 1 {
				t.Errorf("%s: got the notes %q", name, notes)
			}
		}
		plain := registrytest.Start(t, registrytest.Config{})
		if result, _ := push(plain, "1", false); result.Digest != root.Digest {
			t.Errorf("%s: another registry got %s %s, want %s", name, result.MediaType, result.Digest, root.Digest)
		}
	}
}

// What refers to another manifest can be found where the registry has no API for
// that, whatever was listed before.
func TestReferrersTag(t *testing.T) {
	t.Parallel()
	subject := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("subject"), Size: 7}
	tag := "sha256-" + subject.Digest.Encoded()
	attachment := func(n string) (string, digest.Digest) {
		m := encode(t, ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/vnd.example.sbom", Subject: &subject,
			Config: ocispec.DescriptorEmptyJSON, Layers: []ocispec.Descriptor{ocispec.DescriptorEmptyJSON}, Annotations: map[string]string{"n": n},
		})
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(m), Size: int64(len(m))}
		return blobsOf(t, d, m, []byte("{}")), d.Digest
	}
	for _, flavor := range []registrytest.Flavor{registrytest.Gitea, registrytest.Distribution} {
		srv := registrytest.Start(t, registrytest.Config{Flavor: flavor, Users: me})
		c := clientOf(t, srv, remote.Options{})
		listed := func() []digest.Digest {
			data, _, _ := srv.Registry.Manifest("me/app", tag)
			var index ocispec.Index
			if data != nil && json.Unmarshal(data, &index) != nil {
				t.Fatalf("%s", data)
			}
			var all []digest.Digest
			for _, d := range index.Manifests {
				if d.ArtifactType != "application/vnd.example.sbom" || d.Annotations["n"] == "" {
					t.Errorf("listed as %+v", d)
				}
				all = append(all, d.Digest)
			}
			return all
		}
		first, a := attachment("1")
		second, b := attachment("2")
		for tag, dir := range map[string]string{"a": first, "b": second} { // Gitea forgets what has no tag any more
			if err := push(t, c, dir, registry.PushOptions{Tags: []string{tag}}); err != nil {
				t.Fatal(err)
			}
			if err := push(t, c, dir, registry.PushOptions{Tags: []string{tag}}); err != nil { // it is listed once
				t.Fatal(err)
			}
		}
		got, want := listed(), []digest.Digest{a, b}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%v: got %v, want %v", flavor, got, want)
		}
	}
	// A registry that has the API says so.
	srv := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution, Users: me})
	srv.Registry.Fault(registrytest.Rule{Method: http.MethodPut, Path: "/manifests/", Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		w.Header().Set("OCI-Subject", subject.Digest.String())
		next.ServeHTTP(w, req)
	})})
	dir, _ := attachment("3")
	if err := push(t, clientOf(t, srv, remote.Options{}), dir, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, found := srv.Registry.Manifest("me/app", tag); found {
		t.Error("a registry with the API got the tag as well")
	}
}
