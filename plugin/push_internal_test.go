package plugin

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/target"
)

func TestParseInvocation(t *testing.T) {
	for _, test := range []struct {
		name    string
		program string
		args    string
		want    form
	}{
		{"docker", "/usr/lib/docker/cli-plugins/docker-gitea", "gitea push app", formDocker},
		{"docker with global options", "docker-gitea", "--context gitea -D -H tcp://h --log-level=debug gitea push app", formDocker},
		{"docker help", "docker-gitea", "help gitea", formDocker},
		{"docker completion", "docker-gitea", "__complete --context x gitea push ", formDocker},
		{"option of its own", "docker-gitea", "gitea --help", formDocker},
		{"alone", "/usr/bin/docker-gitea", "push app", formStandalone},
		{"alone with global options", "docker-gitea", "-H gitea push app", formStandalone},
		{"alone for help", "docker-gitea", "--help", formStandalone},
		{"alone without arguments", "docker-gitea", "", formStandalone},
		{"an image called gitea", "docker-gitea", "push gitea", formStandalone},
		{"link", "/home/me/bin/docker-gitea-push", "gitea host/me/gitea", formPush},
		{"link on Windows", `C:\bin\Docker-Gitea-Push.EXE`, "app", formPush},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, args := parseInvocation(test.program, strings.Fields(test.args))
			if got != test.want || strings.Join(args, " ") != strings.TrimSpace(test.args) {
				t.Errorf("got form %d with %q, want %d", got, args, test.want)
			}
		})
	}
}

func TestPlanPushRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		args string
		want string
		hint string
	}{
		{"no registry", "app", `"app" names no registry, so a DESTINATION is needed`, "docker gitea push app HOST/OWNER/app"},
		{"no host", "app me/app:1", `destination "me/app:1" names no registry`, "DOCKER_GITEA_HOST"},
		{"path without destination", "./app.tar", "a DESTINATION is needed", ""},
		{"upper case", "app h.example/me/App", "names are lower case", ""},
		{"source in upper case", "App h.example/me/app", `image "App": invalid reference format`, ""},
		{"stdin to two repositories", "- h.example/me/app h.example/me/app2", "standard input can be read only once", "file"},
		{"--tag with a reference", "app h.example/me/app -t h.example/me/app:2", `--tag "h.example/me/app:2" is not a tag`, "DESTINATION"},
		{"--tag with the name of a branch", "app h.example/me/app -t feature/x", `invalid name "feature/x": a tag has no "/", as the name of a branch may have (did you mean "feature-x"?)`, ""},
		{"a branch as tag", "app h.example:3000/me/app:feature/X_1", `(did you mean "h.example:3000/me/app:feature-X_1"?)`, ""},
		{"a branch as tag, without an owner", "app app:feature/x", `(did you mean "app:feature-x"?)`, ""},
		{"--tag malformed", "app h.example/me/app -t a+b", `invalid name "a+b"`, ""},
		{"--all-tags with a tag", "app:1 h.example/me/app -a", "--all-tags wants a SOURCE without a tag", ""},
		{"--all-tags to a tag", "app h.example/me/app:1 -a", `destination "h.example/me/app:1" has a tag`, ""},
		{"--all-tags of a file", "./app.tar h.example/me/app -a", "--all-tags is for images of the docker daemon", ""},
		{"--all-tags with --tag", "app h.example/me/app -a -t 1", "--all-tags and --tag exclude each other", ""},
		{"--image of the daemon", "app h.example/me/app --image x", "--image chooses from a file", ""},
		{"--image of a registry", "docker://h.example/me/a h.example/me/app --image x", "--image chooses from a file", ""},
		{"--all-tags of a registry", "docker://h.example/me/a h.example/me/app -a", "--all-tags is for images of the docker daemon", ""},
		{"a registry without a destination", "docker://h.example/me/a", "a DESTINATION is needed", ""},
		{"a malformed image of a registry", "docker://h.example/me/A h.example/me/app", "docker://h.example/me/A: invalid reference format", ""},
		{"--cert alone", "app h.example/me/app --cert c.pem", "--cert and --key go together", ""},
		{"--insecure and --plain-http", "app h.example/me/app --insecure --plain-http", "exclude each other", ""},
		{"password and image on stdin", "- h.example/me/app --password-stdin", "--password-stdin and an image on standard input exclude each other", ""},
		{"one password for two registries", "app h.example/me/app i.example/me/app --password-stdin", "are for one registry", ""},
		{"negative timeout", "app h.example/me/app --timeout -1s", "timeout -1s is negative", ""},
		{"unknown compression", "app h.example/me/app --compression lzma", `compression "lzma" is not one of`, ""},
		{"compression level", "app h.example/me/app --compression-level 23", "compression level 23", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			flags := pushFlags(t, strings.Fields(test.args)...)
			_, err := planPush(options.Layers{Flags: flags, Getenv: noEnvironment}, flags.Args(), target.Naming{}, func(string) bool { return false })
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if code := fault.ExitCode(t.Context(), err); code != fault.ExitUsage {
				t.Errorf("got exit code %d, want %d", code, fault.ExitUsage)
			}
			if test.hint != "" && !strings.Contains(fault.Diagnose(err).Hint, test.hint) {
				t.Errorf("got the hint %q, want %q", fault.Diagnose(err).Hint, test.hint)
			}
		})
	}
}

