//go:build e2e && linux

package test

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/doctest"
	"github.com/docker-gitea/docker-gitea/test/samples"
)

var record = flag.Bool("record", false, "write what the terminals show into docs/progress.md")

// terminal is a tmux of its own with one window.
type terminal struct {
	t      *testing.T
	socket string
	env    []string
}

func newTerminal(t *testing.T, width, height int, env ...string) *terminal {
	t.Helper()
	// No shell keeps a history: it would write that when its terminal has gone, and the home with it.
	env = append(env, "LC_ALL=C.UTF-8", "HISTFILE=", "fish_history=")
	term := &terminal{t: t, socket: filepath.Join(t.TempDir(), "s"), env: append(os.Environ(), env...)}
	term.tmux("-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "sh")
	t.Cleanup(func() { _ = exec.Command(program(t, "tmux"), "-S", term.socket, "kill-server").Run() })
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	cmd := exec.CommandContext(term.t.Context(), program(term.t, "tmux"), append([]string{"-S", term.socket}, args...)...)
	cmd.Env = term.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

func (term *terminal) enter(line string) {
	term.tmux("send-keys", "-l", line)
	term.tmux("send-keys", "Enter")
}

// screen is what can be seen; with "-S", "-" what has scrolled away as well.
func (term *terminal) screen(options ...string) string {
	return strings.TrimRight(term.tmux(append([]string{"capture-pane", "-p"}, options...)...), "\n") + "\n"
}

// await returns the screen as soon as it is as wanted.
func (term *terminal) await(want string) string {
	term.t.Helper()
	pattern := regexp.MustCompile(want)
	var screen string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if screen = term.screen(); pattern.MatchString(screen) {
			return screen
		}
	}
	term.t.Fatalf("the screen never shows %s:\n%s", want, screen)
	return ""
}

// The image has 60 layers. Four of them are larger than the buffers of a connection.
const layers, largeLayers, largeSize, smallSize = 60, 4, 12_000_000, 300_000

// writeLayers writes a layout with the image.
func writeLayers(t *testing.T, dir string) {
	t.Helper()
	config := mustJSON(map[string]any{"os": "linux", "architecture": "amd64"})
	files := []samples.File{{Name: "oci-layout", Content: []byte(`{"imageLayoutVersion":"1.0.0"}`)}}
	blobs := [][]byte{config}
	var descriptors []any
	for i := range layers {
		size := smallSize
		if i < largeLayers {
			size = largeSize
		}
		layer := bytes.Repeat([]byte{byte(i + 1)}, size)
		descriptors = append(descriptors, descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer))
		blobs = append(blobs, layer)
	}
	manifest := mustJSON(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", config), "layers": descriptors,
	})
	files = append(files, samples.File{Name: "index.json", Content: mustJSON(map[string]any{
		"schemaVersion": 2, "manifests": []any{descriptor("application/vnd.oci.image.manifest.v1+json", manifest)},
	})})
	for _, blob := range append(blobs, manifest) {
		files = append(files, samples.File{Name: "blobs/sha256/" + strings.TrimPrefix(digestOf(blob), "sha256:"), Content: blob})
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		samples.WriteFile(t, path, f.Content)
	}
}

