package remote_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// holding starts a registry with an index of two platforms as alice/app:1.
func holding(t *testing.T, config registrytest.Config) (*registrytest.Server, *remote.Client, []ocispec.Descriptor) {
	t.Helper()
	srv := registrytest.Start(t, config)
	archive, content := multi(t)
	c := clientOf(t, srv, remote.Options{Save: save(archive)})
	if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{ImageID: content[0].Digest}); err != nil {
		t.Fatal(err)
	}
	srv.Registry.ResetLog()
	return srv, c, content
}

// copied copies alice/app:1 of one registry to an image of another.
func copied(t *testing.T, from, to *remote.Client, destination string, opts registry.PushOptions) (registry.Result, error) {
	t.Helper()
	source, err := from.Source(t.Context(), "alice/app", "1", &image.Options{Platform: opts.Platform})
	if err != nil {
		return registry.Result{}, err
	}
	defer source.Close()
	var result registry.Result
	opts.Source, opts.Result = source, &result
	return result, to.Push(t.Context(), destination, opts)
}

// same compares what two repositories hold of an image, byte for byte.
func same(t *testing.T, from, to *registrytest.Server, repository string, content []ocispec.Descriptor) {
	t.Helper()
	for _, d := range content {
		var want, got []byte
		if strings.Contains(d.MediaType, "manifest.v") || strings.Contains(d.MediaType, "index.v") {
			want, _, _ = from.Registry.Manifest("alice/app", d.Digest.String())
			got, _, _ = to.Registry.Manifest(repository, d.Digest.String())
		} else if _, ok := to.Registry.HasBlob(repository, d.Digest); ok {
			want, _ = from.Registry.Blob(d.Digest)
			got, _ = to.Registry.Blob(d.Digest)
		}
		if len(want) == 0 || string(got) != string(want) || digest.FromBytes(got) != d.Digest {
			t.Errorf("%s %s: %d bytes, want %d", d.MediaType, d.Digest, len(got), len(want))
		}
	}
}

// An image of one registry arrives in another one byte for byte, whatever
// happens to the connections on both sides.
func TestSourceOfAnotherRegistry(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]registrytest.Config{"Gitea": {}, "distribution": {Flavor: registrytest.Distribution}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, reader, content := holding(t, config)
			to := registrytest.Start(t, registrytest.Config{})
			writer := clientOf(t, to, remote.Options{})
			from.Registry.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/blobs/", Times: 3, Action: breakOff(true)})
			to.Registry.Fault(registrytest.Rule{Method: http.MethodPost, Path: "/uploads/", Times: 2, Action: registrytest.Cut{After: 10}})
			result, err := copied(t, reader, writer, "alice/copy:2", registry.PushOptions{})
			if err != nil || result.Digest != content[0].Digest {
				t.Fatal(err, result)
			}
			same(t, from, to, "alice/copy", content)
			for _, e := range from.Registry.Log() {
				if e.Method != http.MethodGet {
					t.Errorf("the source got %s %s", e.Method, e.Path)
				}
			}
		})
	}
}

func TestSourceOfOnePlatform(t *testing.T) {
	t.Parallel()
	from, reader, content := holding(t, registrytest.Config{})
	to := registrytest.Start(t, registrytest.Config{})
	result, err := copied(t, reader, clientOf(t, to, remote.Options{}), "alice/copy:2", registry.PushOptions{Platform: "linux/arm64"})
	if err != nil || result.Digest != content[4].Digest {
		t.Fatal(err, result.Digest, content)
	}
	same(t, from, to, "alice/copy", content[4:])
}

// Nothing of a blob is read or sent within one registry.
func TestSourceOfTheSameRegistry(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]registrytest.Config{"Gitea": {}, "distribution": {Flavor: registrytest.Distribution}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, c, content := holding(t, config)
			result, err := copied(t, c, c, "alice/copy:2", registry.PushOptions{MountFrom: "alice/app"})
			if err != nil || result.Digest != content[0].Digest || result.BytesSent > 0 {
				t.Fatal(err, result)
			}
			same(t, srv, srv, "alice/copy", content)
			for _, e := range srv.Registry.Log() {
				if e.Method == http.MethodGet && strings.Contains(e.Path, "/blobs/") {
					t.Errorf("it read %s", e.Path)
				}
			}
		})
	}
}

