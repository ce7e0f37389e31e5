package plugin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// twoRegistries is a desk whose variables are for one registry, and another that has
// alice/web:1, alice/web:2, alice/web:dev and alice/tools/cli:1.
func twoRegistries(t *testing.T) (d *desk, from *registrytest.Server) {
	t.Helper()
	d = newDesk(t)
	for _, name := range []string{"web:1", "web:2", "web:dev", "tools/cli:1"} {
		if code := d.run(t.Context(), "push", bundle(t, name), "alice/"+name); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
	}
	from = d.server
	moveTo(t, d, registrytest.Config{})
	return d, from
}

// moveTo has the variables be for another registry, and the configuration file for
// the one before, whose host it returns.
func moveTo(t *testing.T, d *desk, c registrytest.Config) (before string) {
	t.Helper()
	from := d.server
	d.server = registrytest.Start(t, c)
	config := "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n- spec: {url: " + from.Host + ", caFiles: [" + from.CAFile + "], credential: {env: OTHER}}\n"
	if err := os.WriteFile(filepath.Join(d.env["DOCKER_CONFIG"], "gitea.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d.env["OTHER"] = registrytest.Token
	d.env["DOCKER_GITEA_HOST"], d.env["DOCKER_GITEA_CA_FILE"] = d.server.Host, d.server.CAFile
	return from.Host
}

// copiedList is the report of a copy, by tag.
func copiedList(t *testing.T, d *desk) map[string]string {
	t.Helper()
	var list v1alpha1.PushList
	if err := json.Unmarshal(d.stdout.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, item := range list.Items {
		_, repository, _ := strings.Cut(item.Spec.Destination, "/")
		found[repository+":"+item.Spec.Tags[0]] = item.Status.Conditions[len(item.Status.Conditions)-1].Reason
	}
	return found
}

// All tags arrive byte for byte; again, each is one HEAD at the destination, and one
// that has changed is copied.
func TestCopyAllTags(t *testing.T) {
	d, from := twoRegistries(t)
	copyAll := func(want map[string]string) {
		t.Helper()
		if code := d.run(t.Context(), "copy", "--format", "json", "--all-tags", from.Host+"/alice/web", "alice/"); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
		if got := copiedList(t, d); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
		for _, tag := range []string{"1", "2", "dev"} {
			want, _, _ := from.Manifest("alice/web", tag)
			if got, _, _ := d.server.Manifest("alice/web", tag); len(want) == 0 || string(got) != string(want) {
				t.Errorf("%s: got %s, want %s", tag, got, want)
			}
		}
	}
	copyAll(map[string]string{"alice/web:1": "Pushed", "alice/web:2": "Pushed", "alice/web:dev": "Pushed"})
	d.server.Registry.ResetLog()
	copyAll(map[string]string{"alice/web:1": "Unchanged", "alice/web:2": "Unchanged", "alice/web:dev": "Unchanged"})
	if heads := len(d.server.Registry.Requests(http.MethodHead, "/v2/alice/web/manifests/")); heads != 3 {
		t.Errorf("%d HEADs", heads)
	}
	if sent := len(d.server.Registry.Requests(http.MethodPut, "/v2/")) + len(d.server.Registry.Requests(http.MethodPost, "/v2/")); sent > 0 {
		t.Errorf("%d requests changed something", sent)
	}
	if !strings.Contains(d.stderr.String(), "alice/web: 3 of 3 tags are there") {
		t.Errorf("got %s", &d.stderr)
	}
	if code := d.run(t.Context(), "tag", d.server.Host+"/alice/web:1", "dev"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	copyAll(map[string]string{"alice/web:1": "Unchanged", "alice/web:2": "Unchanged", "alice/web:dev": "Pushed"})
}

// Of an owner every image arrives below the destination, with the path that it has
// below the owner; tags can be chosen, and the table says what became of each.
func TestCopyOwner(t *testing.T) {
	d, from := twoRegistries(t)
	if code := d.run(t.Context(), "copy", from.Host+"/alice/", "alice/mirror/"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	if got := d.server.Repositories(); !slices.Contains(got, "alice/mirror/web") || !slices.Contains(got, "alice/mirror/tools/cli") {
		t.Errorf("got %q", got)
	}
	if table := d.stdout.String(); strings.Count(table, "Pushed") != 4 || !strings.HasPrefix(table, "TAG ") {
		t.Errorf("got\n%s", table)
	}
	if code := d.run(t.Context(), "copy", "--format", "json", "--match", "[0-9]", from.Host+"/alice/", "alice/some/"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	want := map[string]string{"alice/some/web:1": "Pushed", "alice/some/web:2": "Pushed", "alice/some/tools/cli:1": "Pushed"}
	if got := copiedList(t, d); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A copy that fails for one tag copies the others, and goes on with it the next
// time.
func TestCopyGoesOn(t *testing.T) {
	d, from := twoRegistries(t)
	d.server.Fault(registrytest.Rule{Method: http.MethodPut, Path: "/v2/alice/web/manifests/2", Action: registrytest.Answer{Status: http.StatusServiceUnavailable}})
	if code := d.run(t.Context(), "copy", "--retries", "0", "--format", "json", "-a", from.Host+"/alice/web", "alice/web"); code != fault.ExitTemporary {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	if got := copiedList(t, d); got["alice/web:2"] != "ServerError" || got["alice/web:1"] != "Pushed" {
		t.Errorf("got %v", got)
	}
	d.server.ClearFaults()
	if code := d.run(t.Context(), "copy", "--format", "json", "-a", from.Host+"/alice/web", "alice/web"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	if got := copiedList(t, d); got["alice/web:2"] != "Pushed" || got["alice/web:1"] != "Unchanged" {
		t.Errorf("got %v", got)
	}
}

// Where a registry stores two tags as one, one image takes the place of the other:
// that is no success, whichever is there already. Another registry keeps both.
func TestTagsThatAreStoredAsOne(t *testing.T) {
	file := bundle(t, "web:RC1", "web:rc1")
	for name, test := range map[string]struct {
		flavor registrytest.Flavor
		before string
		code   int
	}{
		"both are kept":         {registrytest.Distribution, "", fault.ExitOK},
		"one is left":           {registrytest.Gitea, "", fault.ExitFailed},
		"one of them was there": {registrytest.Gitea, "web:RC1", fault.ExitFailed},
		"the other was there":   {registrytest.Gitea, "web:rc1", fault.ExitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.server = registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution})
			d.env["DOCKER_GITEA_HOST"], d.env["DOCKER_GITEA_CA_FILE"] = d.server.Host, d.server.CAFile
			if code := d.run(t.Context(), "push", "--all-images", "--to", "alice/", file); code != fault.ExitOK {
				t.Fatalf("exit code %d\n%s", code, &d.stderr)
			}
			to := moveTo(t, d, registrytest.Config{Flavor: test.flavor})
			if test.before != "" {
				if code := d.run(t.Context(), "copy", to+"/alice/"+test.before, "alice/web:rc1"); code != fault.ExitOK {
					t.Fatalf("exit code %d\n%s", code, &d.stderr)
				}
			}
			if code := d.run(t.Context(), "copy", "-a", to+"/alice/web", "alice/"); code != test.code {
				t.Errorf("copy: exit code %d\n%s", code, &d.stderr)
			}
			if code := d.run(t.Context(), "push", "--all-images", "--to", "alice/again/", file); code != test.code {
				t.Errorf("push: exit code %d\n%s", code, &d.stderr)
			}
		})
	}
}

// Signatures are tags, and go with the others unless that is not wanted.
func TestCopyReferrers(t *testing.T) {
	d, from := twoRegistries(t)
	signature := "sha256-" + strings.Repeat("ab", 32) + ".sig"
	if code := d.run(t.Context(), "tag", from.Host+"/alice/web:1", signature); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	for _, args := range [][]string{{"--no-referrers", from.Host + "/alice/web", "alice/without"}, {from.Host + "/alice/web", "alice/with"}} {
		if code := d.run(t.Context(), append([]string{"copy", "-a"}, args...)...); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
	}
	if len(d.server.Tags("alice/without")) != 3 || len(d.server.Tags("alice/with")) != 4 {
		t.Errorf("got %q and %q", d.server.Tags("alice/without"), d.server.Tags("alice/with"))
	}
}

func TestCopyAllRefuses(t *testing.T) {
	d := newDesk(t)
	for message, args := range map[string][]string{
		"wants HOST/NAME without a tag":   {"copy", "-a", "h.example/alice/web:1", "alice/"},
		"names no owner":                  {"copy", "h.example/", "alice/"},
		"all images of an owner cannot":   {"copy", "h.example/me/", "alice/web"},
		"go with --all-tags":              {"copy", "--match", "1.*", "h.example/me/web", "alice/web"},
		"syntax error in pattern":         {"copy", "-a", "--match", "[", "h.example/me/web", "alice/web"},
		"--all-tags and --tag exclude":    {"copy", "-a", "-t", "x", "h.example/me/web", "alice/web"},
		"but --all-tags pushes every tag": {"copy", "-a", "h.example/me/web", "alice/web:1"},
	} {
		if code := d.run(t.Context(), args...); code != fault.ExitUsage || !strings.Contains(d.stderr.String(), message) {
			t.Errorf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
	}
	if log := d.server.Registry.Log(); len(log) > 0 {
		t.Errorf("%d requests were made", len(log))
	}
}
