package plugin_test

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// --timeout bounds what comes before the push, too: a helper and a daemon that
// never answer.
func TestTimeoutOfTheCommand(t *testing.T) {
	deaf, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	for name, set := range map[string]func(d *desk, dir string){
		"the docker daemon at tcp://": func(d *desk, _ string) { d.env["DOCKER_HOST"] = "tcp://" + deaf.Addr().String() },
		"docker-credential-slow": func(d *desk, dir string) {
			place{
				docker: `{"credHelpers":{"<host>":"slow"}}`,
				files:  map[string]string{"bin/docker-credential-slow": "#!/bin/sh\nexec sleep 600\n"},
			}.sit(t, d, dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			set(d, t.TempDir())
			code := d.run(t.Context(), "push", "--timeout", "2s", "app", d.server.Host+"/alice/app")
			if code != fault.ExitTemporary || !strings.Contains(d.stderr.String(), "docker gitea push: "+name) || !strings.Contains(d.stderr.String(), " has not answered: ") || !strings.Contains(d.stderr.String(), "after 2s") || !strings.Contains(d.stderr.String(), "cause: the time limit was reached") {
				t.Errorf("got exit code %d\n%s", code, &d.stderr)
			}
		})
	}
}

// Ctrl-C goes to a credential helper too, which may end before the signal is heard here.
func TestInterruptOfAHelper(t *testing.T) {
	for name, end := range map[string]string{"by the signal": "kill -INT $$", "as a shell": "exit 130"} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			place{
				docker: `{"credHelpers":{"<host>":"slow"}}`,
				files:  map[string]string{"bin/docker-credential-slow": "#!/bin/sh\n" + end + "\n"},
			}.sit(t, d, t.TempDir())
			code := d.run(t.Context(), "push", "app", d.server.Host+"/alice/app")
			if got, want := d.stderr.String(), "docker gitea push: interrupted\n"; code != fault.ExitInterrupted || got != want {
				t.Errorf("got exit code %d\n%s", code, got)
			}
		})
	}
}

// awaited is closed when something has been written.
type awaited struct {
	text string
	once sync.Once
	seen chan struct{}
}

func (a *awaited) Write(p []byte) (int, error) {
	if strings.Contains(string(p), a.text) {
		a.once.Do(func() { close(a.seen) })
	}
	return len(p), nil
}

// A registry that does not answer is named, whatever it is asked.
func TestSilentRegistryIsNamed(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t.Context(), "push", "app", "alice/app:1"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	for _, args := range [][]string{
		{"ls", "alice"},
		{"ls", "alice/app"},
		{"tag", "alice/app:1", "2"},
		{"link", "alice/app", "shop"},
		{"unlink", "alice/app"},
		{"open", "--print", "alice/app"},
		{"rm", "-y", "alice/app:1"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			stderr := &awaited{text: "waiting: " + d.server.Host + " has ", seen: make(chan struct{})}
			d.server.ClearFaults()
			d.server.Fault(registrytest.Rule{Times: 1, Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
				select {
				case <-stderr.seen:
				case <-req.Context().Done():
					t.Error("nothing was said")
				}
				next.ServeHTTP(w, req)
			})})
			plugin.Main(t.Context(), plugin.System{
				Program: "docker-gitea", Args: append([]string{"gitea"}, append(args, "--stall-timeout", "20s", "--retries", "0")...), Version: "1.2.3",
				LookupEnv: func(key string) (string, bool) { value, set := d.env[key]; return value, set },
				Stdin:     d.stdin, Stdout: &d.stdout, Stderr: stderr,
				Browser: func() func(string) error { return nil },
			})
			select {
			case <-stderr.seen:
			default:
				t.Error("it was not said who has not answered")
			}
		})
	}
}
