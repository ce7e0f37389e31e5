package plugin_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// A copy between two registries shows each its own credential, and arrives as
// it was.
func TestCopy(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t.Context(), "push", "app:1", "alice/app:1"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	want, _, _ := d.server.Manifest("alice/app", "1")
	// From now on the variables are for the other registry alone, which has
	// another certificate.
	from := d.server
	to := registrytest.Start(t, registrytest.Config{})
	config := "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n- spec: {url: " + from.Host + ", caFiles: [" + from.CAFile + "], credential: {env: OTHER}}\n"
	if err := os.WriteFile(filepath.Join(d.env["DOCKER_CONFIG"], "gitea.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d.env["OTHER"] = registrytest.Token
	d.env["DOCKER_GITEA_HOST"], d.env["DOCKER_GITEA_CA_FILE"] = to.Host, to.CAFile
	for _, args := range [][]string{
		{"copy", from.Host + "/alice/app:1", "alice/copy:1"},
		{"push", "docker://" + from.Host + "/alice/app:1", "alice/copy:2"},
	} {
		if code := d.run(t.Context(), args...); code != fault.ExitOK {
			t.Fatalf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
		_, tag, _ := strings.Cut(args[2], ":")
		if got, _, _ := to.Manifest("alice/copy", tag); len(want) == 0 || string(got) != string(want) {
			t.Errorf("%q: got %s, want %s", args, got, want)
		}
	}
	if code := d.run(t.Context(), "copy", from.Host+"/alice/none:1", "alice/copy:3"); code != fault.ExitFailed || !strings.Contains(d.stderr.String(), "no image "+from.Host+"/alice/none:1") {
		t.Errorf("exit code %d\n%s", code, &d.stderr)
	}
	if code := d.run(t.Context(), "copy", "alice/app"); code != fault.ExitUsage {
		t.Errorf("exit code %d\n%s", code, &d.stderr)
	}
}

// Within one registry a copy reads and sends no layer.
func TestCopyWithinARegistry(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t.Context(), "push", "app:1", "alice/app:1"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	d.server.Registry.ResetLog()
	if code := d.run(t.Context(), "copy", d.server.Host+"/alice/app:1", "alice/copy:1"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	want, _, _ := d.server.Manifest("alice/app", "1")
	if got, _, _ := d.server.Manifest("alice/copy", "1"); string(got) != string(want) {
		t.Errorf("got %s", got)
	}
	for _, e := range d.server.Registry.Log() {
		if e.Method == http.MethodGet && strings.Contains(e.Path, "/blobs/") {
			t.Errorf("it read %s", e.Path)
		}
	}
}

func TestTag(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t.Context(), "push", "app:1", "alice/app:1"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	if code := d.run(t.Context(), "tag", "alice/app:1", "1.0", "Stable"); code != fault.ExitOK || !strings.Contains(d.stdout.String(), "1.0: digest: sha256:") {
		t.Fatalf("exit code %d\n%s%s", code, &d.stdout, &d.stderr)
	}
	want, _, _ := d.server.Manifest("alice/app", "1")
	for _, tag := range []string{"1.0", "stable"} {
		if got, _, _ := d.server.Manifest("alice/app", tag); string(got) != string(want) {
			t.Errorf("%s: got %s", tag, got)
		}
	}
	for message, args := range map[string][]string{
		"docker gitea copy alice/app:1 bob/app": {"tag", "alice/app:1", "bob/app"},
		"no ":                                   {"tag", "alice/app:none", "2"},
		`invalid name "a+b"`:                    {"tag", "alice/app:1", "a+b"},
		"a TAG are needed":                      {"tag", "alice/app:1"},
	} {
		if code := d.run(t.Context(), args...); code == fault.ExitOK || !strings.Contains(d.stderr.String(), message) {
			t.Errorf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
	}
}

// Two jobs have pushed an image each; one name leads to both.
func TestJoin(t *testing.T) {
	d := newDesk(t)
	from := d.server.Host + "/alice/app:"
	if code := d.run(t.Context(), "push", "app:1", "alice/app:1"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	if code := d.run(t.Context(), "join", "-t", "alice/app:all", "-t", "alice/other:all", "--annotation", "a=b", from+"1"); code != fault.ExitOK || strings.Count(d.stdout.String(), "all: digest: sha256:") != 2 {
		t.Fatalf("exit code %d\n%s%s", code, &d.stdout, &d.stderr)
	}
	one, _, _ := d.server.Manifest("alice/app", "all")
	other, _, _ := d.server.Manifest("alice/other", "all")
	if string(one) != string(other) || !strings.Contains(string(one), `"a":"b"`) {
		t.Errorf("got\n%s\n%s", one, other)
	}
	for message, args := range map[string][]string{
		"are needed":     {"join", from + "1"},
		"KEY=VALUE":      {"join", "-t", "alice/app:all", "--annotation", "a", from + "1"},
		"shows the tags": {"join", "-t", "alice/app:all", from + "none"},
	} {
		if code := d.run(t.Context(), args...); code == fault.ExitOK || !strings.Contains(d.stderr.String(), message) {
			t.Errorf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
	}
}

// With --no-clobber no command moves a tag, and each says which two images it is
// about and what to do.
func TestNoClobber(t *testing.T) {
	d := newDesk(t)
	for _, image := range []string{"one", "two"} {
		if code := d.run(t.Context(), "push", bundle(t, image+":1"), "alice/app:"+image); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
	}
	if code := d.run(t.Context(), "tag", "alice/app:two", "kept"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	want, _, _ := d.server.Manifest("alice/app", "two")
	for _, args := range [][]string{
		{"push", "--no-clobber", bundle(t, "three:1"), "alice/app:two"},
		{"copy", "--no-clobber", d.server.Host + "/alice/app:one", "alice/app:two"},
		{"tag", "--no-clobber", "alice/app:one", "two"},
		{"join", "--no-clobber", "-t", "alice/app:two", d.server.Host + "/alice/app:one"},
	} {
		code := d.run(t.Context(), args...)
		if told := d.stderr.String(); code != fault.ExitFailed || !strings.Contains(told, `the tag "two" exists: it is sha256:`) || !strings.Contains(told, "leave out --no-clobber") {
			t.Errorf("%q: exit code %d\n%s", args, code, told)
		}
		if got, _, _ := d.server.Manifest("alice/app", "two"); string(got) != string(want) {
			t.Fatalf("%q moved the tag", args)
		}
		args[1] = "--retries=1"
		if code := d.run(t.Context(), args...); code != fault.ExitOK {
			t.Errorf("%q without it: exit code %d\n%s", args, code, &d.stderr)
		}
		if code := d.run(t.Context(), "tag", "alice/app:kept", "two"); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
	}
}
