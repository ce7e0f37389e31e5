//go:build e2e

package test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/test/doctest"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// outOfBreath is by how much longer a sideBySide may take at a database that runs out of
// connections than at one that does not.
const outOfBreath = 1.3

// TestWideOutOfBreath has 50 programs push at once to a Gitea on PostgreSQL: 25
// archives of six layers of 2 MB, each to two repositories, three times. With its 100
// connections it refuses good credentials and answers 500. All arrive all the same,
// and hardly later than where there are connections enough.
func TestWideOutOfBreath(t *testing.T) {
	wide(t)
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	few := own(t, servers.GiteaOptions{Database: servers.PostgreSQL})
	many := own(t, servers.GiteaOptions{Database: servers.PostgreSQL, Connections: 500})
	var slow, quick time.Duration
	var table strings.Builder
	table.WriteString("\n| connections | pushed | seconds |\n|---|---|---|\n")
	for round := range 3 {
		var archives []string
		for i := range sideBySide / 2 {
			path := filepath.Join(t.TempDir(), "image.tar")
			samples.WriteFile(t, path, layeredArchive(t, round, i))
			archives = append(archives, path)
		}
		for _, site := range []struct {
			*servers.Gitea
			connections int
			took        *time.Duration
		}{{few, 100, &slow}, {many, 500, &quick}} {
			arrived, took := crowdAt(t, plugin, site.Gitea, archives)
			*site.took += took
			fmt.Fprintf(&table, "| %d | %d of %d | %.0f |\n", site.connections, arrived, sideBySide, took.Seconds())
			t.Logf("%d connections: %d of %d in %v", site.connections, arrived, sideBySide, took.Round(time.Second/10))
			if arrived != sideBySide {
				t.Errorf("%d connections: %d of %d arrived", site.connections, arrived, sideBySide)
			}
		}
	}
	ratio := slow.Seconds() / quick.Seconds()
	t.Logf("%d times Gitea's database was out of connections; %.2f of the time with enough of them", strings.Count(few.Log(), "too many clients already"), ratio)
	if *update {
		fmt.Fprintf(&table, "\nTogether, the first took %.2f of the time of the others.\n\n", ratio)
		doctest.Section(t, "../docs/reliability.md", "50 at once on PostgreSQL", table.String(), true)
		if ratio > outOfBreath {
			t.Errorf("%.2f of the time with enough connections, want at most %.1f", ratio, outOfBreath)
		}
	}
}

// crowdAt pushes each archive to two repositories of a new user, all at once, and
// says how many arrived, and in what time.
func crowdAt(t *testing.T, plugin string, g *servers.Gitea, archives []string) (arrived int, took time.Duration) {
	t.Helper()
	user := newUser(t, g)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	env, err := g.Env(t.TempDir(), user, token)
	servers.Need(t, err)
	var (
		mu     sync.Mutex // guards arrived
		pushes sync.WaitGroup
	)
	begin := time.Now()
	for i, archive := range archives {
		for _, half := range []string{"one", "other"} {
			pushes.Go(func() {
				ref := fmt.Sprintf("%s/%s/%s%d:1", g.Host, user, half, i)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, plugin, "push", "--progress", "plain", archive, ref)
				cmd.Env = append(env, "HOME="+t.TempDir()) // a cache of its own
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Logf("%s: %v\n%s", ref, err, out)
					return
				}
				mu.Lock()
				arrived++
				mu.Unlock()
			})
		}
	}
	pushes.Wait()
	return arrived, time.Since(begin)
}

// layeredArchive is an image of six layers of 2 MB, as `docker save` wrote it before
// 25.0. Each of each round is another.
func layeredArchive(t *testing.T, round, n int) []byte {
	t.Helper()
	const layers, size = 6, 2_000_000
	var (
		files []samples.File
		ids   []digest.Digest
		paths []string
	)
	for i := range layers {
		layer := samples.Tar(samples.File{Name: "a", Content: samples.Content(byte(layers*n+i), size+round)})
		id := digest.FromBytes(layer)
		ids, paths = append(ids, id), append(paths, id.Encoded()+"/layer.tar")
		files = append(files, samples.File{Name: paths[i], Content: layer})
	}
	config := samples.Encoded(t, map[string]any{"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"type": "layers", "diff_ids": ids}})
	name := digest.FromBytes(config).Encoded() + ".json"
	entry := map[string]any{"Config": name, "Layers": paths}
	return samples.Tar(append(files, samples.File{Name: name, Content: config}, samples.File{Name: "manifest.json", Content: samples.Encoded(t, []any{entry})})...)
}
