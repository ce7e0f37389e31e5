//go:build e2e

package test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestTroubleshooting brings about every row of docs/troubleshooting.md for each
// command that can meet it, with the real programs, and compares what they say with
// what stands there. Gitea, nginx, haproxy and the distribution registry are the real
// ones wherever they can be brought to it; the others are registrytest. How long
// each took to say it is a table of docs/reliability.md.
func TestTroubleshooting(t *testing.T) {
	rows := troubles(t)
	took := newStopwatch()
	for _, c := range commands {
		p := newPatient(t, c)
		p.took = took
		brought := map[string]bool{}
		t.Run(string(c), func(t *testing.T) {
			for name, come := range p.situations(t) {
				seen, _, _ := strings.Cut(name, variant)
				row, found := rows[seen]
				if !found {
					t.Errorf("no row for %q", seen)
					continue
				}
				if unmet(seen, c) != "" {
					continue
				}
				brought[seen] = true
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					took.expect(t.Name(), seen)
					out := come(t)
					if c == checking {
						row.hint = inLine("hint", checkItself.ReplaceAllString(row.advice, ""))
					}
					for label, want := range map[string]*regexp.Regexp{"cause": row.cause, "hint": row.hint} {
						if !want.MatchString(out) {
							t.Errorf("no %s %s in\n%s", label, want, out)
						}
					}
				})
			}
			for seen := range rows {
				if !brought[seen] && unmet(seen, c) == "" {
					t.Errorf("nothing brings about %q", seen)
				}
			}
		})
	}
	took.write(t, rows)
}

// command is one of those that talk to a registry in words of its own.
type command string

const (
	pushing  command = "push"
	checking command = "check"
	loggedIn command = "login"
)

var commands = []command{pushing, checking, loggedIn}

// variant parts the row of a situation from what is special about it.
const variant = ", here: "

// checkItself is the part of a hint that leads to check, which it leaves out.
var checkItself = regexp.MustCompile(`; docker gitea check \*host\*[^;]*`)

// trouble is a row of a table: what is to be printed, and what the hint says there.
type trouble struct {
	cause, hint *regexp.Regexp
	advice      string
}

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
		case len(cells) == 3:
			rows[name] = trouble{inLine("cause", cells[1]), inLine("hint", cells[2]), strings.TrimSpace(cells[2])}
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

// patient is a machine on which something is wrong, and what is typed there.
type patient struct {
	command
	plugin, helper string
	// image is what is pushed; empty is one that each test has for itself.
	image        string
	gitea, plain *servers.Gitea
	// barred is a user of gitea who may not sign in.
	barred string
	took   *stopwatch
	// last has what was typed last in a test, by its name.
	last *sync.Map
	// limit is what a command may take; zero is [endless].
	limit time.Duration
}

func newPatient(t *testing.T, c command) *patient {
	t.Helper()
	return &patient{
		command: c, plugin: filepath.Join(pluginDir(t), "docker-gitea"), helper: filepath.Join(credhelperDir(t), credhelperName),
		gitea: gitea(t), plain: own(t, servers.GiteaOptions{PlainHTTP: true}), took: newStopwatch(),
		last: new(sync.Map),
	}
}

// address is a registry, and how one gets in.
type address struct {
	host, ca string
	auth     client.AuthConfig
	// server is the one that answers there, or scripted.
	server   *servers.Server
	scripted *registrytest.Server
}

func at(s *servers.Server, auth client.AuthConfig) address {
	return address{host: s.Host, ca: s.CAFile, auth: auth, server: s}
}

// entered is a command, and for which registry it is.
type entered struct {
	to   address
	env  []string
	args []string
}

func scripted(t *testing.T, config registrytest.Config, rules ...registrytest.Rule) address {
	t.Helper()
	srv := registrytest.Start(t, config)
	for _, rule := range rules {
		srv.Fault(rule)
	}
	return address{host: srv.Host, ca: srv.CAFile, auth: srv.Config().Auth, scripted: srv}
}

// run is what a program prints to somebody who has a credential for a.
func (p *patient) run(t *testing.T, a address, env []string, args ...string) string {
	t.Helper()
	if p.last != nil {
		p.last.Store(t.Name(), entered{a, slices.Clone(env), args})
	}
	ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(p.limit, time.Minute))
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	switch args[0] {
	case inItsNetwork[0]:
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	case withOtherFiles:
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "TMPDIR=" + t.TempDir(), "HOME=" + t.TempDir(),
		"DOCKER_GITEA_RETRIES=1", "DOCKER_CREDENTIAL_GITEA_STORAGE=file",
	}, env...)
	switch {
	case p.command == loggedIn:
		cmd.Stdin = strings.NewReader(cmp.Or(a.auth.Token, a.auth.Password, "token"))
	case a.auth.Token != "":
		cmd.Env = append(cmd.Env, "DOCKER_GITEA_HOST="+a.host, "DOCKER_GITEA_TOKEN="+a.auth.Token)
	case a.auth.Password != "":
		cmd.Stdin, cmd.Args = strings.NewReader(a.auth.Password), append(cmd.Args, "--password-stdin", "--username", a.auth.Username)
	}
	begin := time.Now()
	out, _ := cmd.CombinedOutput() // which is what is compared
	p.took.note(t.Name(), p.command, time.Since(begin), string(out))
	return string(out)
}

