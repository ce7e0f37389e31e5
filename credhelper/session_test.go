package credhelper

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/credhelper/store"
)

func TestFresh(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	tests := map[string]struct {
		life, left time.Duration
		want       bool
	}{
		"new":                    {time.Hour, time.Hour, true},
		"15 minutes left":        {time.Hour, 15 * time.Minute, true},
		"less left":              {time.Hour, 15*time.Minute - 1, false},
		"expired":                {time.Hour, -time.Minute, false},
		"short life":             {8 * time.Minute, 2 * time.Minute, true},
		"short life, at its end": {8 * time.Minute, 2*time.Minute - 1, false},
		"long life":              {24 * time.Hour, 20 * time.Minute, true},
	}
	for name, tt := range tests {
		s := session{Issued: now.Add(tt.left - tt.life), Expiry: now.Add(tt.left)}
		if got := s.fresh(now); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

func TestGetRefreshesOnlyWhatExpires(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	loginPasting(t, m, g, g.host).must(t)
	first := get(t, m, g.host)
	if again := get(t, m, g.host); again != first || g.refreshes != 0 {
		t.Errorf("a fresh token was refreshed %d times", g.refreshes)
	}
	expire(t, m, g.host)
	second := get(t, m, g.host)
	if second.Secret == first.Secret || g.refreshes != 1 {
		t.Errorf("an expired token was refreshed %d times", g.refreshes)
	}
	if again := get(t, m, g.host); again != second || g.refreshes != 1 {
		t.Errorf("the new token was not kept")
	}
}

// S23, tea's and ecr-login's races.
func TestFiftyProcessesMakeOneRefresh(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	g.strict = true
	loginPasting(t, m, g, g.host).must(t)
	expire(t, m, g.host)
	var mu sync.Mutex
	secrets := map[string]int{}
	var group errgroup.Group
	group.SetLimit(16) // the one that refreshes is given up after a time
	for range 50 {
		group.Go(func() error {
			out, err := m.command(t, g.host, "get").Output()
			if err != nil {
				return err
			}
			var got credentials.Credentials
			if err := json.Unmarshal(out, &got); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			secrets[got.Secret]++
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if g.refreshes != 1 || len(secrets) != 1 {
		t.Errorf("got %d refreshes and %d different tokens, want 1 and 1", g.refreshes, len(secrets))
	}
}

// interruptedRefresh lets a process ask for a refresh and signals it before
// the answer. It returns whether the process ended well.
func interruptedRefresh(t *testing.T, m *userHome, g *fakeGitea, sig syscall.Signal) error {
	t.Helper()
	asked, release := make(chan struct{}), make(chan struct{})
	g.hold = func(*http.Request) {
		close(asked)
		<-release
	}
	cmd := m.command(t, g.host, "get")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if sig != syscall.SIGKILL {
		close(release)
		err := cmd.Wait()
		g.hold = nil
		return err
	}
	err := cmd.Wait()
	close(release)
	g.hold = nil
	return err
}

// S23: Ctrl-C reaches the helper when the server has already taken the old
// refresh token out of use.
func TestInterruptBetweenRefreshAndSaveLosesNothing(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			g, m := newFakeGitea(t, ""), newHome(t)
			g.strict = true
			loginPasting(t, m, g, g.host).must(t)
			expire(t, m, g.host)
			if err := interruptedRefresh(t, m, g, sig); err != nil {
				t.Errorf("get: %v", err)
			}
			expire(t, m, g.host)
			if got := get(t, m, g.host); !g.access[got.Secret] {
				t.Error("the login is lost")
			}
		})
	}
}

// S23: nothing is written before the answer, so a killed process leaves the
// old refresh token, which Gitea as it is set up by default still takes.
func TestKillBetweenRefreshAndSaveLosesNothing(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	loginPasting(t, m, g, g.host).must(t)
	expire(t, m, g.host)
	if err := interruptedRefresh(t, m, g, syscall.SIGKILL); err == nil {
		t.Fatal("the process survived")
	}
	if got := get(t, m, g.host); !g.access[got.Secret] {
		t.Error("the login is lost")
	}
}

func TestDeadSessionNamesTheWayOut(t *testing.T) {
	for _, code := range []string{"invalid_grant", "unauthorized_client", "invalid_client"} {
		g, m := newFakeGitea(t, ""), newHome(t)
		loginPasting(t, m, g, g.host).must(t)
		expire(t, m, g.host)
		g.refusal = code
		out := m.run(t, g.host, "get")
		if out.code != 1 || strings.Contains(out.stdout, "not found") || strings.Count(out.stdout, "\n") != 1 {
			t.Errorf("%s: got %d %q, want one line that is not the one for no login", code, out.code, out.stdout)
		}
		if want := "docker-credential-gitea login " + g.host; !strings.Contains(out.stderr, want) {
			t.Errorf("%s: got %q, want %q", code, out.stderr, want)
		}
		// S18: git's CVE-2024-52005.
		if strings.ContainsAny(out.all(), "\x1b\u202e") {
			t.Errorf("%s: the server writes to the terminal: %q", code, out.all())
		}
	}
}

// A server that is down does not take away a token that is still good.
func TestFailedRefreshUsesWhatIsStillGood(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	loginPasting(t, m, g, g.host).must(t)
	before := get(t, m, g.host)
	h := &helper{System: System{LookupEnv: func(key string) (string, bool) { value, set := m.env[key]; return value, set }}, dir: m.env[envDir]}
	if err := h.updateIndex(t.Context(), func(all index) { all[g.host].Session.Expiry = time.Now().Add(time.Minute) }); err != nil {
		t.Fatal(err)
	}
	g.broken = true
	if got := get(t, m, g.host); got != before {
		t.Error("got another token, want the one that is good for a minute")
	}
	expire(t, m, g.host)
	if out := m.run(t, g.host, "get"); out.code != 1 || !strings.Contains(out.stdout, "500") {
		t.Errorf("expired: got %d %q, want the server's status", out.code, out.stdout)
	}
}

func TestStoreOfOwnAccessTokenKeepsSession(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	loginPasting(t, m, g, g.host).must(t)
	got := get(t, m, g.host)
	expire(t, m, g.host)
	get(t, m, g.host)
	m.run(t, request(g.host, got.Username, got.Secret), "store").must(t)
	expire(t, m, g.host)
	if renewed := get(t, m, g.host); renewed.Secret == got.Secret || g.refreshes != 2 {
		t.Error("the session was overwritten by its own token")
	}
	m.run(t, request(g.host, "alice", "a password"), "store").must(t)
	if replaced := get(t, m, g.host); replaced.Secret != "a password" {
		t.Error("a new login did not replace the session")
	}
	if _, err := os.Stat(store.FilePath(m.env[envDir], store.Key{Host: g.host, Slot: store.SlotAccess})); err == nil {
		t.Error("the session's access token was left in the store")
	}
}

func TestWritersLoseNoEntry(t *testing.T) {
	m := newHome(t)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range 40 {
		group.Go(func() error {
			return m.command(t, request("h"+strings.Repeat("x", i)+".example.com", "u", "s"), "store").Run()
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var users map[string]string
	if err := json.Unmarshal([]byte(m.run(t, "", "list").must(t).stdout), &users); err != nil {
		t.Fatal(err)
	}
	if len(users) != 40 {
		t.Errorf("got %d entries, want 40", len(users))
	}
}

func TestWritersLoseNoApplication(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	// What is said of the registry is not said of the host of --root-url.
	certs := filepath.Join(m.env["DOCKER_CONFIG"], "certs.d", g.host)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})
	if err := errors.Join(os.MkdirAll(certs, 0o700), os.WriteFile(filepath.Join(certs, "ca.crt"), ca, 0o600)); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(8)
	for i := range 24 {
		group.Go(func() error {
			host := fmt.Sprintf("h%d.example.com", i)
			return m.command(t, "token", "register-app", "--with-token", "--root-url", g.URL, host).Run()
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	conf, err := (&helper{dir: m.env[envDir]}).loadConfig()
	if err != nil || len(conf.Hosts) != 24 {
		t.Errorf("got %d hosts, want 24 (%v)", len(conf.Hosts), err)
	}
}

func TestLockIsGivenOnce(t *testing.T) {
	h := &helper{dir: t.TempDir()}
	unlock, err := h.lock(t.Context(), "x", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.lock(ctx, "x", time.Second); err == nil {
		t.Error("a lock was given twice")
	}
	unlock()
	if unlock, err = h.lock(t.Context(), "x", time.Second); err != nil {
		t.Errorf("lock again: %v", err)
	} else {
		unlock()
	}
}
