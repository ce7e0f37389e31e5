package source_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/source"
)

func place(t *testing.T, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Images are those that compose itself would build, by its names.
func TestCompose(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "My.Shop")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	place(t, dir, ".env", "# tags\nTAG=7\nBASE='debian'\n")
	const services = `
services:
  web: {image: "me/web:${TAG}", build: .}
  worker: {build: {context: worker}}
  db: {image: "$BASE-db:${DB:-16}"}
  again: {image: "me/web:$TAG", build: .}
  dollars: {image: "me/x:${NONE-1}${TAG+b}", build: .}
`
	getenv := func(name string) string { return map[string]string{"TAG": "8"}[name] }
	for _, test := range []struct {
		name, content string
		all           bool
		want          string
	}{
		{"built", services, false, "me/web:8 me/x:1b myshop-worker"},
		{"all", services, true, "me/web:8 debian-db:16 me/x:1b myshop-worker"},
		{"a name of the project", "name: shop\n" + services, false, "me/web:8 me/x:1b shop-worker"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := source.Compose(place(t, dir, "compose.yaml", test.content), test.all, getenv)
			if want := strings.Fields(test.want); err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
	for fault, content := range map[string]string{
		"the variable VERSION is not set": "services: {web: {image: 'a:${VERSION}', build: .}}",
		"no service":                      "services: {db: {image: postgres}}",
		"has include":                     "include: [other.yaml]\nservices: {}",
		"has services.web.extends":        "services: {web: {extends: {service: base}}}",
		"cannot unmarshal":                "services: [1]",
	} {
		if _, err := source.Compose(place(t, dir, "compose.yaml", content), false, getenv); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("got %v, want %q", err, fault)
		}
	}
}

// Of a metadata file the images count that have names.
func TestBake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got, err := source.Bake(place(t, dir, "metadata.json", `{
		"buildx.build.warnings": [],
		"web": {"image.name": "docker.io/me/web:1,docker.io/me/web:latest", "containerimage.digest": "sha256:ab"},
		"app": {"image.name": "git.example.com/me/app:2"},
		"test": {"buildx.build.ref": "x"}
	}`))
	if want := []string{"git.example.com/me/app:2", "docker.io/me/web:1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, content := range []string{`{"a": {}}`, `[`} {
		if _, err := source.Bake(place(t, dir, "metadata.json", content)); fault.ExitCode(t.Context(), err) != fault.ExitUsage {
			t.Errorf("%s: got %v", content, err)
		}
	}
}
