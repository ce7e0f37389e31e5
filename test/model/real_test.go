//go:build e2e

package model

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

var realCount = flag.Int("real", 5, "how many histories TestRealHistories makes up")

// TestRealHistories has histories happen with Gitea, the distribution registry
// and an engine of either store, all of them real.
func TestRealHistories(t *testing.T) {
	s := startStage(t)
	checks(t, *realCount)
	f := newFiles(t.TempDir())
	var l ledger
	check(t, nil, func(h history) error { return h.run(s.cast(), f, &l) })
	t.Log(&l)
	l.publish(t, "real servers")
}

// stage is the servers, which stay from one history to the next.
type stage struct {
	gitea               *servers.Gitea
	registry            *servers.Server
	classic, containerd *realEngine
	histories           int
}

func startStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{}
	var err error
	s.gitea, err = servers.StartGitea(t.Context(), servers.GiteaOptions{PlainHTTP: true})
	servers.Need(t, err)
	stopAfter(t, s.gitea.Stop)
	servers.Need(t, s.gitea.CreateUser(t.Context(), "alice", servers.AdminPassword))
	s.registry, err = servers.StartRegistry(t.Context(), servers.RegistryOptions{PlainHTTP: true, Auth: true})
	servers.Need(t, err)
	stopAfter(t, s.registry.Stop)
	s.classic = startEngine(t, servers.Classic)
	s.containerd = startEngine(t, servers.Containerd)
	return s
}

func stopAfter(t *testing.T, stop func() error) {
	t.Helper()
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// cast is for one more history: repositories of its own, and empty engines.
func (s *stage) cast() cast {
	s.histories++
	s.classic.empty()
	s.containerd.empty()
	repositories := func(owner string) [2]string {
		return [2]string{fmt.Sprintf("%s/h%d/app", owner, s.histories), fmt.Sprintf("%s/h%d/other", owner, s.histories)}
	}
	return cast{
		registries: [2]upstream{
			{handler: proxyTo(s.gitea.Host, nil), username: "alice", password: servers.AdminPassword, repositories: repositories("alice"), folds: true},
			{handler: proxyTo(s.registry.Host, nil), username: servers.RegistryUser, password: servers.RegistryPassword, repositories: repositories("team")},
		},
		classic: s.classic, containerd: s.containerd,
	}
}

// proxyTo passes requests on as they are. dial, when not nil, reaches the host.
func proxyTo(host string, dial func(context.Context, string, string) (net.Conn, error)) *httputil.ReverseProxy {
	target := &url.URL{Scheme: "http", Host: host}
	return &httputil.ReverseProxy{
		Transport: &http.Transport{DialContext: dial, ExpectContinueTimeout: time.Second}, FlushInterval: -1,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // in which the registry names its sessions
		},
	}
}

// realEngine implements [engine].
type realEngine struct {
	*httputil.ReverseProxy

	engine     *servers.Engine
	containerd bool
	dir        string
}

func startEngine(t *testing.T, store servers.Store) *realEngine {
	t.Helper()
	e, err := servers.StartEngine(t.Context(), store, servers.EngineOptions{})
	servers.Need(t, err)
	stopAfter(t, e.Stop)
	socket := strings.TrimPrefix(e.Host(), "unix://")
	return &realEngine{engine: e, containerd: store == servers.Containerd, dir: t.TempDir(), ReverseProxy: proxyTo("docker.invalid", func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	})}
}

// run runs a docker command.
func (e *realEngine) run(args ...string) []string {
	out, err := e.engine.Run(context.Background(), args...)
	must(err)
	return strings.Fields(out)
}

func (e *realEngine) load(p *picture, name string, platforms int) {
	archive := dockerArchive([]*picture{p}, []string{name})
	if e.containerd {
		documents := (&held{picture: p, platforms: min(platforms, len(p.members))}).presentDocuments()
		archive = containerdExport(p.root, p.members[0], documents, name, everything)
	}
	path := filepath.Join(e.dir, "image.tar")
	must(os.WriteFile(path, archive, 0o600))
	e.run("load", "--quiet", "--input", path)
}

func (e *realEngine) untag(name string) { e.run("rmi", "--no-prune", name) }

func (e *realEngine) prune() { e.run("image", "prune", "--force") }

func (e *realEngine) names() []string {
	return e.run("images", "--filter", "dangling=false", "--format", "{{.Repository}}:{{.Tag}}")
}

// empty removes every image, also those without a name, which docker 29 does not
// list by itself.
func (e *realEngine) empty() {
	if all := e.run("images", "--all", "--quiet", "--no-trunc"); len(all) > 0 {
		e.run(append([]string{"rmi", "--force"}, all...)...)
	}
}