// stage is a registry, an image of 60 layers, and a terminal to push it from.
func stage(t *testing.T, programs string, rules ...registrytest.Rule) *terminal {
	t.Helper()
	dir := t.TempDir()
	server, err := registrytest.Listen(dir, registrytest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	for _, rule := range rules {
		server.Fault(rule)
	}
	writeLayers(t, filepath.Join(dir, "image"))
	term := newTerminal(t, 80, 24, "PATH="+programs+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=screen-256color",
		"DOCKER_GITEA_HOST="+server.Host, "DOCKER_GITEA_TOKEN="+registrytest.Token, "DOCKER_GITEA_CA_FILE="+server.CAFile)
	term.enter("PS1='$ '; cd " + dir + " && clear")
	term.await(`^\$ ?\n`)
	return term
}

const pushLayers = "docker-gitea push ./image alice/app:1"

// layerUploads are the requests that carry a layer.
func layerUploads(r registrytest.Rule) registrytest.Rule {
	r.Path = "/blobs/uploads/.*digest="
	return r
}

func count(text, pattern string) int {
	return len(regexp.MustCompile(pattern).FindAllString(text, -1))
}

// What a push shows on a real terminal, whose lines break as those of others
// do. The recordings in the documentation come from here: -record.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	programs := pluginDir(t)

	// An image of many layers keeps its few lines in place, also while the window
	// gets narrower and wider, and leaves one line for each layer.
	t.Run("many layers", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		large := func(req *http.Request) bool { return req.ContentLength == largeSize }
		small := func(req *http.Request) bool { return req.ContentLength == smallSize }
		term := stage(t, programs,
			layerUploads(registrytest.Rule{Match: large, Action: registrytest.Hold{After: 3_000_000, Until: release}}),
			layerUploads(registrytest.Rule{Match: small, Skip: 20, Action: registrytest.Hold{After: 0, Until: release}}))
		term.enter(pushLayers + " --jobs 8")
		screen := term.await(`([0-9a-f]{12}: Pushing [^\n]*/s\n){8}20 of 61 done, [^\n]*, 33 waiting`)
		term.recordAs("80 columns", screen)
		// The buffers of the connection may take all that the registry does not.
		if n := count(screen, `(?m)^[0-9a-f]{12}: Pushing \[=+>? *\] [0-9.]+MB/12MB [0-9.]+.B/s$`); n != largeLayers {
			t.Errorf("got %d bars, want %d:\n%s", n, largeLayers, screen)
		}

		term.tmux("resize-window", "-x", "40", "-y", "24")
		screen = term.await(`(?m)^[0-9a-f]{12}: Pushing [0-9.]+MB/12MB[^\[\n]*$(?s:.*)of 61 done`)
		term.recordAs("40 columns", screen)
		if bars, totals := count(screen, "Pushing"), count(screen, "of 61 done"); bars != 8 || totals != 1 {
			t.Errorf("after a narrower window: got %d lines and %d totals, want 8 and 1:\n%s", bars, totals, screen)
		}
		term.tmux("resize-window", "-x", "100", "-y", "24")
		screen = term.await(`(?s)Pushing \[={20,}.*of 61 done`)
		if bars, totals := count(screen, "Pushing"), count(screen, "of 61 done"); bars != 8 || totals != 1 {
			t.Errorf("after a wider window: got %d lines and %d totals, want 8 and 1:\n%s", bars, totals, screen)
		}

		close(release)
		term.await(`1: digest: sha256:`)
		all := term.screen("-S", "-")
		if pushed := count(all, `(?m)^[0-9a-f]{12}: Pushed$`); pushed != 61 || count(all, "Pushing|of 61 done|waiting") != 0 {
			t.Errorf("got %d lines of pushed layers, want 61 and nothing else:\n%s", pushed, all)
		}
	})

	// A retry says why and when, in colour where that is welcome. Ctrl-C leaves the
	// terminal as it was.
	t.Run("retries", func(t *testing.T) {
		t.Parallel()
		for _, noColor := range []string{"", "1"} {
			busy := registrytest.Answer{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"240"}}}
			term := stage(t, programs, layerUploads(registrytest.Rule{Skip: 5, Action: busy}))
			term.enter("export NO_COLOR=" + noColor + "; clear")
			term.await(`^\$ ?\n`)
			term.enter(pushLayers)
			screen := term.await(`([0-9a-f]{12}: Retrying in 4m0s: upload blob: 503[^\n]*\n){4}`)
			if colored := strings.Contains(term.screen("-e"), "\x1b[33m"); colored != (noColor == "") {
				t.Errorf("NO_COLOR=%q: got colours: %t", noColor, colored)
			}
			if noColor == "" {
				term.recordAs("a registry that is busy", screen)
			}
			term.tmux("send-keys", "C-c")
			screen = term.await(`docker-gitea push: interrupted\n\$ *\n`)
			if n := count(screen, `(?m)^\$ *$`); n != 1 {
				t.Errorf("the prompt is not on a line of its own:\n%s", screen)
			}
			if flag := strings.TrimSpace(term.tmux("display-message", "-p", "#{cursor_flag}")); flag != "1" {
				t.Errorf("the cursor is hidden")
			}
			term.enter("stty -a | grep -c -- ' echo '; echo $?")
			term.await(`(?m)^1\n0$`)
		}
	})

	// A failure stands below the lines of the layers.
	t.Run("failure", func(t *testing.T) {
		t.Parallel()
		term := stage(t, programs, layerUploads(registrytest.Rule{Skip: 3, Action: registrytest.EmptyError(http.StatusForbidden)}))
		term.enter(pushLayers + " --jobs 1")
		screen := term.await(`(?s)docker-gitea push: .*\n\$ *\n`)
		term.recordAs("a failure", screen)
		if count(screen, "of 61 done") != 0 || count(screen, `(?m)^[0-9a-f]{12}: Pushed$`) != 3 {
			t.Errorf("got\n%s", screen)
		}
	})

	// A dumb terminal gets plain lines.
	t.Run("dumb terminal", func(t *testing.T) {
		t.Parallel()
		term := stage(t, programs)
		raw := filepath.Join(t.TempDir(), "raw")
		term.tmux("pipe-pane", "cat >"+raw)
		term.enter("TERM=dumb " + pushLayers)
		term.await(`1: digest: sha256:`)
		out := readText(t, raw)
		for end := time.Now().Add(time.Minute); !strings.Contains(out, "digest: sha256:") && time.Now().Before(end); {
			out = readText(t, raw) // cat may be behind
		}
		if strings.Contains(out, "\x1b") || count(out, `: Pushed`) != 61 {
			t.Errorf("got %q", out)
		}
	})
}

// recording is held by who writes the page.
var recording sync.Mutex

// recordAs puts a screen into docs/progress.md, below the heading that begins
// with title.
func (term *terminal) recordAs(title, screen string) {
	term.t.Helper()
	if !*record {
		return
	}
	recording.Lock()
	defer recording.Unlock()
	screen = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(screen, "git.example.com")
	screen = regexp.MustCompile(`(?m)^\$.*\n`).ReplaceAllString(screen, "") // what was typed
	doctest.Section(term.t, "../docs/progress.md", "screen: "+title, "```text\n"+screen+"```\n", true)
}
