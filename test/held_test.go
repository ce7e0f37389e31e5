//go:build e2e

package test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestServersThatPeopleHave pushes through settings that people reported of other
// programs. With most of them the image arrives; of the others the cause is said.
func TestServersThatPeopleHave(t *testing.T) {
	t.Parallel()
	p := newPatient(t, pushing)
	behindNginx := func(opts servers.NginxOptions, changes ...string) come {
		return func(t *testing.T) string {
			t.Helper()
			opts := opts
			opts.Upstream, opts.MaxBody = p.plain.URL, "0"
			n := behind(t, opts)
			s := &scene{patient: p, T: t, entered: entered{to: at(n, admin)}}
			if len(changes) > 0 {
				s.set(changes...)
			}
			return p.try(t, at(n, admin), servers.AdminUser+"/app", "--retries", "5")
		}
	}
	ofGitea := func(settings map[string]string) come {
		return func(t *testing.T) string {
			t.Helper()
			g := own(t, servers.GiteaOptions{Settings: settings})
			name := newUser(t, g)
			token, err := g.CreateToken(t.Context(), name, "write:package")
			servers.Need(t, err)
			return p.try(t, at(g.Server, client.AuthConfig{Token: token}), name+"/app")
		}
	}
	for name, test := range map[string]struct {
		come come
		want string
	}{
		"nginx that waits two seconds":        {behindNginx(servers.NginxOptions{Directives: "proxy_read_timeout 2s; proxy_send_timeout 2s; client_body_timeout 2s; send_timeout 2s;"}), arrived},
		"nginx with one request a connection": {behindNginx(servers.NginxOptions{Server: "keepalive_requests 1;"}), arrived},
		"nginx without keep-alive":            {behindNginx(servers.NginxOptions{Server: "keepalive_timeout 0;"}), arrived},
		"nginx with a limit of rate": {behindNginx(servers.NginxOptions{},
			"\tserver {", "\tlimit_req_zone $binary_remote_addr zone=few:1m rate=10r/s;\n\tserver {",
			"proxy_http_version 1.1;", "proxy_http_version 1.1; limit_req zone=few burst=3; limit_req_status 429;"), arrived},
		"nginx that lets read":                       {behindNginx(servers.NginxOptions{Directives: "limit_except GET { deny all; }"}), "refuses the request before Gitea sees it"},
		"nginx by HTTP/1.1":                          {behindNginx(servers.NginxOptions{}, " ssl http2;", " ssl;"), arrived},
		"Gitea that wants everybody to sign in":      {ofGitea(map[string]string{"service.REQUIRE_SIGNIN_VIEW": "true"}), arrived},
		"Gitea without Basic authentication":         {ofGitea(map[string]string{"service.ENABLE_BASIC_AUTHENTICATION": "false"}), arrived},
		"Gitea that wants two factors of everybody":  {ofGitea(map[string]string{"security.TWO_FACTOR_AUTH": "enforced"}), arrived},
		"a password with whatever a password may be": {oddPassword(p), arrived},
		"an authority with the line ends of Windows": {func(t *testing.T) string {
			t.Helper()
			content, err := os.ReadFile(p.gitea.CAFile)
			servers.Need(t, err)
			a := at(p.gitea.Server, admin)
			a.ca = filepath.Join(t.TempDir(), "ca.crt")
			samples.WriteFile(t, a.ca, bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n")))
			return p.try(t, a, servers.AdminUser+"/app")
		}, arrived},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out := test.come(t); !strings.Contains(out, test.want) {
				t.Errorf("got, and not %q:\n%s", test.want, out)
			}
		})
	}
}

// arrived is in what a push prints that has succeeded.
const arrived = "digest: sha256:"

func oddPassword(p *patient) come {
	return func(t *testing.T) string {
		t.Helper()
		const password = `p:ä "x\y' %2F$HOME`
		name := newUser(t, p.gitea)
		servers.Need(t, p.gitea.API(t.Context(), http.MethodPatch, "/admin/users/"+name, map[string]any{"login_name": name, "source_id": 0, "password": password}, nil))
		return p.try(t, at(p.gitea.Server, client.AuthConfig{Username: name, Password: password}), name+"/app")
	}
}

// TestPlacesThatPeoplePushFrom runs the push where little is there.
func TestPlacesThatPeoplePushFrom(t *testing.T) {
	t.Parallel()
	p := newPatient(t, pushing)
	wide := strings.Repeat("a line of text, and no archive\n", 40)
	for name, test := range map[string]struct {
		// script is run by sh; "$@" is the push.
		script string
		env    []string
		// content is that of a file in the place of the image, unless it is nil.
		content func(t *testing.T, image string) []byte
		want    string
	}{
		"a pipe that closes":           {script: `"$@" 2>&1 | head -n 1`, want: "The push refers to repository"},
		"no standard input":            {script: `"$@" <&-`, want: arrived},
		"no standard output":           {script: `"$@" >&- ; echo "exit code $?"`, want: "exit code "},
		"no standard error":            {script: `"$@" 2>&-`, want: arrived},
		"cron":                         {script: `env -i PATH="$PATH" DOCKER_GITEA_HOST="$DOCKER_GITEA_HOST" DOCKER_GITEA_TOKEN="$DOCKER_GITEA_TOKEN" "$@"`, want: arrived},
		"a cache that is read-only":    {script: `"$@"`, env: []string{"XDG_CACHE_HOME=/proc"}, want: arrived},
		"a terminal of one column":     {script: `script -qec 'stty cols 1; "$0" "$@"' /dev/null`, want: "sha256:"},
		"a text in UTF-16":             {script: `"$@"`, content: func(*testing.T, string) []byte { return inUTF16(wide) }, want: "is neither a tar nor a directory with an image in it"},
		"an archive that is cut short": {script: `"$@"`, content: func(t *testing.T, _ string) []byte { t.Helper(); return samples.DockerArchive(t, 78, 1<<20)[:500_000] }, want: "docker-gitea push: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, err := p.gitea.CreateToken(t.Context(), servers.AdminUser, "write:package")
			servers.Need(t, err)
			with := p.ofItsOwn(t)
			if test.content != nil {
				file := filepath.Join(t.TempDir(), "image.tar")
				samples.WriteFile(t, file, test.content(t, with.image))
				with.image = file
			}
			a := at(p.gitea.Server, client.AuthConfig{Token: token})
			typed := with.typed(a, servers.AdminUser+"/app")
			if strings.HasPrefix(test.script, "script ") {
				typed = slices.DeleteFunc(typed, func(arg string) bool { return arg == "--progress" || arg == "plain" })
				test.script = `script -qec "stty cols 1; $*" /dev/null`
			}
			cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", test.script, "sh"}, typed...)...)
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "DOCKER_GITEA_HOST=" + a.host, "DOCKER_GITEA_TOKEN=" + token}, test.env...)
			out, _ := cmd.CombinedOutput() // what is printed tells
			if !strings.Contains(string(out), test.want) || strings.Contains(string(out), "panic") {
				t.Errorf("got, and not %q:\n%s", test.want, out)
			}
		})
	}
}

// inUTF16 is a text as some editors of Windows write it.
func inUTF16(text string) []byte {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return out
}
