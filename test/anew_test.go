//go:build e2e

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// What was made anew is whole to other programs: without attestations, with its layers
// in another form, and both; from a file, and from a registry.
func TestImagesMadeAnew(t *testing.T) {
	g := gitea(t)
	name := newUser(t, g)
	c := newClient(t, g.Server, userAuth(name), &remote.Options{CacheDir: t.TempDir()})
	dir := samples.Layout(t, 61, 3<<20)
	mustPush(t, c, name+"/app:as-it-is", dir, client.PushOptions{})
	for tag, opts := range map[string]client.PushOptions{
		"without": {NoAttestations: true},
		"forced":  {ForceCompression: true, Compression: image.Compression{Algorithm: image.Zstd}},
		"both":    {ForceCompression: true, Compression: image.Compression{Algorithm: image.Zstd}, NoAttestations: true},
	} {
		t.Run(tag, func(t *testing.T) {
			source, err := image.Open(dir, &image.Options{Compression: opts.Compression, ForceCompression: opts.ForceCompression, NoAttestations: opts.NoAttestations})
			servers.Need(t, err)
			defer source.Close()
			var pushed, copied client.Result
			own := opts
			own.Source, own.Result = source, &pushed
			servers.Need(t, c.Push(t.Context(), name+"/app:"+tag, own))
			opts.Result = &copied
			servers.Need(t, c.Copy(t.Context(), name+"/copy:"+tag, remote.Member{Repository: name + "/app", Reference: "as-it-is"}, opts))
			if pushed.Digest != copied.Digest {
				t.Errorf("the copy is %s, what was pushed %s", copied.Digest, pushed.Digest)
			}
			if isIndex := image.IsIndex(pushed.MediaType); isIndex == opts.NoAttestations {
				t.Errorf("it is a %s", pushed.MediaType)
			}
			ref := g.Host + "/" + name + "/app:" + tag
			got := pullWithSkopeo(t, g.Server, name, ref)
			if got[pushed.Digest.String()] != pushed.Size {
				t.Errorf("%s is not among %v", pushed.Digest, got)
			}
			if !opts.ForceCompression { // crane validates gzip alone
				assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, ref), got)
			}
		})
	}
}

// An archive with raw layers that was loaded into the containerd store is sent raw,
// unless its layers are to be compressed; then docker pulls the same image.
func TestForceCompressionOfTheContainerdStore(t *testing.T) {
	g, e := gitea(t), engine(t, servers.Containerd)
	name := newUser(t, g)
	tag := g.Host + "/" + name + "/raw:1"
	archive := filepath.Join(t.TempDir(), "raw.tar")
	samples.WriteFile(t, archive, samples.Tar(samples.ArchivedLayer(t, samples.Tar(samples.File{Name: "a", Content: append(samples.Content(62, 6<<20), make([]byte, 6<<20)...)}), tag)...))
	servers.Need(t, e.Load(t.Context(), archive))
	c := newClient(t, g.Server, userAuth(name), &remote.Options{Save: exported(e), CacheDir: t.TempDir()})
	var notes []string
	pushed := func(opts client.PushOptions) (r client.Result) {
		opts.Image, opts.Result = tag, &r
		opts.Progress = func(e client.Event) { notes = append(notes, e.Note) }
		servers.Need(t, c.Push(t.Context(), tag, opts))
		return r
	}
	raw := pushed(client.PushOptions{})
	if told := strings.Join(notes, "\n"); !strings.Contains(told, "12 MB of the image are layers without compression; --force-compression would save about 6 MB") {
		t.Errorf("told of the raw layers was: %s", told)
	}
	forced := pushed(client.PushOptions{ForceCompression: true})
	if forced.Digest == raw.Digest {
		t.Errorf("got %s, which is the raw image", forced.Digest)
	}
	env, err := g.Env(t.TempDir(), name, servers.AdminPassword)
	servers.Need(t, err)
	for _, layer := range decode[ocispec.Manifest](t, []byte(run(t, env, program(t, "crane"), "manifest", tag))).Layers {
		if !strings.HasSuffix(layer.MediaType, "gzip") {
			t.Errorf("got the layer %v", layer)
		}
	}
	if again := pushed(client.PushOptions{ForceCompression: true}); again.Digest != forced.Digest || again.BytesSent > 4096 {
		t.Errorf("the second push sent %d bytes and gave %s, want %s", again.BytesSent, again.Digest, forced.Digest)
	}
	assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, tag), pullWithSkopeo(t, g.Server, name, tag))
}

