package plugin_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
	"go.uber.org/goleak"

	"github.com/docker-gitea/docker-gitea/plugin"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a machine with a docker daemon and a registry somewhere.
type desk struct {
	server *registrytest.Server
	daemon *httptest.Server
	env    map[string]string
	stdin  io.Reader

	stdout, stderr bytes.Buffer
	// exported are the names that the daemon was asked to export.
	exported []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, ".cache"))
	d := &desk{server: registrytest.Start(t, registrytest.Config{}), stdin: strings.NewReader("")}
	d.daemon = httptest.NewServer(http.HandlerFunc(d.serveDaemon))
	t.Cleanup(d.daemon.Close)
	d.env = map[string]string{
		"DOCKER_CONFIG":        home,
		"DOCKER_HOST":          strings.Replace(d.daemon.URL, "http", "tcp", 1),
		"DOCKER_GITEA_HOST":    d.server.Host,
		"DOCKER_GITEA_TOKEN":   registrytest.Token,
		"DOCKER_GITEA_CA_FILE": d.server.CAFile,
	}
	return d
}

// run calls the program as docker does.
func (d *desk) run(ctx context.Context, args ...string) int {
	d.stdout.Reset()
	d.stderr.Reset()
	return d.main(ctx, append([]string{"gitea"}, args...)...)
}

func (d *desk) main(ctx context.Context, args ...string) int {
	return plugin.Main(ctx, plugin.System{
		Program: "docker-gitea", Args: args, Version: "1.2.3",
		LookupEnv: func(key string) (string, bool) { value, set := d.env[key]; return value, set },
		Stdin:     d.stdin, Stdout: &d.stdout, Stderr: &d.stderr,
		Browser: func() func(string) error { return nil },
	})
}

// serveDaemon has two images: app:1 and app:latest are one, app:2 the other.
func (d *desk) serveDaemon(w http.ResponseWriter, req *http.Request) {
	path := strings.TrimPrefix(req.URL.Path, "/v1.41")
	one, two := archive("one"), archive("two")
	switch path {
	case "/_ping":
		w.Header().Set("Api-Version", "1.41")
	case "/images/json":
		fmt.Fprintf(w, `[{"Id":%q,"RepoTags":["app:1","app:latest"]},{"Id":%q,"RepoTags":["app:2"]}]`, one.id, two.id)
	case "/images/app:1/json", "/images/app/json":
		fmt.Fprintf(w, `{"Id":%q,"RepoTags":["app:1","app:latest"]}`, one.id)
	case "/images/get":
		name := req.URL.Query().Get("names")
		d.exported = append(d.exported, name)
		_, _ = w.Write(map[string]docker{"app:1": one, "app:latest": one, "app:2": two}[name].tar)
	default:
		http.Error(w, `{"message":"No such image"}`, http.StatusNotFound)
	}
}

func TestPushFromDaemon(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t.Context(), "push", "app", "alice/app"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	if _, _, found := d.server.Manifest("alice/app", "latest"); !found {
		t.Error("the registry has no alice/app:latest")
	}
	if !strings.HasPrefix(d.stdout.String(), "latest: digest: sha256:") || !strings.Contains(d.stderr.String(), "Using default tag: latest") {
		t.Errorf("got\n%s%s", &d.stdout, &d.stderr)
	}
	// An image that the registry has is not exported again.
	if code := d.run(t.Context(), "push", "app:1", "alice/app:again"); code != fault.ExitOK || len(d.exported) != 1 {
		t.Errorf("exit code %d, exported %v\n%s", code, d.exported, &d.stderr)
	}
}

func TestPushAllTags(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t.Context(), "push", "--all-tags", "app", "alice/app", "alice/copy"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	for _, repository := range []string{"alice/app", "alice/copy"} {
		if got := fmt.Sprint(d.server.Tags(repository)); got != "[1 2 latest]" {
			t.Errorf("%s: got %s, want [1 2 latest]", repository, got)
		}
	}
}

