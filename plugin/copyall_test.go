package plugin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
	"github.com/docker-gitea/docker-gitea/test/samples"
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
		one, dev := strings.Index(d.stdout.String(), `/alice/web:1"`), strings.Index(d.stdout.String(), `/alice/web:dev"`)
		if want["alice/web:1"] == want["alice/web:dev"] && one > dev {
			t.Errorf("the tags are not in the order of the source:\n%s", &d.stdout)
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

// indexes is a desk whose variables are for one registry, and another that has
// alice/web:1, an index of an image and its attestation.
func indexes(t *testing.T) (d *desk, from *registrytest.Server) {
	t.Helper()
	d = newDesk(t)
	if code := d.run(t.Context(), "push", samples.Layout(t, 1, 20_000), "alice/web:1"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	from = d.server
	moveTo(t, d, registrytest.Config{})
	return d, from
}

// A tag whose image changes on its way is the same when what would arrive is there:
// that takes one HEAD, on another machine too, as far as that can know.
func TestCopyAllTagsChanged(t *testing.T) {
	for _, test := range []struct {
		args []string
		// here: only the machine that has compressed the layers knows what they became.
		here bool
	}{
		{args: []string{"--platform", "linux/" + runtime.GOARCH}},
		{args: []string{"--no-attestations"}},
		{args: []string{"--force-compression", "--compression", "zstd"}, here: true},
		{args: []string{"--no-attestations", "--force-compression", "--compression", "zstd"}, here: true},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			d, from := indexes(t)
			args := append([]string{"copy", "--format", "json", "-a", from.Host + "/alice/web", "alice/"}, test.args...)
			for _, want := range []string{"Pushed", "Unchanged", "Unchanged"} {
				d.server.Registry.ResetLog()
				if code := d.run(t.Context(), args...); code != fault.ExitOK {
					t.Fatalf("exit code %d\n%s", code, &d.stderr)
				}
				if got := copiedList(t, d)["alice/web:1"]; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				asked := len(d.server.Registry.Requests("", "/v2/alice/web/manifests/")) + len(d.server.Registry.Requests("", "/blobs/"))
				if want == "Unchanged" && asked != 1 {
					t.Errorf("%d requests for manifests and blobs", asked)
				}
				if !test.here { // the next run is on a machine without a cache
					t.Setenv("XDG_CACHE_HOME", t.TempDir())
				}
			}
		})
	}
}

