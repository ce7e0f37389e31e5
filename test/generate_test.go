//go:build e2e

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// What controller-gen writes of the API types is what is committed.
func TestGeneratedCodeIsInStep(t *testing.T) {
	generate, err := servers.Program("controller-gen")
	servers.Need(t, err)
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), generate, "object", "crd", "paths=./registry/v1alpha1",
		"output:object:dir="+out, "output:crd:dir="+filepath.Join(out, "crd"))
	cmd.Dir = ".."
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, name := range []string{"zz_generated.deepcopy.go", "crd/docker-gitea.github.io_pushes.yaml", "crd/docker-gitea.github.io_registries.yaml"} {
		want, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../registry/v1alpha1", name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: run `make generate`:\n%s", name, diff)
		}
	}
}
