//go:build e2e

package test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/doctest"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// The limits in time of the proxies below, and the line to them: a layer takes half
// as long again as a request may.
const (
	requestLimit = 6 * time.Second
	lineRate     = 1_000_000 // bytes a second
	slowLayer    = 9_000_000
)

// TestLimitsInTime pushes through proxies that end every request after some seconds,
// over a line on which a layer takes longer. It arrives, what the limit is called is
// said, and the next push knows it. (Of haproxy and nginx the limits are on silence.)
func TestLimitsInTime(t *testing.T) {
	t.Parallel()
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for name, tc := range map[string]struct {
		seed  byte // of the layers, which no other push has
		start func(t *testing.T) address
		want  []string
	}{
		"Caddy": {80, func(t *testing.T) address {
			t.Helper()
			return limitedByCaddy(t, requestLimit)
		}, []string{"Caddy", "raise read_body"}},
		// Traefik is a server of Go's with this limit, and answers in these words.
		"Traefik's server": {82, func(t *testing.T) address {
			t.Helper()
			return limitedByGo(t, 499, "Client Closed Request")
		}, []string{"Traefik or another proxy written in Go", "respondingTimeouts.readTimeout"}},
		"a proxy that answers 504": {84, func(t *testing.T) address {
			t.Helper()
			return limitedByGo(t, http.StatusGatewayTimeout, "<html>")
		}, []string{"something in front of", "raise its limits on the time"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			front := overSlowLine(t, tc.start(t))
			p := &patient{command: pushing, plugin: plugin, took: newStopwatch()}
			home := t.TempDir()
			env := []string{"XDG_CACHE_HOME=" + home}
			push := func(seed byte) string {
				p.image = samples.Layout(t, seed, slowLayer)
				return p.tryIn(t, front, env, servers.AdminUser+"/slow", "--retries", "5")
			}
			out := push(tc.seed)
			for _, want := range append(tc.want, "digest: sha256:") {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if out := push(tc.seed + 1); !strings.Contains(out, "digest: sha256:") || strings.Contains(out, "Retrying") || strings.Contains(out, "ended a request") {
				t.Errorf("the second push met the limit again:\n%s", out)
			}
		})
	}
}

// overSlowLine is a server at the other end of a slow line.
func overSlowLine(t *testing.T, to address) address {
	t.Helper()
	_, port, err := net.SplitHostPort(slowLine(t, to.host))
	servers.Need(t, err)
	to.host = net.JoinHostPort(strings.Split(to.host, ":")[0], port)
	return to
}

// limitedByCaddy is Caddy in front of Gitea, which reads requests for so long.
func limitedByCaddy(t *testing.T, limit time.Duration) address {
	t.Helper()
	caddy, err := servers.StartCaddy(t.Context(), servers.CaddyOptions{Upstream: own(t, servers.GiteaOptions{PlainHTTP: true}).URL, Servers: "timeouts {\n read_body " + limit.String() + "\n }"})
	servers.Need(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(caddy.Log())
		}
		stop(t, caddy.Stop)
	})
	return at(caddy, admin)
}

// limitedByGo is a proxy in front of Gitea that reads requests for so long, and then
// answers.
func limitedByGo(t *testing.T, status int, text string) address {
	t.Helper()
	pass := inFrontOf(t, gitea(t), func(*http.Request) {}).(*httputil.ReverseProxy)
	pass.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	pass.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.Header().Set("Connection", "close")
		http.Error(w, text, status)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestLimit))
		pass.ServeHTTP(w, req)
	}))
	t.Cleanup(srv.Close)
	return address{host: strings.TrimPrefix(srv.URL, "http://"), auth: admin}
}

// slowLine passes connections on to upstream, and all that they send at lineRate.
func slowLine(t *testing.T, upstream string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servers.Need(t, err)
	pace := &pace{}
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			passing.Go(func() { pace.pass(conn.(*net.TCPConn), upstream) })
		}
	})
	t.Cleanup(func() { stop(t, l.Close); passing.Wait() })
	return l.Addr().String()
}

// pace is the line, on which one connection at a time has its turn.
type pace struct {
	mu   sync.Mutex // guards free
	free time.Time  // when the line is free again
}

func (p *pace) pass(down *net.TCPConn, upstream string) {
	defer down.Close()
	const window = 32 << 10 // what a line holds, not what a machine can
	_ = down.SetReadBuffer(window)
	up, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer up.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(down, up)
		_ = down.CloseWrite() // an answer arrives, also while more is being sent
	})
	defer back.Wait()
	defer up.Close()
	buffer := make([]byte, window/2)
	for {
		n, err := down.Read(buffer)
		if n > 0 {
			<-time.After(time.Until(p.turn(n)))
			if _, err := up.Write(buffer[:n]); err != nil {
				_, _ = io.Copy(io.Discard, down) // until it has read the answer
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// turn is when n bytes have gone over the line.
func (p *pace) turn(n int) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(n) * time.Second / lineRate)
	return p.free
}

// TestWideLimitInTime pushes 90 MB at 1 MB/s through a proxy that reads a request for
// 60 s, as Traefik does unless it is told otherwise.
func TestWideLimitInTime(t *testing.T) {
	wide(t)
	const limit, size = time.Minute, 90_000_000
	front := overSlowLine(t, limitedByCaddy(t, limit))
	p := &patient{command: pushing, plugin: filepath.Join(pluginDir(t), "docker-gitea"), took: newStopwatch(), limit: 10 * time.Minute}
	env := []string{"XDG_CACHE_HOME=" + t.TempDir()}
	var table strings.Builder
	table.WriteString("\n| push | seconds | met the limit |\n|---|---|---|\n")
	for i, name := range []string{"the first, which meets the limit", "the next, of another layer"} {
		begin := time.Now()
		p.image = samples.Layout(t, byte(86+i), size)
		out := p.tryIn(t, front, env, servers.AdminUser+"/slow", "--retries", "5")
		ended := strings.Count(out, "ended a request") // said once, when it is found
		t.Logf("%s: %v, and\n%s", name, time.Since(begin).Round(time.Second), out)
		if !strings.Contains(out, "digest: sha256:") || (ended == 0) != (i > 0) || i > 0 && strings.Contains(out, "Retrying") {
			t.Errorf("%s: got\n%s", name, out)
		}
		fmt.Fprintf(&table, "| %s | %.0f | %s |\n", name, time.Since(begin).Seconds(), []string{"no", "yes"}[min(ended, 1)])
	}
	if *update && !t.Failed() {
		doctest.Section(t, "../docs/reliability.md", "90 MB through a limit of 60 s", table.String()+"\n", true)
	}
}
