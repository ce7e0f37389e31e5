//go:build e2e

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestContainerdExport pushes what containerd exports (`ctr images export`, and `nerdctl
// save`, which asks for the same), from a file and through a pipe. The image arrives under
// the digest that it has in containerd.
func TestContainerdExport(t *testing.T) {
	g, e := gitea(t), engine(t, servers.Containerd)
	name := newUser(t, g)
	ctr := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program(t, "debian-ctr"), append([]string{"--address", e.Containerd(), "--namespace", "moby", "images"}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		return cmd
	}
	tag := name + "/app:dev"
	image := "docker.io/" + tag // as containerd calls it
	servers.Need(t, e.Build(t.Context(), tag, samples.BuildContext(t, 64, 300_000)))
	listed, err := ctr("ls", "name=="+image).Output()
	servers.Need(t, err)
	_, rest, _ := strings.Cut(string(listed), "sha256:")
	want, _, _ := strings.Cut(rest, " ")
	file := filepath.Join(t.TempDir(), "exported.tar")
	if out, err := ctr("export", file, image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for source, stdin := range map[string]string{file: "", "-": file} {
		ref := g.Host + "/" + name + "/app:" + map[bool]string{true: "file", false: "pipe"}[stdin == ""]
		pushImage(t, g, name, source, ref, stdin)
		got := pull(t, g.Server, name, servers.AdminPassword, ref)
		if got["sha256:"+want] == 0 {
			t.Errorf("%s: %v does not have sha256:%s, which it is in containerd", source, got, want)
		}
	}
}
