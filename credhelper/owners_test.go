package credhelper

import (
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// S32: root leaves a user's files the user's, the one of Docker and our own.
func TestRootLeavesFilesTheirOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const user = 1000
	self := programForAll(t)
	dir := filepath.Dir(self)
	docker := filepath.Join(dir, ".docker", "config.json")
	for _, err := range []error{
		os.Chown(dir, user, user),
		os.Mkdir(filepath.Dir(docker), 0o700), os.Chown(filepath.Dir(docker), user, user),
		os.WriteFile(docker, []byte("{}"), 0o640), os.Chown(docker, user, user),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(as int, stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), self, args...)
		cmd.Env = []string{asProgram + "=1", "HOME=" + dir, "PATH=" + os.Getenv("PATH"), envStorage + "=file", envLog + "=" + filepath.Join(dir, "log")}
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		runAs(cmd, as)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v as %d: %v: %s", args, as, err, out)
		}
		return string(out)
	}
	run(0, request("git.example.com", "alice", "s"), "store")
	run(0, "", "configure-docker", "git.example.com")
	if got := run(user, "git.example.com", "get"); !strings.Contains(got, "alice") {
		t.Errorf("the user gets %q", got)
	}
	run(user, request("git.example.com", "alice", "new"), "store")
	run(0, "git.example.com", "get") // and under sudo the user's login is found
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == self {
			return err
		}
		if info, err := d.Info(); err != nil || !ownedBy(info, user) {
			t.Errorf("%s was taken away from its owner (%v)", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(docker); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("config.json has the mode %v, want 0640", info.Mode().Perm())
	}
}

// S32
func TestDirectoryOfOthersIsRefused(t *testing.T) {
	m := newHome(t)
	m.run(t, request("git.example.com", "alice", "s"), "store").must(t)
	if err := os.Chmod(m.env[envDir], 0o777); err != nil { // a directory
		t.Fatal(err)
	}
	for _, args := range [][]string{{"get"}, {"status"}} {
		if out := m.run(t, "git.example.com", args...); out.code != exitError || !strings.Contains(out.all(), "others may write to the directory") {
			t.Errorf("%v: got %d %q", args, out.code, out.all())
		}
	}
}

// S32: nor is a directory or a file of another user's taken for the user's own.
func TestFilesOfOthersAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const user, other = 1000, 1001
	self := programForAll(t)
	own := filepath.Join(filepath.Dir(self), "own")
	run := func(as int, stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), self, args...)
		cmd.Env = []string{asProgram + "=1", "PATH=" + os.Getenv("PATH"), envDir + "=" + own, envStorage + "=file"}
		cmd.Dir, cmd.Stdin = "/", strings.NewReader(stdin)
		runAs(cmd, as)
		out, _ := cmd.CombinedOutput() // which says how it ended
		return string(out)
	}
	if out := run(0, request("git.example.com", "alice", "s"), "store"); out != "" {
		t.Fatal(out)
	}
	secret := store.FilePath(own, store.Key{Host: "git.example.com", Slot: store.SlotLogin})
	for _, planted := range []string{filepath.Join(own, "hosts.json"), secret} {
		if err := os.Chown(planted, user, user); err != nil {
			t.Fatal(err)
		}
		if out := run(0, "git.example.com", "get"); !strings.Contains(out, filepath.Base(planted)+" belongs to another user") {
			t.Errorf("root is given %q", out)
		}
		if err := os.Chown(planted, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chown(own, other, other), os.Chmod(own, 0o755)); err != nil { // a directory
		t.Fatal(err)
	}
	if out := run(user, "git.example.com", "get"); !strings.Contains(out, own+" belongs to another user") {
		t.Errorf("a user is given %q", out)
	}
}

// S26: what lies in the working directory, such as that of a cloned repository,
// is nobody's configuration.
func TestWorkingDirectoryIsNotTrusted(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	g.tokens["the-token"] = "all"
	clone := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})
	settings := []byte(`{"storage":"file","hosts":{"` + g.host + `":{"insecure":true}}}`)
	plant := func(data []byte, path ...string) {
		t.Helper()
		if err := ownfile.WritePrivate(filepath.Join(append([]string{clone}, path...)...), data); err != nil {
			t.Fatal(err)
		}
	}
	plant(authority, "our-ca.pem")
	for _, dir := range [][]string{{".config", program}, {program}, {"config", program}, {"own"}} {
		plant(settings, append(dir, "config.json")...)
	}
	plant([]byte(`{"credHelpers":{"`+g.host+`":"gitea"}}`), ".docker", "config.json")

	if err := ownfile.WritePrivate(configPath(m.env[envDir]), []byte(`{"hosts":{"`+g.host+`":{"caFiles":["our-ca.pem"]}}}`)); err != nil {
		t.Fatal(err)
	}
	own := []string{envDir + "=" + m.env[envDir]}
	for name, env := range map[string][]string{
		"caFiles":                  own,
		"no HOME":                  {"HOME="},
		"a relative HOME":          {"HOME=."},
		"a relative configuration": {"HOME=" + m.dir, "XDG_CONFIG_HOME=config"},
		"a relative directory":     {"HOME=" + m.dir, envDir + "=own"},
		"a relative log":           append(own, envLog+"=log"),
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "login", "--with-token", "--storage", "file", g.host)
		cmd.Env = append([]string{asProgram + "=1", "PATH=" + os.Getenv("PATH")}, env...)
		cmd.Dir, cmd.Stdin = clone, strings.NewReader("the-token")
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%s: the working directory was believed: %s", name, out)
		}
		doctor := exec.CommandContext(t.Context(), os.Args[0], "doctor", g.host)
		doctor.Env, doctor.Dir = cmd.Env, clone
		if out, _ := doctor.CombinedOutput(); strings.Contains(string(out), "this program is asked") {
			t.Errorf("%s: docker's configuration of the working directory was believed: %s", name, out)
		}
	}
	if len(g.seen) > 0 {
		t.Errorf("%d requests were made", len(g.seen))
	}
	if _, err := os.Stat(filepath.Join(clone, "log")); err == nil {
		t.Error("a log was written to the working directory")
	}
	// Beside the file that names it, it is found.
	if err := os.WriteFile(filepath.Join(m.env[envDir], "our-ca.pem"), authority, 0o600); err != nil {
		t.Fatal(err)
	}
	m.run(t, "the-token", "login", "--with-token", g.host).must(t)
}

// programForAll is the test binary where every user can run it.
func programForAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "program-") //nolint:usetesting // which others cannot reach
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, err := os.ReadFile(os.Args[0])
	if err := errors.Join(err, os.Chmod(dir, 0o755)); err != nil { // a directory
		t.Fatal(err)
	}
	return programs.Write(t, filepath.Join(dir, program), string(data))
}
