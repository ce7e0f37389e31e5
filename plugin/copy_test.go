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
	// What is not there is the mistake of who names it, and no failure of the registry.
	for hint, args := range map[string][]string{
		"docker gitea ls " + from.Host + "/alice/app\n": {"copy", from.Host + "/alice/app", "alice/copy:4"},
		"docker gitea ls " + from.Host + "/alice\n":     {"copy", "--all-tags", from.Host + "/alice/none", "alice/"},
	} {
		if code := d.run(t.Context(), args...); code != fault.ExitFailed || !strings.HasSuffix(d.stderr.String(), "\nhint: "+hint) || strings.Contains(d.stderr.String(), "cause:") {
			t.Errorf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
	}
	if code := d.run(t.Context(), "copy", "alice/app"); code != fault.ExitUsage {
		t.Errorf("exit code %d\n%s", code, &d.stderr)
	}
}

// An image of which its registry has lost a part is there, and that is said of it.
func TestCopyOfAnImageThatLacksAPart(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t.Context(), "push", bundle(t, "web:1"), "alice/web:1"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	if code := d.run(t.Context(), "join", "-t", "alice/all:1", d.server.Host+"/alice/web:1"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	d.server.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/v2/alice/all/manifests/sha256:", Action: registrytest.EmptyError(http.StatusNotFound)})
	code := d.run(t.Context(), "copy", d.server.Host+"/alice/all:1", "alice/copy:1")
	if told := d.stderr.String(); code != fault.ExitFailed || strings.Contains(told, "no image") || !strings.Contains(told, "no longer has all of alice/all") {
		t.Errorf("exit code %d\n%s", code, told)
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
		"to copy it there: docker gitea copy": {"tag", "alice/app:1", "other.example.com:443/bob/app"},
		"tag sends no layers":                 {"tag", "alice/app:1", "2", "other.example.com:443/bob/app"},
		"invalid name":                        {"tag", "alice/app:1", "alice/app@" + digestOf(nil)},
		"no ":                                 {"tag", "alice/app:none", "2"},
		`invalid name "a+b"`:                  {"tag", "alice/app:1", "a+b"},
		"a TAG are needed":                    {"tag", "alice/app:1"},
	} {
		if code := d.run(t.Context(), args...); code == fault.ExitOK || !strings.Contains(d.stderr.String(), message) {
			t.Errorf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
	}
}

// After the token, a tag is read in one request and set in one; a name in another
// repository costs a mount for each blob, and no layer is read.
func TestTagRequests(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t.Context(), "push", "app:1", "alice/app:1"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	d.server.Registry.ResetLog()
	if code := d.run(t.Context(), "tag", "alice/app:1", "2"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	var after []string
	for _, req := range d.server.Registry.Log() {
		if strings.HasSuffix(req.Path, "/token") {
			after = nil
		}
		after = append(after, req.Method+" "+req.Path)
	}
	if got, want := strings.Join(after[1:], ", "), "GET /v2/alice/app/manifests/1, PUT /v2/alice/app/manifests/2"; got != want {
		t.Errorf("after the token: %s; want %s", got, want)
	}
	d.server.Registry.ResetLog()
	if code := d.run(t.Context(), "tag", "alice/app:1", "alice/prod:1", "3", "alice/prod:2"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	if got := d.stdout.String(); strings.Count(got, "alice/prod:1: digest: sha256:") != 1 || strings.Count(got, "alice/prod:2: digest: sha256:") != 1 || strings.Count(got, "alice/app:3: digest: sha256:") != 1 {
		t.Errorf("got\n%s", got)
	}
	want, _, _ := d.server.Manifest("alice/app", "1")
	for _, name := range []string{"alice/prod:1", "alice/prod:2", "alice/app:3"} {
		repository, tag, _ := strings.Cut(name, ":")
		if got, _, _ := d.server.Manifest(repository, tag); string(got) != string(want) {
			t.Errorf("%s: got %s", name, got)
		}
	}
	mounts, others := d.server.Registry.Requests(http.MethodPost, "/blobs/"), d.server.Registry.Requests("", "/blobs/")
	if len(mounts) != 2 || len(others) != 2 || mounts[0].Query.Get("from") != "alice/app" {
		t.Errorf("%d mounts among %d requests for blobs", len(mounts), len(others))
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
		"are needed": {"join", from + "1"},
		"KEY=VALUE":  {"join", "-t", "alice/app:all", "--annotation", "a", from + "1"},
		"hint: docker gitea ls " + d.server.Host + "/alice/app\n": {"join", "-t", "alice/app:all", from + "none"},
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

// An owner whose name looks like that of a host is one to every command.
func TestOwnerLikeAHost(t *testing.T) {
	d := newDesk(t)
	d.server = registrytest.Start(t, registrytest.Config{Users: []registrytest.User{
		{Name: "first.last", Password: "secret", Tokens: []registrytest.AccessToken{{Value: registrytest.Token, Scope: "all"}}},
	}})
	d.env["DOCKER_GITEA_HOST"], d.env["DOCKER_GITEA_CA_FILE"] = d.server.Host, d.server.CAFile
	for _, args := range [][]string{
		{"push", "app:1", "first.last/app:1"},
		{"push", "app:1", "first.last/app/sub:1"},
		{"push", "--to", "first.last/kept/", "app:1"},
		{"ls", "first.last/app"},
		{"ls", "first.last/app/sub"},
		{"tag", "first.last/app:1", "2"},
		{"tag", "first.last/app:1", "first.last/other/sub:1"},
		{"copy", d.server.Host + "/first.last/app:1", "first.last/copied"},
		{"copy", d.server.Host + "/first.last/app:1", "first.last/copied/sub"},
		{"copy", "--all-tags", d.server.Host + "/first.last/app", "first.last/all/"},
		{"join", "-t", "first.last/joined/sub:1", d.server.Host + "/first.last/app:1"},
		{"rm", "--force", "first.last/app/sub:1"},
	} {
		if code := d.run(t.Context(), args...); code != fault.ExitOK {
			t.Errorf("%q: exit code %d\n%s%s", args, code, &d.stdout, &d.stderr)
		}
	}
}
