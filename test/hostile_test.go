package test

import (
	"crypto/tls"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/hostile"
)

// hostileCalls is what the real programs ask a hostile registry. One that begins
// with "credential" is one of the helper.
var hostileCalls = []string{
	"ls HOST", "ls HOST/me", "ls -q HOST/me/app", "ls --json HOST/me", "ls --format {{.}} HOST/me",
	"check HOST/me/app", "check --json HOST/me/app", "-D check HOST/me/app", "trust HOST", "trust --yes HOST",
	"link HOST/me/app auto", "link HOST/me/app:1 shop", "unlink HOST/me/app", "open --print HOST/me/app", "open HOST/me/app", "rm --force HOST/me/app:1",
	"push IMAGE HOST/me/app:1", "-D push --progress plain IMAGE HOST/willing/app:1", "push --progress json --link auto IMAGE HOST/willing/app:1",
	"push -q --format {{.}} --metadata-file metadata --digest-file digest IMAGE HOST/willing/app:2",
	"__complete ls HOST/", "__complete open HOST/fine/", "__complete rm HOST/fine/app:", "__complete push app HOST/finer/",
	"credential login --with-token --plain-http HOST", "credential login --username me --password-stdin HOST", "credential login --paste HOST",
	"credential register-app --with-token HOST", "credential doctor HOST", "credential get", "credential store", "credential erase", "credential status --debug",
}

// TestHostileRegistryByTheRealPrograms has both programs push to, list, check,
// link, open, complete and log in to a registry whose every text is a payload, with
// and without TLS; its certificate is one as well. No output has anything that a terminal
// would act upon, no payload begins a line, and no file appears.
func TestHostileRegistryByTheRealPrograms(t *testing.T) {
	t.Parallel()
	plugin, helper := filepath.Join(pluginDir(t), "docker-gitea"), filepath.Join(credhelperDir(t), "docker-credential-gitea")
	images := t.TempDir()
	if err := writePluginImages(images); err != nil {
		t.Fatal(err)
	}
	for i, payload := range hostile.Payloads {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(hostile.New(payload))
			if i%2 == 0 {
				server.Start()
			} else {
				certificate, err := hostile.Certificate(payload)
				if err != nil {
					t.Fatal(err)
				}
				server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
				server.StartTLS()
			}
			t.Cleanup(server.Close)
			_, host, _ := strings.Cut(server.URL, "://")
			for j, call := range hostileCalls {
				if (i+j)%3 != 0 {
					continue
				}
				v := hostileGuest{home: t.TempDir(), work: t.TempDir(), host: host, insecure: i%2 == 1}
				v.call(t, plugin, helper, filepath.Join(images, "archive.tar"), call)
			}
		})
	}
}

// hostileGuest asks a hostile registry.
type hostileGuest struct {
	home, work, host string
	insecure         bool
}

func (v hostileGuest) call(t *testing.T, plugin, helper, archive, call string) {
	t.Helper()
	program, args := plugin, strings.Fields(strings.NewReplacer("HOST", v.host, "IMAGE", archive).Replace(call))
	if args[0] == "credential" {
		program, args = helper, args[1:]
	}
	if v.insecure && !strings.Contains(call, "check") && !strings.Contains(call, "trust") { // which say what the certificate is
		switch args[0] {
		case "login", "register-app":
			args = append(args, "--insecure")
		}
	}
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir = v.work
	c.Stdin = strings.NewReader(v.host)
	c.Env = []string{
		"HOME=" + v.home, "PATH=" + v.work + ":/bin:/usr/bin", "DOCKER_HOST=tcp://127.0.0.1:1", "BROWSER=echo", "DOCKER_CREDENTIAL_GITEA_STORAGE=file",
		"DOCKER_GITEA_HOST=" + v.host, "DOCKER_GITEA_TOKEN=a-token-of-mine", "DOCKER_GITEA_RETRIES=0", "DOCKER_GITEA_PLAIN_HTTP=" + fmt.Sprint(!v.insecure),
	}
	if v.insecure && !strings.Contains(call, "check") && !strings.Contains(call, "trust") {
		c.Env = append(c.Env, "DOCKER_GITEA_INSECURE=true")
	}
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	text := string(out)
	if r := hostile.Acts(text); r != 0 || hostile.BeginsLine(text) || strings.Contains(text, "panic:") {
		t.Errorf("%s (%v) prints %q: %.2000q", call, err, r, text)
	}
	wanted := map[string]bool{"metadata": true, "digest": true}
	entries, err := os.ReadDir(v.work)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !wanted[entry.Name()] {
			t.Errorf("%s: there is %s", call, entry.Name())
		}
	}
	if _, err := os.Lstat(filepath.Join(filepath.Dir(v.work), hostile.Mark)); err == nil {
		t.Errorf("%s: there is a file beside the directory", call)
	}
}
