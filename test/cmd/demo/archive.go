package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
)

// writeArchive writes an image of two layers as `docker save` of the classic
// store does: raw layers, which the push compresses on their way.
func writeArchive(path string) (err error) {
	hello, err := archive(entry{"hello.txt", []byte(strings.Repeat("hello, Gitea\n", 50_000))})
	if err != nil {
		return err
	}
	motd, err := archive(entry{"etc/motd", []byte("pushed without touching daemon.json\n")})
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": "amd64",
		"config": map[string]any{"Labels": map[string]string{"org.opencontainers.image.title": "hello"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + sum(hello), "sha256:" + sum(motd)}},
	})
	if err != nil {
		return err
	}
	index, err := json.Marshal([]map[string]any{{
		"Config":   sum(config) + ".json",
		"RepoTags": []string{"hello:1"},
		"Layers":   []string{"1/layer.tar", "2/layer.tar"},
	}})
	if err != nil {
		return err
	}
	file, err := archive(entry{"1/layer.tar", hello}, entry{"2/layer.tar", motd},
		entry{sum(config) + ".json", config}, entry{"manifest.json", index})
	if err != nil {
		return err
	}
	return os.WriteFile(path, file, 0o600)
}

type entry struct {
	name string
	data []byte
}

func archive(entries ...entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		err := w.WriteHeader(&tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.data))})
		if _, writeErr := w.Write(e.data); err != nil || writeErr != nil {
			return nil, errors.Join(err, writeErr)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