// Commands that only ask try again as a push does, as often as they are told.
func TestCommandsTryAgain(t *testing.T) {
	d := newDesk(t)
	for _, tag := range []string{"1", "2"} {
		if code := d.run(t.Context(), "push", "app", "alice/app:"+tag); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
	}
	busy := registrytest.ProxyError(http.StatusServiceUnavailable, "nginx")
	for _, test := range []struct {
		name string
		rule registrytest.Rule
		args []string
		code int
		hits int
		want string
	}{
		{"never", registrytest.Rule{Path: "/tags/list", Action: busy}, []string{"ls", "--retries", "0", "alice/app"}, fault.ExitFailed, 1, "hint: "},
		{"once", registrytest.Rule{Path: "/tags/list", Times: 1, Action: busy}, []string{"ls", "--retries", "1", "alice/app"}, fault.ExitOK, 1, ""},
		{"once too seldom", registrytest.Rule{Path: "/tags/list", Times: 2, Action: busy}, []string{"ls", "--retries", "1", "alice/app"}, fault.ExitFailed, 2, "hint: "},
		{"delete", registrytest.Rule{Method: http.MethodDelete, Times: 1, Action: busy}, []string{"rm", "-y", "--retries", "1", "alice/app:1"}, fault.ExitOK, 1, ""},
		{"delete, and the answer is lost", registrytest.Rule{Method: http.MethodDelete, Times: 1, Action: registrytest.Late{}}, []string{"rm", "-y", "--retries", "1", "alice/app:2"}, fault.ExitOK, 1, ""},
		{"ask Gitea's own API", registrytest.Rule{Path: "/api/v1/version", Action: busy}, []string{"link", "--retries", "0", "alice/app", "shop"}, fault.ExitFailed, 1, "cause: the registry failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer d.server.ClearFaults()
			fault := d.server.Fault(test.rule)
			if code := d.run(t.Context(), test.args...); code != test.code || fault.Hits() != test.hits {
				t.Errorf("got exit code %d after %d requests, want %d after %d\n%s", code, fault.Hits(), test.code, test.hits, &d.stderr)
			}
			if !strings.Contains(d.stderr.String(), test.want) {
				t.Errorf("%q is not in %s", test.want, &d.stderr)
			}
		})
	}
	if tags := d.server.Tags("alice/app"); len(tags) > 0 {
		t.Errorf("not deleted: %v", tags)
	}
}

func TestPushOfNoImage(t *testing.T) {
	d := newDesk(t)
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"mistyped", []string{"push", "app:11", "alice/app"}, "hint: did you mean app:1"},
		{"no tags", []string{"push", "-a", "other", "alice/app"}, `no image "other" in the docker daemon`},
		{"a directory", []string{"push", "..", "alice/app"}, "has neither the oci-layout"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if code := d.run(t.Context(), test.args...); code != fault.ExitFailed {
				t.Errorf("got exit code %d", code)
			}
			if !strings.Contains(d.stderr.String(), test.want) {
				t.Errorf("got\n%swant %q", &d.stderr, test.want)
			}
		})
	}
}

func TestPasswordFromStdin(t *testing.T) {
	d := newDesk(t)
	delete(d.env, "DOCKER_GITEA_TOKEN")
	for _, test := range []struct {
		name  string
		stdin string
		args  []string
		code  int
		want  string
	}{
		{"password", registrytest.Password + "\r\n", []string{"--password-stdin", "-u", registrytest.Username}, fault.ExitOK, ""},
		{"token", registrytest.Token + "\n", []string{"--password-stdin"}, fault.ExitOK, ""},
		{"empty", "\n", []string{"--password-stdin"}, fault.ExitUsage, "standard input is empty"},
		{"user alone", "", []string{"-u", "alice"}, fault.ExitUsage, "--username needs a password or token"},
		{"wrong", "wrong", []string{"--password-stdin", "-u", "alice"}, fault.ExitDenied, "401"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d.stdin = strings.NewReader(test.stdin)
			code := d.run(t.Context(), append([]string{"push", "app", "alice/app"}, test.args...)...)
			if code != test.code || !strings.Contains(d.stderr.String(), test.want) {
				t.Errorf("got exit code %d, want %d\n%s", code, test.code, &d.stderr)
			}
		})
	}
}

