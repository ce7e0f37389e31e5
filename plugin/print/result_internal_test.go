package print

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker-gitea/docker-gitea/registry"
)

func TestPrintResult(t *testing.T) {
	result := registry.Result{
		Reference: "git.example.com/me/app", Tags: []string{"1", "latest"}, Digest: "sha256:ab", Size: 528,
		Blobs: []registry.BlobResult{{Size: 3e6, Status: registry.StatusSkipped}, {Size: 9, Status: registry.StatusExists}},
	}
	dry, unknown := result, result
	dry.DryRun = true
	unknown.DryRun, unknown.Digest = true, ""
	if got, want := DryRunSummary(result), "dry run: 1 of 2 blobs (3.0 MB) would be sent, and nothing was"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, test := range []struct {
		name   string
		Result registry.Result
		quiet  bool
		want   string
	}{
		{"normal", result, false, "1: digest: sha256:ab size: 528\nlatest: digest: sha256:ab size: 528\n"},
		{"quiet", result, true, "git.example.com/me/app:1@sha256:ab\ngit.example.com/me/app:latest@sha256:ab\n"},
		{"dry run", dry, false, "1: digest: sha256:ab size: 528\nlatest: digest: sha256:ab size: 528\n"},
		{"dry run, digest unknown", unknown, false, "git.example.com/me/app:1\ngit.example.com/me/app:latest\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout strings.Builder
			if err := WriteResult(&stdout, test.Result, Style{Quiet: test.quiet}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, stdout.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
