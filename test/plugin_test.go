package test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/programs"
	"github.com/docker-gitea/docker-gitea/test/samples"
)

// pluginDir returns a directory that holds docker-gitea, built as it is
// released, and a link docker-gitea-push to it.
func pluginDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	cmd := exec.CommandContext(tb.Context(), "go", "build", "-trimpath", "-tags=nethttpomithttp2", "-ldflags=-s -w -X main.version=1.2.3", "-o", dir, "../cmd/docker-gitea")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v: %s", err, out)
	}
	if err := os.Symlink("docker-gitea", filepath.Join(dir, "docker-gitea-push")); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// TestPluginSize keeps the plugin small: docker starts it at every call.
func TestPluginSize(t *testing.T) {
	const limit = 15_000_000
	info, err := os.Stat(filepath.Join(pluginDir(t), "docker-gitea"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > limit {
		t.Errorf("the plugin has %d bytes, want at most %d", info.Size(), limit)
	}
}

// pluginKey is under which a script's registry is kept in its values.
type pluginKey struct{}

// TestPluginScripts runs docker-gitea against a registry in memory. A script
// finds the registry at $HOST with the authority $CA, the token $TOKEN of the
// user alice, and an image as archive.tar, layout and layout.tar; as attested it is in
// an index, beside its attestation.
func TestPluginScripts(t *testing.T) {
	dir := pluginDir(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/plugin",
		Setup: func(env *testscript.Env) error {
			server, err := registrytest.Listen(env.WorkDir, registrytest.Config{})
			if err != nil {
				return err
			}
			env.Defer(server.Close)
			env.Values[pluginKey{}] = &pluginScript{Server: server, uploading: make(chan struct{}), docker: make(chan net.Conn, 1)}
			for key, value := range map[string]string{
				"PATH":   dir + string(os.PathListSeparator) + env.Getenv("PATH"),
				"HOME":   filepath.Join(env.WorkDir, "home"),
				"TMPDIR": filepath.Join(env.WorkDir, "tmp"),
				"HOST":   server.Host,
				// The same server under another name.
				"OTHERNAME": strings.Replace(server.Host, "127.0.0.1", "localhost", 1),
				"CA":        server.CAFile,
				"TOKEN":     registrytest.Token,
			} {
				env.Setenv(key, value)
			}
			if err := os.Mkdir(env.Getenv("TMPDIR"), 0o700); err != nil {
				return err
			}
			return writePluginImages(env.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   scriptExits,
			"offers":  scriptOffers,
			"holds":   scriptHolds,
			"stall":   scriptStall,
			"socket":  scriptSocket,
			"program": scriptProgram,
		},
	})
}

// scriptExits runs a command and compares its exit code: exits CODE COMMAND…
func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
}

// scriptOffers looks whether completion offers a line: offers LINE ARGUMENT…
// A registry has little time to answer, which a busy machine may exceed now and then.
func scriptOffers(ts *testscript.TestScript, _ bool, args []string) {
	var lines []string
	for range 10 {
		ts.Check(ts.Exec("docker-gitea", append([]string{"__complete"}, args[1:]...)...))
		if lines = strings.Split(ts.ReadFile("stdout"), "\n"); slices.Contains(lines, args[0]) {
			return
		}
	}
	ts.Fatalf("%q is not among %q", args[0], lines)
}

// scriptHolds looks whether the registry has a tag: holds OWNER/NAME TAG
func scriptHolds(ts *testscript.TestScript, neg bool, args []string) {
	_, _, found := pluginRegistry(ts).Manifest(args[0], args[1])
	if found == neg {
		ts.Fatalf("%s:%s: found %t", args[0], args[1], found)
	}
}

// pluginScript is what a script has beside its files.
type pluginScript struct {
	*registrytest.Server
	// uploading is closed by the first request for an upload, once stalled.
	uploading chan struct{}
	// docker is docker's end of the plugin socket.
	docker chan net.Conn
}

// scriptProgram makes files of the script programs, in place of chmod: program FILE…
func scriptProgram(ts *testscript.TestScript, _ bool, args []string) {
	for _, file := range args {
		ts.Check(programs.WriteFile(ts.MkAbs(file), ts.ReadFile(file)))
	}
}

// scriptStall makes the registry answer no upload any more.
func scriptStall(ts *testscript.TestScript, _ bool, _ []string) {
	script := pluginRegistry(ts)
	begun := sync.OnceFunc(func() { close(script.uploading) })
	script.Fault(registrytest.Rule{Method: http.MethodPost, Path: "/blobs/uploads/", Action: registrytest.ActionFunc(
		func(_ http.ResponseWriter, req *http.Request, _ http.Handler) {
			begun()
			<-req.Context().Done()
		})})
}

// scriptSocket plays docker's part: "socket open" offers a plugin socket, and
// "socket close" closes it when the plugin has begun to upload to a registry
// that stalls.
func scriptSocket(ts *testscript.TestScript, _ bool, args []string) {
	script := pluginRegistry(ts)
	if args[0] == "close" {
		<-script.uploading
		ts.Check((<-script.docker).Close())
		return
	}
	// The path of a socket is short on every system; the script's is not.
	dir, err := os.MkdirTemp("", "docker")
	ts.Check(err)
	listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	ts.Defer(func() { _ = listener.Close() })
	go func() {
		if conn, err := listener.Accept(); err == nil {
			script.docker <- conn
		}
	}()
	ts.Setenv("DOCKER_CLI_PLUGIN_SOCKET", listener.Addr().String())
}

func pluginRegistry(ts *testscript.TestScript) *pluginScript {
	script, _ := ts.Value(pluginKey{}).(*pluginScript)
	return script
}

// writePluginImages writes one image in three forms.
func writePluginImages(dir string) error {
	layer := samples.Tar(samples.File{Name: "hello", Content: []byte("hello, world\n")})
	config := mustJSON(map[string]any{
		"architecture": "amd64", "os": "linux",
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digestOf(layer)}},
	})
	archive := samples.Tar(
		samples.File{Name: "layer/layer.tar", Content: layer},
		samples.File{Name: "config.json", Content: config},
		samples.File{Name: "manifest.json", Content: mustJSON([]any{map[string]any{"Config": "config.json", "RepoTags": []string{"app:dev"}, "Layers": []string{"layer/layer.tar"}}})},
	)
	manifest := mustJSON(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", config),
		"layers": []any{descriptor("application/vnd.oci.image.layer.v1.tar", layer)},
	})
	index := mustJSON(map[string]any{"schemaVersion": 2, "manifests": []any{descriptor("application/vnd.oci.image.manifest.v1+json", manifest)}})
	layout := []samples.File{{Name: "index.json", Content: index}, {Name: "oci-layout", Content: []byte(`{"imageLayoutVersion":"1.0.0"}`)}}
	for _, blob := range [][]byte{layer, config, manifest} {
		layout = append(layout, samples.File{Name: "blobs/sha256/" + strings.TrimPrefix(digestOf(blob), "sha256:"), Content: blob})
	}
	files := []samples.File{{Name: "archive.tar", Content: archive}, {Name: "layout.tar", Content: samples.Tar(layout...)}}
	for _, part := range layout {
		files = append(files, samples.File{Name: "layout/" + part.Name, Content: part.Content})
	}
	for _, part := range append(attestedIndex(manifest), layout[1:]...) {
		files = append(files, samples.File{Name: "attested/" + part.Name, Content: part.Content})
	}
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// attestedIndex are the files of a layout that BuildKit puts beside an image, whose
// index comes first.
func attestedIndex(manifest []byte) []samples.File {
	statement, config := []byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`), []byte(`{"architecture":"unknown","os":"unknown"}`)
	attestation := mustJSON(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", config),
		"layers": []any{descriptor("application/vnd.in-toto+json", statement)},
	})
	image, beside := descriptor("application/vnd.oci.image.manifest.v1+json", manifest), descriptor("application/vnd.oci.image.manifest.v1+json", attestation)
	image["platform"] = map[string]any{"os": "linux", "architecture": "amd64"}
	beside["platform"] = map[string]any{"os": "unknown", "architecture": "unknown"}
	beside["annotations"] = map[string]any{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digestOf(manifest)}
	index := mustJSON(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{image, beside}})
	files := []samples.File{{Name: "index.json", Content: mustJSON(map[string]any{"schemaVersion": 2, "manifests": []any{descriptor("application/vnd.oci.image.index.v1+json", index)}})}}
	for _, blob := range [][]byte{statement, config, attestation, index} {
		files = append(files, samples.File{Name: "blobs/sha256/" + strings.TrimPrefix(digestOf(blob), "sha256:"), Content: blob})
	}
	return files
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func descriptor(mediaType string, content []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": digestOf(content), "size": len(content)}
}

// mustJSON encodes maps of strings and numbers, which does not fail.
func mustJSON(v any) []byte {
	encoded, _ := json.Marshal(v)
	return encoded
}