// An interrupt ends a push whose source has stopped giving bytes.
func TestInterrupt(t *testing.T) {
	d := newDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	t.Cleanup(func() { _ = writer.Close() })
	d.stdin = reader
	go func() {
		_, _ = writer.Write(archive("one").tar[:600])
		cancel()
	}()
	if code := d.run(ctx, "push", "-", "alice/app"); code != fault.ExitInterrupted {
		t.Errorf("got exit code %d", code)
	}
	if !strings.HasSuffix(d.stderr.String(), "docker gitea push: interrupted\n") || d.stdout.Len() > 0 {
		t.Errorf("got\n%s%s", &d.stdout, &d.stderr)
	}
}

func TestVariablesAreChecked(t *testing.T) {
	d := newDesk(t)
	d.env["DOCKER_GITEA_HOST"] = "user:canary@host"
	if code := d.run(t.Context(), "push", "app", "alice/app"); code != fault.ExitUsage ||
		!strings.Contains(d.stderr.String(), "DOCKER_GITEA_HOST: ") || strings.Contains(d.stderr.String(), "canary") {
		t.Errorf("got exit code %d\n%s", code, &d.stderr)
	}
}

func TestSmallCommands(t *testing.T) {
	d := newDesk(t)
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"", fault.ExitOK, "Usage:  docker gitea COMMAND"},
		{"--help", fault.ExitOK, "Examples:"},
		{"help", fault.ExitOK, "Registries:"},
		{"help push", fault.ExitOK, "Usage:  docker gitea push [OPTIONS]"},
		{"help pusj", fault.ExitUsage, `unknown command "pusj"`},
		{"version", fault.ExitOK, "docker-gitea 1.2.3 "},
		{"version now", fault.ExitUsage, `unexpected argument "now"`},
		{"completion bash", fault.ExitOK, "__start_docker-gitea"},
		{"completion zsh", fault.ExitOK, "#compdef docker-gitea"},
		{"completion fish", fault.ExitOK, "complete -c docker-gitea"},
		{"completion powershell", fault.ExitOK, "Register-ArgumentCompleter"},
		{"completion", fault.ExitUsage, "one of bash, zsh, fish and powershell is needed"},
		{"shell-init powershell", fault.ExitOK, "function docker {"},
		{"shell-init fish", fault.ExitOK, "function docker"},
		{"docker-cli-plugin-hooks {}", fault.ExitOK, `{"Type":0}`},
		{"docker-cli-plugin-hooks", fault.ExitOK, `{"Type":0}`},
	} {
		t.Run(test.args, func(t *testing.T) {
			if code := d.run(t.Context(), strings.Fields(test.args)...); code != test.code {
				t.Errorf("got exit code %d, want %d", code, test.code)
			}
			if out := d.stdout.String() + d.stderr.String(); !strings.Contains(out, test.want) {
				t.Errorf("got\n%s\nwant %q", out, test.want)
			}
		})
	}
}

// The help of every command fits a terminal of 80 columns.
func TestHelpIsNarrow(t *testing.T) {
	d := newDesk(t)
	d.run(t.Context(), "--help")
	commands := []string{""}
	for _, found := range regexp.MustCompile(`(?m)^  ([a-z-]+)  +[A-Z]`).FindAllStringSubmatch(d.stdout.String(), -1) {
		commands = append(commands, found[1])
	}
	if len(commands) < 10 {
		t.Fatalf("got only the commands %q", commands)
	}
	for _, command := range commands {
		d.run(t.Context(), strings.Fields(command+" --help")...)
		for line := range strings.Lines(d.stdout.String()) {
			if line = strings.TrimSuffix(line, "\n"); len(line) > 80 {
				t.Errorf("%s has %d columns: %s", command, len(line), line)
			}
		}
	}
}

