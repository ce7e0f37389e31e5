package samples

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// DockerArchive is an image of one layer of about size bytes, as `docker save` wrote it before 25.0.
func DockerArchive(tb testing.TB, seed byte, size int) []byte {
	tb.Helper()
	return Tar(Archived(tb, seed, size, "")...)
}

// Archived are the files of such an archive, ending with its index.
func Archived(tb testing.TB, seed byte, size int, tag string) []File {
	tb.Helper()
	return ArchivedLayer(tb, Tar(File{"a", Content(seed, size)}), tag)
}

// ArchivedLayer are the files of the archive of an image with this layer.
func ArchivedLayer(tb testing.TB, layer []byte, tag string) []File {
	tb.Helper()
	config := Encoded(tb, map[string]any{
		"os": "linux", "architecture": "amd64",
		"rootfs": map[string]any{"type": "layers", "diff_ids": []digest.Digest{digest.FromBytes(layer)}},
	})
	name := digest.FromBytes(config).Encoded() + ".json"
	path := digest.FromBytes(layer).Encoded() + "/layer.tar"
	entry := map[string]any{"Config": name, "Layers": []string{path}}
	if tag != "" {
		entry["RepoTags"] = []string{tag}
	}
	return []File{{path, layer}, {name, config}, {"manifest.json", Encoded(tb, []any{entry})}}
}

// Encoded is v as JSON.
func Encoded(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	servers.Need(tb, err)
	return data
}

// File is a file of a tar archive.
type File struct {
	Name    string
	Content []byte
}

// Tar is an archive of files. It is written to memory, which does not fail.
func Tar(files ...File) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		_ = w.WriteHeader(&tar.Header{Name: f.Name, Mode: 0o644, Size: int64(len(f.Content))})
		_, _ = w.Write(f.Content)
	}
	_ = w.Close()
	return out.Bytes()
}
