//go:build e2e

package test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestMemory pushes a large layer from a stream, as on a machine with eight
// processors, and looks how much memory that took before it lets the push end.
func TestMemory(t *testing.T) {
	const most = 96 << 20
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for _, compression := range []string{"gzip", "zstd"} {
		t.Run(compression, func(t *testing.T) {
			g := gitea(t)
			name := newUser(t, g)
			token, err := g.CreateToken(t.Context(), name, "write:package")
			servers.Need(t, err)
			cmd := exec.CommandContext(t.Context(), plugin, "gitea", "push", "--compression", compression, "-", g.Host+"/"+name+"/app:1")
			cmd.Env = append(os.Environ(), "GOMAXPROCS=8", "HOME="+t.TempDir(), "DOCKER_GITEA_HOST="+g.Host, "DOCKER_GITEA_TOKEN="+token, "DOCKER_GITEA_CA_FILE="+g.CAFile)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			stdin, err := cmd.StdinPipe()
			servers.Need(t, err)
			servers.Need(t, cmd.Start())
			w := tar.NewWriter(stdin)
			diffID := writeLayer(t, w, 200<<20)
			if peak := peakMemory(t, cmd.Process.Pid); peak > most {
				t.Errorf("the push took %d MiB, want at most %d", peak>>20, most>>20)
			} else {
				t.Logf("the push took %d MiB", peak>>20)
			}
			config := fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[%q]}}`, diffID)
			manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "Layers": []string{"a/layer.tar"}}})
			servers.Need(t, err)
			for file, data := range map[string][]byte{"config.json": config, "manifest.json": manifest} {
				servers.Need(t, w.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: int64(len(data))}))
				_, err := w.Write(data)
				servers.Need(t, err)
			}
			servers.Need(t, w.Close())
			servers.Need(t, stdin.Close())
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, out.String())
			}
		})
	}
}

// writeLayer writes a layer with one file and returns its diff ID. Half of the file
// compresses well.
func writeLayer(t *testing.T, w *tar.Writer, size int64) string {
	t.Helper()
	const frame = 3 * 512 // header, and the end of a tar
	servers.Need(t, w.WriteHeader(&tar.Header{Name: "a/layer.tar", Mode: 0o644, Size: size + frame}))
	hash := sha256.New()
	layer := tar.NewWriter(io.MultiWriter(w, hash))
	servers.Need(t, layer.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: size}))
	block := append(samples.Content(50, 512<<10), make([]byte, 512<<10)...)
	for i := int64(0); i < size; i += int64(len(block)) {
		_, err := layer.Write(block)
		servers.Need(t, err)
	}
	servers.Need(t, layer.Close())
	return fmt.Sprintf("sha256:%x", hash.Sum(nil))
}

// peakMemory is the most that a process has had in memory so far.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	servers.Need(t, err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, err = fmt.Sscanf(rest, "%d kB", &kib)
	servers.Need(t, err)
	return kib << 10
}
