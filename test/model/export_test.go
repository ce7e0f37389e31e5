//go:build e2e

package model

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestExportsAreThoseOfEngines has real engines write what the scripted daemon
// writes, of the same pictures: the same files with the same content.
func TestExportsAreThoseOfEngines(t *testing.T) {
	for _, engine := range []struct {
		store    servers.Store
		pictures []*picture
		export   func(p *picture, name string) []byte
	}{
		{servers.Classic, plain, func(p *picture, name string) []byte { return dockerArchive([]*picture{p}, []string{name}) }},
		{servers.Graph, plain, classicExport},
		{servers.Containerd, pictures, func(p *picture, name string) []byte {
			return containerdExport(p.root, p.members[0], p.root.children, name, everything)
		}},
	} {
		t.Run(string(engine.store), func(t *testing.T) {
			e := startEngine(t, engine.store)
			for _, p := range engine.pictures {
				e.load(p, names[0], every)
				path := filepath.Join(t.TempDir(), "saved.tar")
				e.run("save", "--output", path, names[0])
				real, err := os.ReadFile(path)
				servers.Need(t, err)
				if diff := cmp.Diff(shape(t, engine.export(p, names[0])), shape(t, real)); diff != "" {
					t.Errorf("%s: the scripted daemon (-) and the engine (+) differ:\n%s", p.name, diff)
				}
				e.empty()
			}
		})
	}
}

// shape are the files of an archive by their names, with their content; JSON is
// compared as such, and other content by its digest. Of what the first version of
// docker's images had to say only the number is compared, and of the names that
// it gave to layers the order.
func shape(t *testing.T, archive []byte) map[string]any {
	t.Helper()
	var all []file
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		servers.Need(t, err)
		data, err := io.ReadAll(r)
		servers.Need(t, err)
		if header.Typeflag != tar.TypeDir {
			all = append(all, file{name: header.Name, link: header.Linkname, data: data})
		}
	}
	neutral := strings.NewReplacer(layerNames(t, all)...).Replace
	files := map[string]any{}
	legacy := 0
	for _, f := range all {
		var document any
		object, _ := document.(map[string]any)
		switch isJSON := json.Unmarshal([]byte(neutral(string(f.data))), &document) == nil; {
		case f.link != "":
			document = "to " + neutral(f.link)
		case isJSON:
			object, _ = document.(map[string]any)
		default:
			document = newBlob(f.data).digest
		}
		if object["id"] != nil {
			legacy++
			continue
		}
		files[neutral(f.name)] = document
	}
	files["the first version's"] = legacy
	return files
}

// layerNames are pairs of the directories of layers, and of their places.
func layerNames(t *testing.T, files []file) (pairs []string) {
	t.Helper()
	for _, f := range files {
		if f.name != "manifest.json" {
			continue
		}
		var items []struct {
			Layers []string `json:"Layers"`
		}
		servers.Need(t, json.Unmarshal(f.data, &items))
		for i, path := range items[0].Layers {
			if dir, isLayer := strings.CutSuffix(path, "/layer.tar"); isLayer {
				pairs = append(pairs, dir, fmt.Sprint("layer ", i))
			}
		}
	}
	return pairs
}
