package plugin_test

import (
	"net"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
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
		"daemon": func(d *desk, _ string) { d.env["DOCKER_HOST"] = "tcp://" + deaf.Addr().String() },
		"helper": func(d *desk, dir string) {
			place{
				docker: `{"credHelpers":{"<host>":"slow"}}`,
				files:  map[string]string{"bin/docker-credential-slow": "#!/bin/sh\nexec sleep 600\n"},
			}.sit(t, d, dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			set(d, t.TempDir())
			code := d.run(t.Context(), "push", "--timeout", "300ms", "app", d.server.Host+"/alice/app")
			if code != fault.ExitTemporary || !strings.Contains(d.stderr.String(), "after 300ms") || !strings.Contains(d.stderr.String(), "cause: the time limit was reached") {
				t.Errorf("got exit code %d\n%s", code, &d.stderr)
			}
		})
	}
}
