//go:build e2e

package test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestHooks has docker itself fail to push, and looks for the advice that it
// shows below. A docker that knows no hooks is not disturbed. docker asks only
// on a terminal, which script(1) gives it.
func TestHooks(t *testing.T) {
	g, e := gitea(t), engine(t, servers.Classic)
	name, other := newUser(t, g), newUser(t, g)
	ref := g.Host + "/" + other + "/app:1"
	servers.Need(t, e.Build(t.Context(), ref, samples.BuildContext(t, 60, 1000)))
	me := newShopper(t, filepath.Join(pluginDir(t), "docker-gitea"), g.Server, name, servers.AdminPassword)
	me.env = append(me.env, "DOCKER_HOST="+e.Host(), "TERM=xterm")
	me.expect(t, 0, "cli-plugins/docker-gitea", "setup", "--hooks")
	for docker, want := range map[string]string{
		"docker":        "docker gitea check " + ref,
		"debian-docker": "unauthorized: authentication required",
	} {
		t.Run(docker, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "script", "-qec", fmt.Sprintf("%s push %s", program(t, docker), ref), "/dev/null")
			cmd.Env, cmd.Dir = me.env, me.dir
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("got %v, want a failure with %q", err, want)
			}
		})
	}
	// Completion and help by way of docker.
	docker := program(t, "docker")
	for _, call := range []struct{ args, want string }{
		{"__complete gitea push " + g.Host + "/" + other, ref},
		{"__complete gitea push --via d", "daemon"},
		{"help gitea", "Usage:  docker gitea COMMAND"},
		{"gitea --help", "Usage:  docker gitea COMMAND"},
		{"gitea help push", "Usage:  docker gitea push [OPTIONS] SOURCE [DESTINATION...]"},
		{"help gitea push", "Usage:  docker gitea push [OPTIONS] SOURCE [DESTINATION...]"},
		{"gitea push --help", "Usage:  docker gitea push [OPTIONS] SOURCE [DESTINATION...]"},
	} {
		var out string
		for range 10 { // a registry has little time to answer, which a busy machine may exceed
			if out = run(t, me.env, docker, strings.Fields(call.args)...); strings.Contains(out, call.want) {
				break
			}
		}
		if !strings.Contains(out, call.want) {
			t.Errorf("docker %s: got\n%swant %q", call.args, out, call.want)
		}
	}
}