// What most people need fits a screen, and --help-all shows the rest.
func TestHelpFitsAScreen(t *testing.T) {
	d := newDesk(t)
	for _, command := range []string{"push", "copy"} {
		shown := func(option string) (options int) {
			t.Helper()
			if code := d.run(t.Context(), command, option); code != fault.ExitOK {
				t.Fatalf("exit code %d\n%s", code, &d.stderr)
			}
			_, list, _ := strings.Cut(d.stdout.String(), "\nOptions:\n")
			list, _, _ = strings.Cut(list, "\n\n")
			return strings.Count(list, "\n") + 1
		}
		few, all := shown("--help"), shown("--help-all")
		if few > 24 || all < few+10 {
			t.Errorf("%s: %d lines of options, and %d of all", command, few, all)
		}
		if !strings.Contains(d.stdout.String(), "--stall-timeout") {
			t.Errorf("%s: --help-all lacks an option", command)
		}
	}
}

func TestMetadata(t *testing.T) {
	var stdout bytes.Buffer
	code := plugin.Main(t.Context(), plugin.System{Args: []string{"docker-cli-plugin-metadata"}, Stdout: &stdout, Version: "1.2.3"})
	var metadata map[string]string
	if err := json.Unmarshal(stdout.Bytes(), &metadata); err != nil {
		t.Fatal(err)
	}
	if code != fault.ExitOK || metadata["SchemaVersion"] != "0.1.0" || metadata["Vendor"] == "" || metadata["Version"] != "1.2.3" {
		t.Errorf("got exit code %d and %v", code, metadata)
	}
}

// docker is an image as `docker save` of the classic store writes it.
type docker struct {
	id  string
	tar []byte
}

func archive(content string) docker {
	layer := tarOf("file", []byte(content))
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, digestOf(layer))
	manifest := []byte(`[{"Config":"config.json","RepoTags":["app:1"],"Layers":["layer/layer.tar"]}]`)
	return docker{digestOf(config), tarOf("config.json", config, "layer/layer.tar", layer, "manifest.json", manifest)}
}

// tarOf writes names and contents, in pairs, to memory, which does not fail.
func tarOf(parts ...any) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(parts); i += 2 {
		name, _ := parts[i].(string)
		content, _ := parts[i+1].([]byte)
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
		_, _ = w.Write(content)
	}
	_ = w.Close()
	return out.Bytes()
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// A push that changes nothing says that it did not look, in words and in the
// report; with --verify it looks, and sends what is lost.
func TestVerify(t *testing.T) {
	d := newDesk(t)
	report := func(args ...string) (r v1alpha1.Push) {
		t.Helper()
		args = append([]string{"push", "--format", "json"}, args...)
		if code := d.run(t.Context(), append(args, "app", "alice/app")...); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
		if err := json.Unmarshal(d.stdout.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if first := report(); first.Status.Unverified {
		t.Error("the first push looked at nothing")
	}
	again := report()
	ready := again.Status.Conditions[len(again.Status.Conditions)-1]
	if !again.Status.Unverified || again.Status.Requests != 1 || ready.Reason != "Unchanged" || !strings.Contains(ready.Message, "--verify") {
		t.Errorf("nothing changed: %+v", again.Status)
	}
	if !strings.Contains(d.stderr.String(), "nothing has changed") || !strings.Contains(d.stderr.String(), "--verify") {
		t.Errorf("nothing changed: %s", &d.stderr)
	}
	c, err := remote.New(d.server.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	lost := digest.Digest(again.Status.Blobs[len(again.Status.Blobs)-1].Digest)
	resp, err := c.Ask(t.Context(), http.MethodDelete, "/v2/alice/app/blobs/"+lost.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if again := report(); !again.Status.Unverified {
		t.Errorf("a layer is lost, and nobody looked: %+v", again.Status)
	}
	verified := report("--verify")
	if _, found := d.server.HasBlob("alice/app", lost); !found || verified.Status.Unverified || !verified.Spec.Verify {
		t.Errorf("the layer is there: %v; %+v", found, verified.Status)
	}
	if want := "the registry has the manifest, but lacks " + lost.String(); !strings.Contains(d.stderr.String(), want) {
		t.Errorf("%q is not in %s", want, &d.stderr)
	}
}
