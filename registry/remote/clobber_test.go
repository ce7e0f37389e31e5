package remote_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// A tag that stands at another image is not moved where that is not wanted, by
// whatever sets tags, and nothing is sent. One that stands at the image already, and
// a new one, are none of that.
func TestNoClobber(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]registrytest.Config{"Gitea": {}, "distribution": {Flavor: registrytest.Distribution}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, reader, _ := holding(t, registrytest.Config{})
			srv, c, content := holding(t, config)
			if _, err := copied(t, reader, c, "alice/app:amd64", registry.PushOptions{Platform: "linux/amd64"}); err != nil {
				t.Fatal(err)
			}
			ways := map[string]func(tag string) error{
				"push": func(tag string) error {
					_, err := copied(t, reader, clientOf(t, srv, remote.Options{}), "alice/app:"+tag, registry.PushOptions{NoClobber: true})
					return err
				},
				"tag": func(tag string) error {
					_, err := c.Tag(t.Context(), "alice/app", "1", []string{tag}, remote.TagOptions{NoClobber: true})
					return err
				},
				"join": func(tag string) error {
					_, err := c.Join(t.Context(), "alice/app:"+tag, []remote.Member{{Repository: "alice/app", Reference: "1"}}, remote.JoinOptions{NoClobber: true})
					return err
				},
			}
			for way, do := range ways {
				srv.Registry.ResetLog()
				err := do("amd64")
				var clobbered *registry.TagError
				if !errors.As(err, &clobbered) || !errors.Is(err, registry.ErrTagExists) || clobbered.Tag != "amd64" || clobbered.Present == clobbered.Wanted || clobbered.Wanted == "" {
					t.Errorf("%s to a tag of another image: got %v", way, err)
				}
				for _, e := range srv.Registry.Log() {
					if e.Method != http.MethodGet && e.Method != http.MethodHead {
						t.Errorf("%s sent %s %s", way, e.Method, e.Path)
					}
				}
				if err := do("new-" + way); err != nil {
					t.Errorf("%s to a new tag: %v", way, err)
				}
				if err := do("new-" + way); err != nil {
					t.Errorf("%s to its own tag: %v", way, err)
				}
			}
			if _, err := copied(t, reader, c, "alice/app:1", registry.PushOptions{NoClobber: true}); err != nil || content[0].Digest == "" {
				t.Errorf("to the same image: %v", err)
			}
		})
	}
}

// An archive with raw layers is known by its config: what the registry has of it
// under the tag is the image, and another is not.
func TestNoClobberOfRawLayers(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	var files []string
	for _, layer := range []string{"one", "two"} {
		archive, _ := saved(t, false, pack(t, entry{layer, []byte(layer)}))
		file := filepath.Join(t.TempDir(), "image.tar")
		if err := os.WriteFile(file, archive, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	one, two := files[0], files[1]
	push := func(file string, opts registry.PushOptions) error {
		source, err := image.Open(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		opts.Source = source
		return clientOf(t, srv, remote.Options{}).Push(t.Context(), "alice/app:1", opts)
	}
	for range 2 {
		if err := push(one, registry.PushOptions{NoClobber: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := push(two, registry.PushOptions{NoClobber: true}); !errors.Is(err, registry.ErrTagExists) {
		t.Errorf("got %v", err)
	}
	if err := push(two, registry.PushOptions{}); err != nil {
		t.Error(err)
	}
}
