//go:build e2e && linux

package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/programs"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// newcomer is somebody at a terminal with an empty HOME, who has just installed
// the programs where docker does not look.
type newcomer struct {
	*terminal
	home string
}

func newNewcomer(t *testing.T, more ...string) newcomer {
	t.Helper()
	prefix, home := t.TempDir(), t.TempDir()
	inProject(t, "make", "install", "PREFIX="+prefix)
	env := append([]string{
		"PATH=" + prefix + "/bin:" + filepath.Dir(program(t, "docker")) + ":" + os.Getenv("PATH"), "HOME=" + home,
		"DOCKER_CONFIG=", "XDG_CONFIG_HOME=", "XDG_CACHE_HOME=", "XDG_DATA_HOME=", "SSL_CERT_FILE=", "SSH_CONNECTION=", "SSH_TTY=", "BROWSER=",
		"DOCKER_CREDENTIAL_GITEA_STORAGE=file", "TERM=screen-256color",
	}, more...)
	n := newcomer{newTerminal(t, 80, 24, env...), home}
	n.enter("PS1='$ '; cd; clear")
	n.await(`^\$ ?\n`)
	return n
}

// types enters a line, and waits for a screen that begins as wanted.
func (n newcomer) types(line, want string) {
	n.t.Helper()
	n.enter("clear; " + line)
	n.await(`(?s)^` + want)
}

const prompt = `(?s).*\n\$ *\n$`

// What the README promises to somebody who knows docker push alone: from an
// empty HOME to a pushed image, and back to an empty HOME.
func TestNewcomer(t *testing.T) {
	g, e := gitea(t), engine(t, servers.Classic)
	name := newUser(t, g)
	servers.Need(t, e.Build(t.Context(), "newcomer:dev", samples.BuildContext(t, 70, 1000)))
	opened, browsers := filepath.Join(t.TempDir(), "opened"), t.TempDir()
	programs.Write(t, filepath.Join(browsers, "xdg-open"), "#!/bin/sh\necho \"$@\" >"+opened+"\n")
	me := newNewcomer(t, "DOCKER_HOST="+e.Host(), "DISPLAY=:0")
	image := g.Host + "/" + name + "/app"

	me.types("docker gitea version", "docker: .*"+prompt) // docker does not know it yet
	me.types("docker-gitea setup --hooks --completion bash --helper "+g.Host, `link .*have docker-credential-gitea keep the logins.*"credHelpers": .*`+prompt)
	me.types("docker-gitea setup --helper "+g.Host, `nothing to do: all of this is set up`+prompt)
	me.types("docker gitea check "+image, `.*✗ certificate .*hint: docker gitea trust `+prompt)
	me.types("docker gitea trust "+g.Host, `.*Pin [0-9a-f]{8}…[0-9a-f]{8} for [^ ]*\? \[y/N\] *\n$`)
	me.enter("y")
	me.await(`pinned SHA-256 ` + prompt)
	me.types("docker gitea push newcomer:dev "+image+":1", `The push refers.*hint: docker login [^ ]+`+prompt)
	me.types("docker-credential-gitea login --username "+name+" "+g.Host, `.*assword[^\n]*: *\n$`)
	me.enter(servers.AdminPassword)
	me.await(`logged in to ` + prompt)
	me.types("docker gitea push newcomer:dev "+image+":1", `The push .*[0-9a-f]{12}: Pushed\n.*1: digest: sha256:`+prompt)
	me.types("docker gitea push newcomer:dev "+image+"2:1", `The push .*[0-9a-f]{12}: Mounted from `+name+`/app\n.*1: digest: sha256:`+prompt)
	me.types("docker gitea push -q --format json newcomer:dev "+image+":2 | jq -r .status.references[]", `[^\n]*/app:2@sha256:`+prompt)

	// The questions of rm, and the browser of open.
	me.types("docker gitea rm "+image+":2", `This deletes\n  [^\n]*/app:2 .*Delete\? \[y/N\] *\n$`)
	me.enter("")
	me.await(`nothing was deleted` + prompt)
	me.types("docker gitea rm "+image+":2", `.*Delete\? \[y/N\] *\n$`)
	me.enter("y")
	me.await(`Deleted: [^\n]*/app:2` + prompt)
	me.types("docker gitea ls -q "+image, `[^\n]*/app:1`+prompt)
	me.types("PATH="+browsers+":$PATH docker gitea open "+image, `Opening https://[^\n]*`+prompt)
	if got, want := readText(t, opened), g.URL+"/"+name+"/-/packages/container/app\n"; got != want {
		t.Errorf("the browser opened %q, want %q", got, want)
	}

	// All of it is undone.
	me.types("docker gitea setup --undo", `have docker-credential-gitea no longer keep .*`+prompt)
	if left := filesBelow(t, filepath.Join(me.home, ".docker")); len(left) > 0 {
		t.Errorf("setup --undo leaves %q", left)
	}
	me.types("docker gitea version", "docker: .*"+prompt)
}

// Without the helper on PATH, setup does the rest, says what is missing, and
// can be called again or undone.
func TestSetupWithoutTheHelper(t *testing.T) {
	dir, home := pluginDir(t), t.TempDir()
	me := shopper{plugin: filepath.Join(dir, "docker-gitea"), dir: home, env: []string{"HOME=" + home, "PATH=/nonexistent"}}
	out, code := me.try(t.Context(), "setup", "--hooks", "--helper", "git.example.com")
	for _, want := range []string{"link ", "docker-credential-gitea: ", "not found", "hint: install it on PATH"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("got exit code %d and %s, want %q", code, out, want)
		}
	}
	if out, code = me.try(t.Context(), "setup", "--hooks"); code != 0 || !strings.Contains(out, "nothing to do") {
		t.Errorf("again: got exit code %d and %s", code, out)
	}
	out, code = me.try(t.Context(), "setup", "--undo")
	if left := filesBelow(t, home); code != 0 || len(left) > 0 {
		t.Errorf("undone: got exit code %d and %s; left are %q", code, out, left)
	}
}