func TestEnvironmentCredential(t *testing.T) {
	for _, test := range []struct {
		name   string
		env    map[string]string
		token  string
		notice string
	}{
		{"own", map[string]string{"DOCKER_GITEA_TOKEN": "a", "DOCKER_GITEA_HOST": "git.example.com"}, "a", ""},
		{"own, as a URL", map[string]string{"DOCKER_GITEA_TOKEN": "a", "DOCKER_GITEA_HOST": "https://GIT.example.com/"}, "a", ""},
		{"own for another host", map[string]string{"DOCKER_GITEA_TOKEN": "a", "DOCKER_GITEA_HOST": "git.example.com.evil.example"}, "", "DOCKER_GITEA_TOKEN is not used: by DOCKER_GITEA_HOST it is for git.example.com.evil.example, not for git.example.com"},
		{"own for another port", map[string]string{"DOCKER_GITEA_TOKEN": "a", "DOCKER_GITEA_HOST": "git.example.com:444"}, "", "it is for git.example.com:444"},
		{"own for nobody", map[string]string{"DOCKER_GITEA_TOKEN": "a"}, "", "DOCKER_GITEA_TOKEN is not used"},
		{"Gitea Actions", map[string]string{"GITEA_TOKEN": "b", "GITEA_SERVER_URL": "https://git.example.com"}, "b", ""},
		{"Actions of another server", map[string]string{"GITEA_TOKEN": "b", "GITHUB_SERVER_URL": "https://github.com", "DOCKER_GITEA_HOST": "git.example.com"}, "", "by GITHUB_SERVER_URL it is for github.com"},
		{"at hand", map[string]string{"GITEA_TOKEN": "b", "DOCKER_GITEA_HOST": "git.example.com"}, "b", ""},
		{"both", map[string]string{"GITEA_TOKEN": "b", "DOCKER_GITEA_TOKEN": "a", "DOCKER_GITEA_HOST": "git.example.com"}, "a", ""},
		{"none", nil, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, notice, err := inEnvironment(test.env).environmentCredential("git.example.com", "")
			if err != nil {
				t.Fatal(err)
			}
			if got.Token != test.token || (test.notice == "") != (notice == "") || !strings.Contains(notice, test.notice) {
				t.Errorf("got a token %t, notice %q; want %t, %q", got.Token != "", notice, test.token != "", test.notice)
			}
		})
	}
	_, _, err := inEnvironment(map[string]string{"DOCKER_GITEA_TOKEN": "a", "DOCKER_GITEA_HOST": "user:canary@git.example.com"}).environmentCredential("git.example.com", "")
	if err == nil || !strings.Contains(err.Error(), "DOCKER_GITEA_HOST") || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v, want an error that names the variable and no password", err)
	}
}

// inEnvironment is a program with these variables set, and no others.
func inEnvironment(env map[string]string) *app {
	return &app{System: System{LookupEnv: func(key string) (string, bool) { value, set := env[key]; return value, set }, Stderr: io.Discard}}
}

// What a server says cannot steer the terminal.
func TestFailPrintsSafely(t *testing.T) {
	var stderr strings.Builder
	a := &app{System: System{Stderr: &stderr}}
	a.fail(t.Context(), "docker gitea push", fault.WithHint(errors.New("denied: \x1b]0;x\x07\x1b[2J\u202eevil"), "first\nsecond"))
	want := "docker gitea push: denied: ]0;x[2Jevil\nhint: first\nhint: second\n"
	if diff := cmp.Diff(want, stderr.String()); diff != "" {
		t.Error(diff)
	}
}

// The socket's end cancels; releasing it leaves nothing behind.
func TestWatchSocket(t *testing.T) {
	address := t.TempDir() + "/socket"
	listener, err := net.Listen("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, release := watchSocket(t.Context(), address)
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatal("cancelled too early")
	}
	conn.Close()
	<-ctx.Done()
	release()

	for _, address := range []string{"", "/no/such/socket"} {
		ctx, release := watchSocket(t.Context(), address)
		if ctx.Err() != nil {
			t.Errorf("%q: cancelled without a socket", address)
		}
		release()
	}
}

// pushFlags are the options of a push, parsed.
func pushFlags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(options.Settings).Register(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func noEnvironment(string) string { return "" }

func FuzzParseInvocation(f *testing.F) {
	f.Add("docker-gitea", "--context x gitea push")
	f.Add("docker-gitea-push", "-H")
	f.Add(`C:\docker-gitea.exe`, "__complete help gitea -- --log-level")
	f.Fuzz(func(_ *testing.T, program, args string) {
		parseInvocation(program, strings.Fields(args))
	})
}
