package test

import (
	"os"
	"os/exec"
	"testing"
)

// NOTICE has the licenses of everything that the programs link.
func TestNoticeIsInStep(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "run", "./test/cmd/notice")
	cmd.Dir = ".."
	want, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("NOTICE is not what the programs link: run `make generate`")
	}
}