// A registry that lost a part of an image, or gives other bytes, is no source:
// nothing is tagged.
func TestSourceThatIsNotWhole(t *testing.T) {
	t.Parallel()
	_, _, content := holding(t, registrytest.Config{})
	for i, lost := range content[1:] {
		for _, forged := range []bool{false, true} {
			from, reader, _ := holding(t, registrytest.Config{})
			rule := registrytest.Rule{Method: http.MethodGet, Path: lost.Digest.String(), Action: registrytest.EmptyError(http.StatusNotFound)}
			if forged {
				rule.Action = registrytest.ActionFunc(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
					w.Header().Set("Content-Type", lost.MediaType)
					_, _ = w.Write(make([]byte, lost.Size))
				})
			}
			from.Registry.Fault(rule)
			to := registrytest.Start(t, registrytest.Config{})
			_, err := copied(t, reader, clientOf(t, to, remote.Options{Retries: 1}), "alice/copy:2", registry.PushOptions{})
			if err == nil || !strings.Contains(err.Error(), lost.Digest.Encoded()[:12]) {
				t.Errorf("%d, forged %v: %v", i, forged, err)
			}
			if tags := to.Registry.Tags("alice/copy"); len(tags) > 0 {
				t.Errorf("%d, forged %v: the tags are %q", i, forged, tags)
			}
		}
	}
	_, reader, _ := holding(t, registrytest.Config{})
	if _, err := reader.Source(t.Context(), "alice/app", "none", nil); !errors.Is(err, registry.ErrManifestUnknown) {
		t.Error(err)
	}
}

// A tag takes two requests after the token, and leads to the same bytes.
func TestTag(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]registrytest.Config{"Gitea": {}, "Forgejo": {Flavor: registrytest.Forgejo}, "distribution": {Flavor: registrytest.Distribution}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, _, content := holding(t, config)
			for reference, tags := range map[string][]string{"1": {"new"}, content[0].Digest.String(): {"2", "2.1"}} {
				srv.Registry.ResetLog()
				result, err := clientOf(t, srv, remote.Options{}).Tag(t.Context(), "alice/app", reference, tags, remote.TagOptions{})
				if err != nil || result.Digest != content[0].Digest || len(result.Tags) != len(tags) {
					t.Fatal(err, result)
				}
				n := 0
				for _, e := range srv.Registry.Log() {
					if strings.Contains(e.Path, "/manifests/") {
						n++
					}
				}
				if n != 1+len(tags) {
					t.Errorf("%s to %q: %d requests for manifests", reference, tags, n)
				}
				want, _, _ := srv.Registry.Manifest("alice/app", "1")
				for _, tag := range tags {
					if got, _, _ := srv.Registry.Manifest("alice/app", tag); string(got) != string(want) {
						t.Errorf("%s is another manifest", tag)
					}
				}
			}
		})
	}
}

func TestTagRefuses(t *testing.T) {
	t.Parallel()
	srv, c, _ := holding(t, registrytest.Config{})
	if _, err := c.Tag(t.Context(), "alice/app", "none", []string{"2"}, remote.TagOptions{}); !errors.Is(err, registry.ErrManifestUnknown) {
		t.Error(err)
	}
	for _, tags := range [][]string{{}, {"a b"}, {"2", "feature/x"}} {
		if _, err := c.Tag(t.Context(), "alice/app", "1", tags, remote.TagOptions{}); !errors.Is(err, registry.ErrNameInvalid) {
			t.Errorf("%q: %v", tags, err)
		}
	}
	srv.Registry.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/manifests/", Action: registrytest.ActionFunc(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Docker-Content-Digest", digest.FromString("another").String())
		_, _ = w.Write([]byte(`{"schemaVersion":2,"manifests":[]}`))
	})})
	if _, err := c.Tag(t.Context(), "alice/app", "1", []string{"2"}, remote.TagOptions{}); !errors.Is(err, registry.ErrDigestMismatch) {
		t.Error(err)
	}
	if tags := srv.Registry.Tags("alice/app"); len(tags) != 1 {
		t.Errorf("the tags are %q", tags)
	}
}
