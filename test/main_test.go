//go:build e2e

// Package test runs the real programs against real servers.
// What is started and how is in package servers; see README.md.
package test

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// The servers that tests share, each started by the first test that asks.
var (
	sharedGitea      = share("gitea", startShared(servers.GiteaOptions{}))
	sharedOlder      = share("gitea 1.26", startShared(servers.GiteaOptions{Older: true}))
	sharedForgejo    = share("forgejo", startShared(servers.GiteaOptions{Forgejo: true}))
	sharedRegistry   = share("registry", startSharedRegistry)
	sharedClassic    = share("classic engine", startSharedEngine(servers.Classic))
	sharedGraph      = share("graph engine", startSharedEngine(servers.Graph))
	sharedContainerd = share("containerd engine", startSharedEngine(servers.Containerd))
)

var update = flag.Bool("update", false, "write the tables that a test makes into docs/reliability.md")

// sideBySide is how many push side by side where that is what is tried.
const sideBySide = 50

// cleanups stop the shared servers that were started.
var cleanups struct {
	mu    sync.Mutex // guards stops
	stops []func() error
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, stop := range slices.Backward(cleanups.stops) {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop shared server:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// share makes a function that starts a server once and prints that it did.
func share[S interface{ Stop() error }](name string, start func(context.Context) (S, error)) func() (S, error) {
	return sync.OnceValues(func() (S, error) {
		begin := time.Now()
		// Not a test's context: the server outlives the test that started it.
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		s, err := start(ctx)
		if err != nil {
			return s, err
		}
		fmt.Fprintf(os.Stderr, "started %s in %s\n", name, time.Since(begin).Round(time.Millisecond))
		cleanups.mu.Lock()
		defer cleanups.mu.Unlock()
		cleanups.stops = append(cleanups.stops, s.Stop)
		return s, nil
	})
}

func startShared(opts servers.GiteaOptions) func(context.Context) (*servers.Gitea, error) {
	return func(ctx context.Context) (*servers.Gitea, error) { return servers.StartGitea(ctx, opts) }
}

func startSharedRegistry(ctx context.Context) (*servers.Server, error) {
	return servers.StartRegistry(ctx, servers.RegistryOptions{})
}

func startSharedEngine(store servers.Store) func(context.Context) (*servers.Engine, error) {
	return func(ctx context.Context) (*servers.Engine, error) {
		return servers.StartEngine(ctx, store, servers.EngineOptions{})
	}
}

// gitea returns the shared Gitea.
func gitea(t *testing.T) *servers.Gitea {
	t.Helper()
	g, err := sharedGitea()
	servers.Need(t, err)
	return g
}

// eachForge runs a test with the shared Gitea, with a shared one of the release
// before, and with a shared Forgejo.
func eachForge(t *testing.T, test func(*testing.T, *servers.Gitea)) {
	t.Helper()
	for name, start := range map[string]func() (*servers.Gitea, error){
		"Gitea": sharedGitea, "Gitea 1.26": sharedOlder, "Forgejo": sharedForgejo,
	} {
		t.Run(name, func(t *testing.T) {
			g, err := start()
			servers.Need(t, err)
			test(t, g)
		})
	}
}

// registry returns the shared distribution registry, which asks for no credentials.
func registry(t *testing.T) *servers.Server {
	t.Helper()
	s, err := sharedRegistry()
	servers.Need(t, err)
	return s
}

// engine returns the shared engine with the store.
func engine(t *testing.T, store servers.Store) *servers.Engine {
	t.Helper()
	start := map[servers.Store]func() (*servers.Engine, error){
		servers.Classic: sharedClassic, servers.Graph: sharedGraph, servers.Containerd: sharedContainerd,
	}[store]
	e, err := start()
	servers.Need(t, err)
	return e
}

// program returns the path of a program.
func program(tb testing.TB, name string) string {
	tb.Helper()
	path, err := servers.Program(name)
	servers.Need(tb, err)
	return path
}

// newUser makes a user with servers.AdminPassword and a name of its own.
func newUser(t *testing.T, g *servers.Gitea) string {
	t.Helper()
	name := "u" + strings.ToLower(rand.Text()[:10])
	servers.Need(t, g.CreateUser(t.Context(), name, servers.AdminPassword))
	return name
}

// behind starts nginx in front of upstream.
func behind(t *testing.T, opts servers.NginxOptions) *servers.Server {
	t.Helper()
	n, err := servers.StartNginx(t.Context(), opts)
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, n.Stop) })
	return n
}

// askingRegistry starts a distribution registry that asks for a password, over
// plain HTTP.
func askingRegistry(t *testing.T) *servers.Server {
	t.Helper()
	s, err := servers.StartRegistry(t.Context(), servers.RegistryOptions{PlainHTTP: true, Auth: true})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, s.Stop) })
	return s
}

// own starts a Gitea with settings of its own.
func own(t *testing.T, opts servers.GiteaOptions) *servers.Gitea {
	t.Helper()
	g, err := servers.StartGitea(t.Context(), opts)
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, g.Stop) })
	owners.Store(g.Server, g)
	return g
}

// owners are the Giteas of own, by their servers.
var owners sync.Map

func ownedBy(s *servers.Server) *servers.Gitea {
	g, _ := owners.Load(s)
	return g.(*servers.Gitea) //nolint:forcetypeassert // what own stores
}