// A layer that the manifest names by a URL is fetched from there, and the real Gitea has
// it then; without the option the message says what to type.
func TestIncludeForeign(t *testing.T) {
	g, elsewhere := gitea(t), registry(t)
	name := newUser(t, g)
	l := samples.NewLayout(t)
	layer := l.Layer(66, 300_000)
	image := l.Image(layer, "linux", runtime.GOARCH)
	finish := func(root ocispec.Descriptor) {
		samples.WriteFile(t, filepath.Join(l.Dir, "index.json"), samples.Encoded(t, samples.Index(root)))
		samples.WriteFile(t, filepath.Join(l.Dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	}
	finish(image)
	mustPush(t, open(t, elsewhere).client, "base/windows:1", l.Dir, client.PushOptions{})
	layer.URLs = []string{elsewhere.URL + "/v2/base/windows/blobs/" + layer.Digest.String()}
	finish(l.Image(layer, "linux", runtime.GOARCH))
	servers.Need(t, os.Remove(l.Path(layer.Digest)))
	authority, err := os.ReadFile(elsewhere.CAFile)
	servers.Need(t, err)
	own, err := os.ReadFile(g.CAFile)
	servers.Need(t, err)
	both, ref := filepath.Join(t.TempDir(), "both.pem"), g.Host+"/"+name+"/windows:1"
	samples.WriteFile(t, both, append(authority, own...))
	env, err := g.Env(t.TempDir(), name, servers.AdminPassword)
	servers.Need(t, err)
	push := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(pluginDir(t), "docker-gitea"), append([]string{"push"}, args...)...)
		cmd.Env = append(env, "SSL_CERT_FILE="+both)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := push(l.Dir, ref); err == nil || !strings.Contains(out, "hint: push with --include-foreign, which fetches them and sends them") {
		t.Errorf("without the option: %v: %s", err, out)
	}
	if out, err := push("--include-foreign", l.Dir, ref); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := digest.FromString(run(t, env, program(t, "crane"), "blob", g.Host+"/"+name+"/windows@"+layer.Digest.String())); got != layer.Digest {
		t.Errorf("Gitea has %s for the layer %s", got, layer.Digest)
	}
}

// With --limit-rate the layers of a push take together as long as their bytes at that
// rate, in a Gitea too.
func TestLimitRate(t *testing.T) {
	g := gitea(t)
	name := newUser(t, g)
	const size, rate = 3_000_000, 1_000_000 // bytes, and bytes a second
	l := samples.NewLayout(t)
	layers := []ocispec.Descriptor{l.Layer(67, size/3), l.Layer(68, size/3), l.Layer(69, size/3)}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}, RootFS: ocispec.RootFS{Type: "layers"}}
	for _, layer := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.DiffID(layer))
	}
	image := l.JSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: l.JSON(ocispec.MediaTypeImageConfig, config), Layers: layers,
	})
	samples.WriteFile(t, filepath.Join(l.Dir, "index.json"), samples.Encoded(t, samples.Index(image)))
	samples.WriteFile(t, filepath.Join(l.Dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	ref := g.Host + "/" + name + "/slow:1"
	env, err := g.Env(t.TempDir(), name, servers.AdminPassword)
	servers.Need(t, err)
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	begin := time.Now()
	run(t, env, plugin, "push", "--limit-rate", "1MB/s", l.Dir, ref)
	// What is sent in a tenth of a second may go out at once.
	if took, least := time.Since(begin), (size-rate/5)*time.Second/rate; took < least {
		t.Errorf("it took %v, less than %v", took, least)
	}
	pull(t, g.Server, name, servers.AdminPassword, ref)
}
