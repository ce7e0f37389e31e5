package model

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The forms in which tools write a picture.

// dockerArchive is `docker save` of engines before 25.0, which podman, kaniko
// and others write as well: a directory for each layer, and the metadata at the
// end. A directory is called by what the layer is based on, and by the config
// where it is the last; a layer that is there already is a link.
func dockerArchive(pictures []*picture, names []string) []byte {
	var files []file
	var items []map[string]any
	seen := map[string]string{}
	repositories := map[string]map[string]string{}
	for i, p := range pictures {
		m := p.members[0]
		var paths []string
		for _, dir := range legacyIDs(m) {
			path, raw := dir+"/layer.tar", m.layers[len(paths)].raw
			paths = append(paths, path)
			first, known := seen[raw.digest]
			if first == path || slices.ContainsFunc(files, func(f file) bool { return f.name == path }) {
				continue
			}
			f := file{name: path, data: raw.data}
			if known {
				f = file{name: path, link: "../" + first}
			} else {
				seen[raw.digest] = path
			}
			files = append(files, file{name: dir + "/VERSION", data: []byte("1.0")}, file{name: dir + "/json", data: legacyJSON(dir)}, f)
		}
		config := m.config.hex() + ".json"
		files = append(files, file{name: config, data: m.config.data})
		items = append(items, map[string]any{"Config": config, "RepoTags": tagsOf(names, i), "Layers": paths})
		for _, name := range tagsOf(names, i) {
			addRepository(repositories, name, strings.TrimSuffix(paths[len(paths)-1], "/layer.tar"))
		}
	}
	files = append(files, file{name: "manifest.json", data: encode(items)})
	if len(repositories) > 0 {
		files = append(files, file{name: "repositories", data: encode(repositories)})
	}
	return pack(files...)
}

// legacyIDs are what the layers of an image were called by the first version of
// docker's images, the first layer first.
func legacyIDs(m *member) []string {
	var ids []string
	var chain []byte
	for i, l := range m.layers {
		if chain = append(chain, l.raw.digest...); i == len(m.layers)-1 {
			chain = append(chain, m.config.digest...)
		}
		ids = append(ids, newBlob(chain).hex())
	}
	return ids
}

// legacyJSON is what was said of such a layer.
func legacyJSON(id string) []byte {
	return encode(map[string]any{"id": id, "created": "1970-01-01T00:00:00Z", "os": "linux"})
}

// addRepository says in the file "repositories" which layer is the last of a
// name's image.
func addRepository(repositories map[string]map[string]string, name, layer string) {
	repository, tag, _ := strings.Cut(name, ":")
	if repositories[repository] == nil {
		repositories[repository] = map[string]string{}
	}
	repositories[repository][tag] = layer
}

// tagsOf are the names of image i, where it has one.
func tagsOf(names []string, i int) []string {
	if i < len(names) && names[i] != "" {
		return names[i : i+1]
	}
	return nil
}

// classicExport is `docker save` of the classic store since 25.0: raw layers
// under their diff IDs, and a manifest that was made for the occasion.
func classicExport(p *picture, name string) []byte {
	m := p.members[0]
	var layers []descriptor
	var paths []string
	sources := map[string]descriptor{}
	for _, l := range m.layers {
		layers = append(layers, describe(ociLayer, l.raw))
		paths = append(paths, blobPath(l.raw))
		sources[l.raw.digest] = describe(ociLayer, l.raw)
	}
	root := newBlob(encode(manifest{SchemaVersion: 2, MediaType: ociManifest, Config: describe(ociConfig, m.config), Layers: layers}))
	blobs := []blob{m.config, root}
	for i, id := range legacyIDs(m) {
		blobs = append(blobs, m.layers[i].raw, newBlob(legacyJSON(id)))
	}
	files := slices.Concat(blobFiles(blobs), metadata(describe(ociManifest, root), m, paths, name, sources))
	if name != "" {
		repositories := map[string]map[string]string{}
		addRepository(repositories, name, m.layers[len(m.layers)-1].raw.hex())
		files = append(files, file{name: "repositories", data: encode(repositories)})
	}
	return pack(files...)
}

