package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// A push that sends raw layers says what compressing them would save, whichever way they
// come, and comes close to what it then does save.
func TestEstimate(t *testing.T) {
	t.Parallel()
	var mixed bytes.Buffer // a third of it compresses well
	for i := range 12 {
		mixed.Write(noise(t, byte(i), 100_000+50_000*i))
		for line := range 30_000 {
			fmt.Fprintln(&mixed, "line", line*i)
		}
	}
	for name, tc := range map[string]struct {
		raw  []byte
		told bool
	}{"much": {pack(t, entry{"file", mixed.Bytes()}), true}, "nothing": {layerOf(t, 6<<20), false}} {
		for _, form := range []image.Compression{{}, {Algorithm: image.Zstd}, {Algorithm: image.None}} {
			for _, via := range []bool{false, true} {
				t.Run(fmt.Sprint(name, " ", form, " ", via), func(t *testing.T) {
					t.Parallel()
					s := newStore(t)
					root := s.manifest(s.configFor("amd64", tc.raw), s.add(ocispec.MediaTypeImageLayer, tc.raw))
					file := filepath.Join(t.TempDir(), "image.tar")
					if err := os.WriteFile(file, s.export(root), 0o600); err != nil {
						t.Fatal(err)
					}
					srv := registrytest.Start(t, registrytest.Config{})
					pushed := func(forced bool) (sent, saved int64) {
						var result registry.Result
						opts := registry.PushOptions{Result: &result, Compression: form, ForceCompression: forced, Progress: func(e registry.Event) {
							var all int64
							_, _ = fmt.Sscanf(e.Note, "%d MB of the image are layers without compression; --force-compression would save about %d MB", &all, &saved)
						}}
						if via && !forced {
							opts.Via = func(ctx context.Context, to registry.Loopback) error {
								return s.send(root)(ctx, &holder{to, to.Password})
							}
						}
						source, err := image.Open(file, opts.ImageOptions())
						if err != nil {
							t.Fatal(err)
						}
						defer source.Close()
						if opts.Source = source; opts.Via != nil {
							opts.Source, opts.ImageID = nil, root.Digest
						}
						if err := clientOf(t, srv, remote.Options{}).Push(t.Context(), "alice/app:1", opts); err != nil {
							t.Fatal(err)
						}
						return result.BytesSent, saved * 1_000_000
					}
					raw, told := pushed(false)
					if (told > 0) != (tc.told && form.Algorithm != image.None) {
						t.Fatalf("told of %d bytes", told)
					}
					if told == 0 {
						return
					}
					forced, _ := pushed(true)
					if did := raw - forced; told < did-raw/10 || told > did+raw/10 {
						t.Errorf("told of %d bytes, and saved %d of %d", told, did, raw)
					}
				})
			}
		}
	}
}
