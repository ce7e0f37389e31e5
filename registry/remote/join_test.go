package remote_test

import (
	"errors"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// parted starts a registry with the two images of an index as alice/one:amd64
// and alice/one:arm64.
func parted(t *testing.T, config registrytest.Config) (*registrytest.Server, *remote.Client, []ocispec.Descriptor) {
	t.Helper()
	_, reader, content := holding(t, registrytest.Config{})
	srv := registrytest.Start(t, config)
	c := clientOf(t, srv, remote.Options{})
	for _, arch := range []string{"amd64", "arm64"} {
		if _, err := copied(t, reader, c, "alice/one:"+arch, registry.PushOptions{Platform: "linux/" + arch}); err != nil {
			t.Fatal(err)
		}
	}
	return srv, c, content
}

func members(references ...string) (all []remote.Member) {
	for _, reference := range references {
		all = append(all, remote.Member{Repository: "alice/one", Reference: reference})
	}
	return all
}

// Two images of one repository take eight requests with the token, give the same
// index in any order, and outlive their tags.
func TestJoinInOneRepository(t *testing.T) {
	t.Parallel()
	srv, _, content := parted(t, registrytest.Config{})
	var indexes []string
	for i, references := range [][]string{{"amd64", "arm64"}, {"arm64", "amd64", "amd64"}} {
		srv.Registry.ResetLog()
		c := clientOf(t, srv, remote.Options{})
		result, err := c.Join(t.Context(), "alice/one:all", members(references...), remote.JoinOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(srv.Registry.Log()); i == 0 && (n != 8 || result.Requests != 8) {
			t.Errorf("%d requests, and the result says %d", n, result.Requests)
		}
		data, _, _ := srv.Registry.Manifest("alice/one", "all")
		indexes = append(indexes, string(data))
	}
	if indexes[0] != indexes[1] || !strings.Contains(indexes[0], `"architecture":"arm64"`) {
		t.Errorf("the indexes are\n%s\n%s", indexes[0], indexes[1])
	}
	c := clientOf(t, srv, remote.Options{})
	for _, tag := range []string{"amd64", "arm64"} {
		if err := c.Delete(t.Context(), "alice/one", tag); err != nil {
			t.Fatal(err)
		}
	}
	for _, child := range []ocispec.Descriptor{content[1], content[4]} {
		if _, _, ok := srv.Registry.Manifest("alice/one", child.Digest.String()); !ok {
			t.Errorf("%s went with its tag", child.Digest)
		}
	}
}

// Images of other repositories are mounted, those of other registries arrive
// byte for byte.
func TestJoinFromElsewhere(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]registrytest.Config{"Gitea": {}, "distribution": {Flavor: registrytest.Distribution}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, reader, content := parted(t, config)
			result, err := reader.Join(t.Context(), "alice/all:1", members("amd64", "arm64"), remote.JoinOptions{Tags: []string{"2"}})
			if err != nil || result.BytesSent > 0 || len(result.Tags) != 2 {
				t.Errorf("within the registry: %v, %+v", err, result)
			}
			to := registrytest.Start(t, registrytest.Config{})
			elsewhere := members("amd64", "arm64")
			for i := range elsewhere {
				elsewhere[i].Client = reader
			}
			_, err = clientOf(t, to, remote.Options{}).Join(t.Context(), "alice/all:1", elsewhere, remote.JoinOptions{Annotations: map[string]string{"org.opencontainers.image.version": "1"}})
			if err != nil {
				t.Fatal(err)
			}
			index, mediaType, _ := to.Registry.Manifest("alice/all", "1")
			if mediaType != ocispec.MediaTypeImageIndex || !strings.Contains(string(index), `"org.opencontainers.image.version":"1"`) {
				t.Errorf("%s %s", mediaType, index)
			}
			for _, d := range content[1:] {
				if _, blob := to.Registry.HasBlob("alice/all", d.Digest); !blob {
					if _, _, manifest := to.Registry.Manifest("alice/all", d.Digest.String()); !manifest {
						t.Errorf("it lacks %s %s", d.MediaType, d.Digest)
					}
				}
			}
			// An index gives what it names.
			result, err = clientOf(t, to, remote.Options{}).Join(t.Context(), "alice/again:1", []remote.Member{{Repository: "alice/all", Reference: "1"}}, remote.JoinOptions{})
			if err != nil || result.BytesSent > 0 {
				t.Errorf("an index: %v, %+v", err, result)
			}
		})
	}
}

func TestJoinRefuses(t *testing.T) {
	t.Parallel()
	srv, c, _ := parted(t, registrytest.Config{})
	if _, err := c.Join(t.Context(), "alice/one:all", members("amd64", "none"), remote.JoinOptions{}); !errors.Is(err, registry.ErrManifestUnknown) {
		t.Error(err)
	}
	if _, err := c.Join(t.Context(), "alice/one:all", nil, remote.JoinOptions{}); !errors.Is(err, image.ErrNotImage) {
		t.Error(err)
	}
	archive, id := saved(t, true, layerOf(t, 500))
	if err := clientOf(t, srv, remote.Options{Save: save(archive)}).Push(t.Context(), "alice/one:other", registry.PushOptions{ImageID: id}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Join(t.Context(), "alice/one:all", members("amd64", "other"), remote.JoinOptions{})
	if !errors.Is(err, image.ErrAmbiguous) || !strings.Contains(err.Error(), "two images are for linux/amd64") {
		t.Error(err)
	}
	if _, _, ok := srv.Registry.Manifest("alice/one", "all"); ok {
		t.Error("there is an index")
	}
}
