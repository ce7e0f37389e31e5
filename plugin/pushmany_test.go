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

// bundle is an archive of images that share their first layer.
func bundle(t *testing.T, names ...string) string {
	t.Helper()
	base := tarOf("base", []byte("base"))
	parts := []any{"base/layer.tar", base}
	var items []string
	for _, name := range names {
		layer := tarOf("file", []byte(name))
		config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q,%q]}}`, digestOf(base), digestOf(layer))
		parts = append(parts, digestOf(config)[7:]+".json", config, digestOf(layer)[7:]+"/layer.tar", layer)
		items = append(items, fmt.Sprintf(`{"Config":%q,"RepoTags":[%q],"Layers":["base/layer.tar",%q]}`, digestOf(config)[7:]+".json", name, digestOf(layer)[7:]+"/layer.tar"))
	}
	file := filepath.Join(t.TempDir(), "bundle.tar")
	if err := os.WriteFile(file, tarOf(append(parts, "manifest.json", []byte("["+strings.Join(items, ",")+"]"))...), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// All images of a file arrive under their own names, and what they share is sent
// once.
func TestPushAllImages(t *testing.T) {
	d := newDesk(t)
	file := bundle(t, "web:1", "docker.io/library/worker:2", "git.other.example/team/db:3")
	for name, args := range map[string][]string{
		"the file alone":     {"push", "--all-images", "--to", "alice/", file},
		"docker-archive":     {"push", "--all-images", "--to", "alice/bob/", "docker-archive:" + file},
		"to two, and --json": {"push", "--all-images", "--format", "json", "--to", "alice/carol/", "--to", "alice/dave/", file},
	} {
		t.Run(name, func(t *testing.T) {
			d.server.Registry.ResetLog()
			if code := d.run(t.Context(), args...); code != fault.ExitOK {
				t.Fatalf("exit code %d\n%s", code, &d.stderr)
			}
			for i, arg := range args {
				if arg != "--to" {
					continue
				}
				for _, image := range []string{"web:1", "worker:2", "db:3"} {
					repository, tag, _ := strings.Cut(args[i+1]+image, ":")
					if _, _, ok := d.server.Manifest(repository, tag); !ok {
						t.Errorf("%s:%s is not there", repository, tag)
					}
				}
			}
			var list v1alpha1.PushList
			if slices.Contains(args, "json") {
				if err := json.Unmarshal(d.stdout.Bytes(), &list); err != nil || len(list.Items) != 6 {
					t.Errorf("got %d reports, %v", len(list.Items), err)
				}
			}
		})
	}
}

// A layer that several images have is sent by the first, and mounted for the others.
func TestSharedLayersGoOnce(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t.Context(), "push", "--all-images", "--format", "json", "--to", "alice/", bundle(t, "a:1", "b:1", "c:1", "d:1")); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	var list v1alpha1.PushList
	if err := json.Unmarshal(d.stdout.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	statuses := map[string][]string{}
	for _, item := range list.Items {
		for _, blob := range item.Status.Blobs {
			statuses[blob.Digest] = append(statuses[blob.Digest], blob.Status)
		}
	}
	var shared []string
	for _, all := range statuses {
		if len(all) == 4 {
			shared = all
		}
	}
	slices.Sort(shared)
	if want := []string{"Mounted", "Mounted", "Mounted", "Pushed"}; !slices.Equal(shared, want) {
		t.Errorf("got %v of the shared layer, want %v", shared, want)
	}
}

// What one image fails for does not keep the others back, and is told of each.
func TestOneFailureDoesNotHideTheOthers(t *testing.T) {
	d := newDesk(t)
	file := bundle(t, "a:1", "b:1", "c:1")
	d.server.Fault(registrytest.Rule{Method: http.MethodPut, Path: "/v2/alice/b/manifests/1", Action: registrytest.Answer{Status: http.StatusServiceUnavailable}})
	code := d.run(t.Context(), "push", "--retries", "0", "--format", "json", "--all-images", "--to", "alice/", file)
	var list v1alpha1.PushList
	if err := json.Unmarshal(d.stdout.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, item := range list.Items {
		reasons = append(reasons, item.Status.Conditions[len(item.Status.Conditions)-1].Reason)
	}
	if want := []string{"Pushed", "ServerError", "Pushed"}; code != fault.ExitTemporary || !slices.Equal(reasons, want) {
		t.Errorf("exit code %d, got %v, want %v", code, reasons, want)
	}
	if told := d.stderr.String(); !strings.Contains(told, "b:1: ") || !strings.Contains(told, "1 of 3 images were not pushed") {
		t.Errorf("got %s", told)
	}
	// One that is not there at all is none of the registry's refusals.
	if code := d.run(t.Context(), "push", "--to", "alice/bob/", "app:1", "none:1"); code != fault.ExitFailed {
		t.Errorf("exit code %d\n%s", code, &d.stderr)
	}
	if _, _, ok := d.server.Manifest("alice/bob/app", "1"); !ok {
		t.Error("the other image is not there")
	}
	if !strings.Contains(d.stdout.String(), d.server.Host+"/alice/bob/app:1: digest: sha256:") {
		t.Errorf("got %s", &d.stdout)
	}
}

// An image that cannot be read of a file does not keep the others back either.
func TestOneFileThatCannotBeRead(t *testing.T) {
	d := newDesk(t)
	code := d.run(t.Context(), "push", "--platform", "linux/arm64", "--to", "alice/", bundle(t, "a:1"), bundle(t, "b:1"))
	if told := d.stderr.String(); code != fault.ExitFailed || strings.Count(told, "there is no image for linux/arm64") != 2 || !strings.Contains(told, "2 of 2 images were not pushed") {
		t.Errorf("exit code %d\n%s", code, told)
	}
}

// A destination that ends in "/" takes the own name of the image, whatever the kind
// of the source.
func TestOwnNames(t *testing.T) {
	d := newDesk(t)
	if code := d.run(t.Context(), "push", "app:1", "alice/"); code != fault.ExitOK {
		t.Fatalf("exit code %d\n%s", code, &d.stderr)
	}
	file := bundle(t, "web:7")
	for want, args := range map[string][]string{
		"alice/app:1":       {"push", "app:1", "alice/"},
		"alice/bob/app:1":   {"copy", d.server.Host + "/alice/app:1", "alice/bob/"},
		"alice/carol/app:1": {"push", "--to", "alice/carol/", "docker://" + d.server.Host + "/alice/app:1"},
		"alice/bob/web:7":   {"push", file, "alice/bob/"},
		"alice/bob/web:8":   {"push", "-t", "8", file, "alice/bob/"},
	} {
		if code := d.run(t.Context(), args...); code != fault.ExitOK {
			t.Fatalf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
		repository, tag, _ := strings.Cut(want, ":")
		if _, _, ok := d.server.Manifest(repository, tag); !ok {
			t.Errorf("%q: %s is not there", args, want)
		}
	}
	d.server.Registry.ResetLog()
	for message, args := range map[string][]string{
		"several images cannot all be":       {"push", "--to", "alice/app", "app:1", "web:1"},
		"would both be pushed as":            {"push", "--to", "alice/", "app:1", "docker://" + d.server.Host + "/alice/bob/app:1"},
		"has no name of its own":             {"push", "-", "alice/"},
		"--all-images is for files":          {"push", "--all-images", "--to", "alice/", "app:1"},
		"exclude each other":                 {"push", "--all-images", "--image", "web:7", "--to", "alice/", file},
		"standard input can be read only":    {"push", "-", "alice/a", "alice/b"},
		"sha256:0123456789ab has no name of": {"push", "sha256:0123456789ab", "alice/"},
	} {
		if code := d.run(t.Context(), args...); code != fault.ExitUsage || !strings.Contains(d.stderr.String(), message) {
			t.Errorf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
	}
	if log := d.server.Registry.Log(); len(log) > 0 {
		t.Errorf("%d requests were made", len(log))
	}
}

// The images of a compose project and of bake are those of the daemon by these names.
func TestPushProjects(t *testing.T) {
	d := newDesk(t)
	dir := t.TempDir()
	d.env["TAG"] = "1"
	for name, content := range map[string]string{
		"compose.yaml": "services:\n  app: {image: 'app:${TAG}', build: .}\n  db: {image: 'none:1'}\n",
		"made.json":    `{"app": {"image.name": "app:1"}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for to, args := range map[string][]string{
		"alice/composed/": {"--compose", filepath.Join(dir, "compose.yaml")},
		"alice/baked/":    {"--bake", filepath.Join(dir, "made.json")},
	} {
		if code := d.run(t.Context(), append([]string{"push", "--to", to}, args...)...); code != fault.ExitOK {
			t.Fatalf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
		if _, _, ok := d.server.Manifest(to+"app", "1"); !ok {
			t.Errorf("%q: it is not there", args)
		}
	}
	// What services only use is pushed where that is wanted.
	code := d.run(t.Context(), "push", "--all-images", "--compose", filepath.Join(dir, "compose.yaml"), "--to", "alice/all/")
	if told := d.stderr.String(); code != fault.ExitFailed || !strings.Contains(told, "none:1: ") {
		t.Errorf("exit code %d\n%s", code, told)
	}
	for _, args := range [][]string{
		{"push", "--compose", "x", "app:1", "--to", "alice/"},
		{"push", "--compose", "x"},
		{"push", "--compose", "x", "--bake", "y", "--to", "alice/"},
		{"push", "--compose", filepath.Join(dir, "none.yaml"), "--to", "alice/"},
	} {
		if code := d.run(t.Context(), args...); code != fault.ExitUsage {
			t.Errorf("%q: exit code %d\n%s", args, code, &d.stderr)
		}
	}
}
