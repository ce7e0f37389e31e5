package image_test

import (
	"os/exec"
	"strings"
	"testing"
)

// What strangers packed is not handed to other programs to unpack (moby's
// CVE-2026-41567): the package cannot start any.
func TestImagesAreReadWithoutPrograms(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	if strings.Contains("\n"+string(out), "\nos/exec\n") {
		t.Error("links os/exec")
	}
}