// typed is the command line for an image at a, with the options of a push, of which
// the other commands have some.
func (p *patient) typed(a address, repository string, options ...string) []string {
	switch p.command {
	case checking:
		args := append([]string{p.plugin, "check"}, known(options, "--plain-http", "--connect-timeout", "--stall-timeout")...)
		return append(args, p.trusting(a, a.host+"/"+repository)...)
	case loggedIn:
		args := []string{p.helper, "login", "--with-token"}
		if a.auth.Password != "" {
			args = []string{p.helper, "login", "--password-stdin", "--username", a.auth.Username}
		}
		return append(append(args, known(options, "--plain-http")...), p.trusting(a, a.host)...)
	case pushing:
	}
	args := append([]string{p.plugin, "push", "--progress", "plain"}, options...)
	return append(args, p.trusting(a, p.image, a.host+"/"+repository+":1")...)
}

func (p *patient) trusting(a address, args ...string) []string {
	if a.ca == "" {
		return args
	}
	return append([]string{"--ca-file", a.ca}, args...)
}

// known are those of the options, which are "--switch" or "--option", "value", that
// a command has.
func known(options []string, names ...string) []string {
	var kept []string
	for i, option := range options {
		if !slices.Contains(names, option) {
			continue
		}
		kept = append(kept, option)
		if i+1 < len(options) && !strings.HasPrefix(options[i+1], "-") {
			kept = append(kept, options[i+1])
		}
	}
	return kept
}

// try types the command for a repository.
func (p *patient) try(t *testing.T, a address, repository string, options ...string) string {
	t.Helper()
	return p.tryIn(t, a, nil, repository, options...)
}

// tryIn is try with more of the environment.
func (p *patient) tryIn(t *testing.T, a address, env []string, repository string, options ...string) string {
	t.Helper()
	with := p.ofItsOwn(t)
	if p.image == "" && p.command == pushing {
		repository += "/" + filepath.Base(with.image)
	}
	return p.run(t, a, env, with.typed(a, repository, options...)...)
}

// ofItsOwn is p with an image that no other test pushes, unless it has one: what is in
// the registry already would be found there.
func (p *patient) ofItsOwn(t *testing.T) *patient {
	t.Helper()
	if p.image != "" || p.command != pushing {
		return p
	}
	name := sha256.Sum256([]byte(t.Name()))
	with := *p
	with.image = filepath.Join(t.TempDir(), hex.EncodeToString(name[:4]))
	servers.Need(t, os.Rename(samples.Layout(t, 60, 2<<20+int(binary.BigEndian.Uint16(name[:]))), with.image))
	return &with
}

// requests is what nginx calls the requests that a proxy answers: those that begin
// an upload, of which a login has none.
func (p *patient) requests() string {
	if p.command == loggedIn {
		return "$request_uri ~ ^/v2/"
	}
	return "$request_method = POST"
}

// rule has a registry answer in another way to the requests of requests.
func (p *patient) rule(action registrytest.Action) registrytest.Rule {
	if p.command == loggedIn {
		return registrytest.Rule{Path: "^/v2/", Action: action}
	}
	return registrytest.Rule{Method: http.MethodPost, Action: action}
}

// come is a situation: it brings about what a row is for, and returns what the
// program says.
type come func(t *testing.T) string

// situations are those of all rows.
func (p *patient) situations(t *testing.T) map[string]come {
	t.Helper()
	all := map[string]come{}
	for _, some := range []map[string]come{p.onTheWay(t), p.certificates(t), p.proxies(), p.noRegistry(t), p.nobodyInParticular(t), p.limits(t), p.manifests(), p.failingServers(), p.thisMachine(), p.logins(t), p.fronted()} {
		maps.Copy(all, some)
	}
	return all
}

var admin = client.AuthConfig{Username: servers.AdminUser, Password: servers.AdminPassword}

// closedPort is an address of this machine where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	port, err := servers.FreePort()
	servers.Need(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// deaf is a port on which connections are taken, and nothing is heard.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, l.Close) })
	return l.Addr().String()
}

// inItsNetwork runs a program in a network of its own, withOtherFiles where other
// files are at paths of the system.
var inItsNetwork = []string{"sh", "-ec"}

const withOtherFiles = "/bin/sh"

// elsewhere has the program in a network of its own, and with another file at
// one of the system's paths.
func (p *patient) elsewhere(t *testing.T, setUp, host string) string {
	t.Helper()
	script := "ip link set lo up; " + setUp + `; exec "$@"`
	return p.run(t, address{host: host}, nil, append(append(slices.Clone(inItsNetwork), script, "sh"), p.ofItsOwn(t).typed(address{host: host}, "me/app")...)...)
}