// With --verify a tag that is the same is looked at all the same, and what the registry
// has lost of it is sent again.
func TestCopyAllTagsVerifies(t *testing.T) {
	d, from := twoRegistries(t)
	copyAll := func(args ...string) {
		t.Helper()
		if code := d.run(t.Context(), append([]string{"copy", "-a", from.Host + "/alice/web", "alice/"}, args...)...); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
	}
	copyAll()
	data, _, _ := from.Manifest("alice/web", "2")
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	lost := m.Layers[len(m.Layers)-1].Digest
	c, err := remote.New(d.server.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Ask(t.Context(), http.MethodDelete, "/v2/alice/web/blobs/"+lost.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	copyAll("--verify")
	if _, there := d.server.Registry.HasBlob("alice/web", lost); !there {
		t.Errorf("it lacks %s\n%s", lost, &d.stderr)
	}
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
	image, _, _ := from.Manifest("alice/web", "1")
	signature := strings.Replace(digestOf(image), ":", "-", 1) + ".sig"
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
	// Of one image, those of the image.
	for _, args := range [][]string{
		{"copy", "--no-referrers", from.Host + "/alice/web:1", "alice/unsigned:1"},
		{"copy", from.Host + "/alice/web:1", "alice/signed:1"},
		{"push", "docker://" + from.Host + "/alice/web:2", "alice/other:2"},
	} {
		if code := d.run(t.Context(), args...); code != fault.ExitOK {
			t.Fatalf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
		if told := strings.Contains(d.stderr.String(), "copied what refers to the image (signatures, SBOMs): 1 manifests"); told != strings.Contains(fmt.Sprint(args), "/signed") {
			t.Errorf("%q: got %s", args, &d.stderr)
		}
	}
	if got, want := d.server.Tags("alice/signed"), []string{"1", signature}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(d.server.Tags("alice/unsigned")) != 1 || len(d.server.Tags("alice/other")) != 1 {
		t.Errorf("got %q and %q", d.server.Tags("alice/unsigned"), d.server.Tags("alice/other"))
	}
}

// What signs an image, or a part of an index, arrives with the tags that match, and
// later too, when these are the same.
func TestCopyMatchedReferrers(t *testing.T) {
	d, from := indexes(t)
	index, _, _ := from.Manifest("alice/web", "1")
	var parts ocispec.Index
	if err := json.Unmarshal(index, &parts); err != nil {
		t.Fatal(err)
	}
	sign := func(subject, suffix string) (tag string) {
		t.Helper()
		tag = strings.Replace(subject, ":", "-", 1) + suffix
		if code := d.run(t.Context(), "tag", from.Host+"/alice/web:1", tag); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
		return tag
	}
	var want []string
	for _, suffix := range []string{".sig", ".att"} { // the second when the tag is there
		want = append(want, sign(digestOf(index), suffix), sign(parts.Manifests[0].Digest.String(), suffix))
		if code := d.run(t.Context(), "copy", "-a", "--match", "1", from.Host+"/alice/web", "alice/"); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
		got := d.server.Tags("alice/web")
		slices.Sort(want)
		if !slices.Equal(got, append([]string{"1"}, want...)) {
			t.Errorf("got %q, want 1 and %q", got, want)
		}
	}
}

// Where there is nothing to copy, the command says so: a name may be mistyped.
func TestCopyOfNothing(t *testing.T) {
	d, from := twoRegistries(t)
	for message, test := range map[string]struct {
		args []string
		code int
	}{
		from.Host + " shows no image of bob\nhint: docker gitea ls " + from.Host: {[]string{"copy", from.Host + "/bob/", "alice/"}, fault.ExitFailed},
		`no tag matches "9.*"`: {[]string{"copy", "-a", "--match", "9.*", from.Host + "/alice/web", "alice/"}, fault.ExitOK},
	} {
		if code := d.run(t.Context(), test.args...); code != test.code || !strings.Contains(d.stderr.String(), message) {
			t.Errorf("%q: exit code %d\n%s", test.args, code, &d.stderr)
		}
	}
}

func TestCopyAllRefuses(t *testing.T) {
	d := newDesk(t)
	for message, args := range map[string][]string{
		`did you mean "h.example/me/web:1"?`: {"copy", "https://h.example/me/web:1", "alice/web"},
		"wants HOST/NAME without a tag":      {"copy", "-a", "h.example/alice/web:1", "alice/"},
		"names no owner":                     {"copy", "h.example/", "alice/"},
		"all images of an owner cannot":      {"copy", "h.example/me/", "alice/web"},
		"goes with --all-tags":               {"copy", "--match", "1.*", "h.example/me/web", "alice/web"},
		"syntax error in pattern":            {"copy", "-a", "--match", "[", "h.example/me/web", "alice/web"},
		"--all-tags and --tag exclude":       {"copy", "-a", "-t", "x", "h.example/me/web", "alice/web"},
		"but --all-tags pushes every tag":    {"copy", "-a", "h.example/me/web", "alice/web:1"},
	} {
		if code := d.run(t.Context(), args...); code != fault.ExitUsage || !strings.Contains(d.stderr.String(), message) {
			t.Errorf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
	}
	if log := d.server.Registry.Log(); len(log) > 0 {
		t.Errorf("%d requests were made", len(log))
	}
}

// What one tag has shown of a repository is not asked for again for another: to Gitea
// a copy of many tags makes one request for each blob, and one for each tag.
func TestCopyAllTagsAsksOnce(t *testing.T) {
	const tags, blobs = 20, 2*20 + 1
	for flavor, want := range map[registrytest.Flavor]map[string]int{
		registrytest.Gitea:        {"GET /manifests/": 1, "POST /blobs/": blobs, "PUT /manifests/": tags},
		registrytest.Distribution: {"GET /manifests/": 1, "HEAD /blobs/": blobs, "POST /blobs/": blobs, "PUT /blobs/": blobs, "PUT /manifests/": tags},
	} {
		d := newDesk(t)
		var names []string
		for i := range tags {
			names = append(names, fmt.Sprintf("web:%d", i))
		}
		if code := d.run(t.Context(), "push", "--all-images", "--to", "alice/", bundle(t, names...)); code != fault.ExitOK {
			t.Fatalf("exit code %d\n%s", code, &d.stderr)
		}
		from := moveTo(t, d, registrytest.Config{Flavor: flavor})
		copyAll := func(want map[string]int) {
			t.Helper()
			d.server.Registry.ResetLog()
			if code := d.run(t.Context(), "copy", "--all-tags", from+"/alice/web", "alice/"); code != fault.ExitOK {
				t.Fatalf("exit code %d\n%s", code, &d.stderr)
			}
			got := map[string]int{}
			for _, req := range d.server.Registry.Log() {
				kind := "other"
				for _, part := range []string{"/blobs/", "/manifests/"} {
					if strings.Contains(req.Path, part) {
						kind = req.Method + " " + part
					}
				}
				got[kind]++
			}
			if got["other"] > 6 {
				t.Errorf("%v: %d requests beside blobs and manifests", flavor, got["other"])
			}
			delete(got, "other")
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v: got %v, want %v", flavor, got, want)
			}
		}
		copyAll(want)
		copyAll(map[string]int{"HEAD /manifests/": tags})
	}
}

// A blob that is lost between two tags of one copy is sent again: what the first tag
// has shown is not believed when the registry says that it lacks it. A third tag, side
// by side with the second, might send the blob as well.
func TestCopyAllTagsRepairs(t *testing.T) {
	d, from := twoRegistries(t)
	data, _, _ := from.Manifest("alice/web", "2")
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	base := m.Layers[0].Digest
	lost := d.server.Fault(registrytest.Rule{Method: http.MethodPut, Path: "/v2/alice/web/manifests/", Skip: 1, Times: 1, Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		remove := req.Clone(req.Context())
		remove.Method, remove.Body, remove.ContentLength = http.MethodDelete, http.NoBody, 0
		remove.URL.Path = "/v2/alice/web/blobs/" + base.String()
		next.ServeHTTP(httptest.NewRecorder(), remove)
		next.ServeHTTP(w, req)
	})})
	if code := d.run(t.Context(), "copy", "-a", "--match", "[12]", from.Host+"/alice/web", "alice/"); code != fault.ExitOK || lost.Hits() != 1 {
		t.Fatalf("exit code %d, %d blobs lost\n%s", code, lost.Hits(), &d.stderr)
	}
	if _, there := d.server.Registry.HasBlob("alice/web", base); !there || len(d.server.Registry.Requests(http.MethodPost, "/v2/alice/web/blobs/")) != 6 {
		t.Errorf("there %v, after %d uploads", there, len(d.server.Registry.Requests(http.MethodPost, "/v2/alice/web/blobs/")))
	}
}

// An image that cannot be had as it is wanted keeps none of the others back, also where
// its tag is there already.
func TestCopyAllTagsWithoutThePlatform(t *testing.T) {
	d, from := twoRegistries(t)
	copyAll := func(options ...string) int {
		t.Helper()
		return d.run(t.Context(), append([]string{"copy", "--format", "json", "--all-tags", from.Host + "/alice/web", "alice/"}, options...)...)
	}
	if code := copyAll(); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	code := copyAll("--platform", "linux/arm64")
	if told := d.stderr.String(); code != fault.ExitFailed || strings.Count(told, "there is no image for linux/arm64") != 3 || !strings.Contains(told, "3 of 3 images were not pushed") {
		t.Errorf("exit code %d\n%s", code, told)
	}
	if got := copiedList(t, d); len(got) != 3 {
		t.Errorf("got %v", got)
	}
}