// containerdExport is `docker save` of the containerd store: every blob as it
// is, in the order of the digests. Of an index it has the documents, and what
// held says of the rest; holds tells which blobs there are.
func containerdExport(root *document, first *member, held []*document, name string, holds func(blob) bool) []byte {
	blobs := append(slices.Clone(root.blobs), root.blob)
	for _, d := range held {
		blobs = append(append(blobs, d.blob), d.blobs...)
	}
	blobs = slices.DeleteFunc(blobs, func(b blob) bool { return !holds(b) })
	var paths []string
	for _, l := range first.layers {
		paths = append(paths, blobPath(l.stored))
	}
	return pack(slices.Concat(blobFiles(blobs), metadata(describe(root.mediaType, root.blob), first, paths, name, nil))...)
}

// metadata are the files at the end of both exports. The classic store says of
// each layer what it is (sources).
func metadata(root descriptor, m *member, paths []string, name string, sources map[string]descriptor) []file {
	item := map[string]any{"Config": blobPath(m.config), "RepoTags": tagsOf([]string{name}, 0), "Layers": paths}
	if sources != nil {
		item["LayerSources"] = sources
	}
	if name != "" {
		repository, tag, _ := strings.Cut(name, ":")
		root.Annotations = map[string]string{
			"io.containerd.image.name": "docker.io/library/" + repository + ":" + tag, "org.opencontainers.image.ref.name": tag,
		}
	}
	return []file{
		{name: "index.json", data: encode(index{SchemaVersion: 2, MediaType: ociIndex, Manifests: []descriptor{root}})},
		{name: "manifest.json", data: encode([]any{item})},
		{name: "oci-layout", data: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
	}
}

// layoutFiles are an OCI layout, as buildx writes it, of one picture or more.
func layoutFiles(pictures []*picture, names []string) []file {
	var blobs []blob
	var entries []descriptor
	for i, p := range pictures {
		for _, d := range p.documents() {
			blobs = append(append(blobs, d.blob), d.blobs...)
		}
		entry := describe(p.root.mediaType, p.root.blob)
		if tags := tagsOf(names, i); tags != nil {
			entry.Annotations = map[string]string{"org.opencontainers.image.ref.name": tags[0]}
		}
		entries = append(entries, entry)
	}
	return append(blobFiles(blobs),
		file{name: "index.json", data: encode(index{SchemaVersion: 2, Manifests: entries})},
		file{name: "oci-layout", data: []byte(`{"imageLayoutVersion":"1.0.0"}`)})
}

// flatFiles are what skopeo calls dir: of a picture, with all platforms: blobs
// under their digits, and the manifest of each image of an index in a file of
// its own.
func flatFiles(p *picture) []file {
	files := []file{{name: "version", data: []byte("Directory Transport Version: 1.1\n")}, {name: "manifest.json", data: p.root.data}}
	for _, d := range p.documents() {
		if d != p.root {
			files = append(files, file{name: d.hex() + ".manifest.json", data: d.data})
		}
		for _, b := range d.blobs {
			files = append(files, file{name: b.hex(), data: b.data})
		}
	}
	return files
}

// everything is held.
func everything(blob) bool { return true }

// documents are root and what it names, root last.
func (p *picture) documents() []*document {
	return append(slices.Clone(p.root.children), p.root)
}

// blobFiles are blobs under their digests, each once, sorted.
func blobFiles(blobs []blob) []file {
	var files []file
	for _, b := range blobs {
		files = append(files, file{name: blobPath(b), data: b.data})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(files, func(a, b file) bool { return a.name == b.name })
}

func blobPath(b blob) string { return "blobs/sha256/" + b.hex() }

// unpack writes files into a directory.
func unpack(dir string, files []file) {
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		must(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, f.data, 0o644))
	}
}
