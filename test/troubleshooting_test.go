//go:build e2e

package test

import (
	"context"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestTroubleshooting brings about every row of docs/troubleshooting.md, with
// the real program, and compares what it says with what stands there. Gitea,
// nginx and the distribution registry are the real ones wherever they can be
// brought to it; the others are registrytest.
func TestTroubleshooting(t *testing.T) {
	t.Parallel()
	rows := troubles(t)
	p := newPatient(t)
	// It takes an engine of its own: TestLayersThatTheDaemonDoesNotHold.
	brought := map[string]bool{
		"layers that the source lacks": true,
		// Nothing has its storage fail: TestDiagnoses.
		"a failure of the storage that the registry leads to": true,
	}
	for name, come := range p.situations(t) {
		seen, _, _ := strings.Cut(name, variant)
		row, found := rows[seen]
		if !found {
			t.Errorf("no row for %q", seen)
			continue
		}
		brought[seen] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := come(t)
			for label, want := range map[string]*regexp.Regexp{"cause": row.cause, "hint": row.hint} {
				if want != nil && !want.MatchString(out) {
					t.Errorf("no %s %s in\n%s", label, want, out)
				}
			}
		})
	}
	for seen := range rows {
		if !brought[seen] {
			t.Errorf("nothing brings about %q", seen)
		}
	}
}

// variant parts the row of a situation from what is special about it.
const variant = ", here: "

// trouble is a row of a table: what is to be printed. A row about a login has
// no cause: docker-credential-gitea shows the server's answer instead.
type trouble struct{ cause, hint *regexp.Regexp }

// troubles reads the table.
func troubles(t *testing.T) map[string]trouble {
	t.Helper()
	page, err := os.ReadFile("../docs/troubleshooting.md")
	servers.Need(t, err)
	rows := map[string]trouble{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		switch name := strings.TrimSpace(cells[0]); {
		case name == "seen":
		case len(cells) == 2:
			rows[name] = trouble{hint: inLine("hint", cells[1])}
		case len(cells) == 3:
			rows[name] = trouble{inLine("cause", cells[1]), inLine("hint", cells[2])}
		}
	}
	return rows
}

var inItalics = regexp.MustCompile(`\\\*[a-z]+\\\*`)

// inLine matches a line that begins with the label and goes on with a cell,
// in which words in italics are any.
func inLine(label, cell string) *regexp.Regexp {
	text := regexp.QuoteMeta(strings.TrimSpace(strings.ReplaceAll(cell, `\|`, "|")))
	return regexp.MustCompile(`(?m)^ *` + label + ": " + inItalics.ReplaceAllString(text, ".+") + "$")
}

// patient is a machine on which something is wrong.
type patient struct {
	plugin, image string
	gitea, plain  *servers.Gitea
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	return &patient{plugin: filepath.Join(pluginDir(t), "docker-gitea"), image: layout(t, 60, 2<<20), gitea: gitea(t), plain: startPlainGitea(t)}
}

// address is a registry, and how one gets in.
type address struct {
	host, ca string
	auth     client.AuthConfig
}

func at(s *servers.Server, auth client.AuthConfig) address { return address{s.Host, s.CAFile, auth} }

func scripted(t *testing.T, config registrytest.Config, rules ...registrytest.Rule) address {
	t.Helper()
	srv := registrytest.Start(t, config)
	for _, rule := range rules {
		srv.Fault(rule)
	}
	return address{srv.Host, srv.CAFile, srv.Config().Auth}
}

// run is what the program prints to somebody who has a credential for a.
func (p *patient) run(t *testing.T, a address, env []string, args ...string) string {
	t.Helper()
	return p.within(t, a, env, append([]string{p.plugin}, args...)...)
}

// within is run, with the program as the last of what args are.
func (p *patient) within(t *testing.T, a address, env []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), endless)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	if args[0] != p.plugin {
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	}
	cmd.Env = append(env, "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "TMPDIR="+t.TempDir(), "DOCKER_GITEA_RETRIES=1")
	cmd.Env = append(cmd.Env, "HOME="+t.TempDir())
	if a.ca != "" {
		cmd.Env = append(cmd.Env, "DOCKER_GITEA_CA_FILE="+a.ca)
	}
	switch {
	case a.auth.Token != "":
		cmd.Env = append(cmd.Env, "DOCKER_GITEA_HOST="+a.host, "DOCKER_GITEA_TOKEN="+a.auth.Token)
	case a.auth.Password != "":
		cmd.Stdin, cmd.Args = strings.NewReader(a.auth.Password), append(cmd.Args, "--password-stdin", "--username", a.auth.Username)
	}
	out, _ := cmd.CombinedOutput() // which is what is compared
	return string(out)
}

// push pushes the image to a repository.
func (p *patient) push(t *testing.T, a address, repository string, options ...string) string {
	t.Helper()
	return p.run(t, a, nil, append(append([]string{"push", "--progress", "quiet"}, options...), p.image, a.host+"/"+repository+":1")...)
}

// check is for what a push finds a way around, or takes for something else.
func (p *patient) check(t *testing.T, a address, target string) string {
	t.Helper()
	return p.run(t, a, nil, "check", target)
}

// come is a situation: it brings about what a row is for, and returns what the
// program says.
type come func(t *testing.T) string

// situations are those of all rows.
func (p *patient) situations(t *testing.T) map[string]come {
	t.Helper()
	all := map[string]come{}
	for _, some := range []map[string]come{p.onTheWay(t), p.certificates(t), p.proxies(), p.noRegistry(t), p.nobodyInParticular(t), p.limits(t), p.manifests(), p.failingServers(), p.thisMachine(), p.logins(t)} {
		maps.Copy(all, some)
	}
	return all
}

var admin = client.AuthConfig{Username: servers.AdminUser, Password: servers.AdminPassword}

// closedPort is an address of this machine where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servers.Need(t, err)
	servers.Need(t, l.Close())
	return l.Addr().String()
}

// deaf is a port on which connections are taken, and nothing is heard.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, l.Close) })
	return l.Addr().String()
}

// elsewhere has the program in a network of its own, and with another file at
// one of the system's paths.
func (p *patient) elsewhere(t *testing.T, setUp, host string) string {
	t.Helper()
	script := "ip link set lo up; " + setUp + `; exec "$@"`
	return p.within(t, address{}, nil, "sh", "-ec", script, "sh", p.plugin, "push", "--progress", "quiet", p.image, host+"/me/app:1")
}
