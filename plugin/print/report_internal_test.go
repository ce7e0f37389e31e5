package print

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// conditionsOf are the conditions in short: "Reachable=True/Answered".
func conditionsOf(report v1alpha1.Push) string {
	var all []string
	for _, c := range report.Status.Conditions {
		all = append(all, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	return strings.Join(all, " ")
}

func TestConditions(t *testing.T) {
	sent := registry.Result{Blobs: []registry.BlobResult{{Size: 1, Status: registry.StatusPushed}}}
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for _, test := range []struct {
		name   string
		Result registry.Result
		Linked Linked
		Err    error
		dryRun bool
		want   string
	}{
		{name: "success", want: "Reachable=True/Answered Authenticated=True/Accepted Pushed=True/Pushed Ready=True/Pushed"},
		{name: "dry run", dryRun: true, want: "Reachable=True/Answered Authenticated=True/Accepted Pushed=False/DryRun Ready=False/DryRun"},
		{name: "nobody listens", Err: refused, want: "Reachable=False/Unreachable Pushed=False/Unreachable Ready=False/Unreachable"},
		{
			name: "certificate", Err: &registry.TLSError{Err: x509.UnknownAuthorityError{}},
			want: "Reachable=False/CertificateRefused Pushed=False/CertificateRefused Ready=False/CertificateRefused",
		},
		{
			name: "no registry", Err: registry.ErrNotRegistry,
			want: "Reachable=False/NotARegistry Pushed=False/NotARegistry Ready=False/NotARegistry",
		},
		{
			name: "no credential", Err: errors.Join(registry.ErrUnauthorized, registry.ErrDenied, &registry.Error{Status: 401}),
			want: "Reachable=True/Answered Authenticated=False/Unauthorized Pushed=False/Unauthorized Ready=False/Unauthorized",
		},
		{
			name: "no right", Err: errors.Join(registry.ErrDenied, &registry.Error{Status: 403}),
			want: "Reachable=True/Answered Authenticated=True/Accepted Pushed=False/Denied Ready=False/Denied",
		},
		{
			name: "failed in the end", Result: sent, Err: registry.ErrServer,
			want: "Reachable=True/Answered Authenticated=True/Accepted Pushed=False/ServerError Ready=False/ServerError",
		},
		{
			name: "linked", Linked: Linked{Repository: "me/shop"},
			want: "Reachable=True/Answered Authenticated=True/Accepted Pushed=True/Pushed Linked=True/Linked Ready=True/Pushed",
		},
		{
			name: "not linked", Linked: Linked{Err: registry.ErrDenied},
			want: "Reachable=True/Answered Authenticated=True/Accepted Pushed=True/Pushed Linked=False/Denied Ready=True/Pushed",
		},
		{
			name: "unchanged", Result: registry.Result{Unverified: true},
			want: "Reachable=True/Answered Authenticated=True/Accepted Pushed=True/Unchanged Ready=True/Unchanged",
		},
		{name: "too slow", Err: context.DeadlineExceeded, want: "Pushed=False/TimedOut Ready=False/TimedOut"},
		{name: "no source", Err: os.ErrNotExist, want: "Pushed=False/Failed Ready=False/Failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := NewReport("app", options.Settings{DryRun: test.dryRun}, Outcome{Result: test.Result, Linked: test.Linked, Err: test.Err})
			if diff := cmp.Diff(test.want, conditionsOf(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReportCountsBytes(t *testing.T) {
	begin := time.Unix(1000, 0)
	got := NewReport("app", options.Settings{Jobs: 4}, Outcome{
		Target: target.Target{Host: "git.example.com", Repository: "me/app", Tags: []string{"V1"}},
		Began:  begin, End: begin.Add(1500 * time.Millisecond),
		Result: registry.Result{
			Reference: "git.example.com/me/app", Tags: []string{"v1"}, Digest: "sha256:ab", Size: 7, BytesSent: 12, Retries: 2, Requests: 9,
			Blobs: []registry.BlobResult{
				{Digest: "sha256:01", Size: 10, Status: registry.StatusPushed},
				{Digest: "sha256:02", Size: 20, Status: registry.StatusExists},
				{Digest: "sha256:03", Size: 40, Status: registry.StatusMounted, From: "me/base"},
			},
		},
	})
	want := v1alpha1.PushStatus{
		Conditions: got.Status.Conditions, References: []string{"git.example.com/me/app:v1@sha256:ab"}, Digest: "sha256:ab", Size: 7,
		Blobs: []v1alpha1.BlobStatus{
			{Digest: "sha256:01", Size: 10, Status: "Pushed"}, {Digest: "sha256:02", Size: 20, Status: "Exists"}, {Digest: "sha256:03", Size: 40, Status: "Mounted", From: "me/base"},
		},
		BytesSent: 12, BytesReused: 20, BytesMounted: 40, Requests: 9, Retries: 2,
		StartTime: got.Status.StartTime, CompletionTime: got.Status.CompletionTime, Duration: got.Status.Duration,
	}
	if diff := cmp.Diff(want, got.Status); diff != "" {
		t.Error(diff)
	}
	if got.Status.Duration.Duration != 1500*time.Millisecond || !got.Status.StartTime.Time.Equal(begin) {
		t.Errorf("got %v from %v", got.Status.Duration, got.Status.StartTime)
	}
}

// The message of a condition is what the terminal shows: what happened, why,
// and what to do.
func TestConditionMessage(t *testing.T) {
	got := NewReport("app", options.Settings{}, Outcome{Err: fault.WithHint(errors.New("it broke\x1b[2J"), "mend it")})
	if want := "it broke[2J\nhint: mend it"; got.Status.Conditions[0].Message != want {
		t.Errorf("got %q, want %q", got.Status.Conditions[0].Message, want)
	}
}

// There is a report for every destination, whatever came before it.
func TestReportsOfSeveral(t *testing.T) {
	one, two, three := target.Target{Host: "h", Repository: "me/one"}, target.Target{Host: "h", Repository: "me/two"}, target.Target{Host: "h", Repository: "me/three"}
	for _, test := range []struct {
		name  string
		begun []Outcome
		Err   error
		want  string
	}{
		{"success", []Outcome{{Target: one}, {Target: two}, {Target: three}}, nil, strings.TrimSuffix(strings.Repeat("Pushed, ", 3), ", ")},
		{"second fails", []Outcome{{Target: one}, {Target: two, Err: registry.ErrServer}}, registry.ErrServer, "Pushed, ServerError, NotAttempted"},
		{"before the second", []Outcome{{Target: one}}, os.ErrNotExist, "Pushed, Failed, NotAttempted"},
		{"before all", nil, os.ErrNotExist, "Failed, NotAttempted, NotAttempted"},
		{"several of one destination", []Outcome{{Target: one}, {Target: one, Err: registry.ErrServer}}, registry.ErrServer, "Pushed, ServerError, NotAttempted, NotAttempted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, o := range Attempts([]target.Target{one, two, three}, test.begun, test.Err, time.Unix(1, 0)) {
				conditions := NewReport("app", options.Settings{}, o).Status.Conditions
				got = append(got, conditions[len(conditions)-1].Reason)
			}
			if diff := cmp.Diff(test.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Reports are what the published schema says.
func TestReportsFitTheirSchema(t *testing.T) {
	content, err := os.ReadFile("../../registry/v1alpha1/schema/push.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Outcome{
		{End: time.Unix(2, 0), Err: registry.ErrDenied},
		{Began: time.Unix(1, 0), End: time.Unix(2, 0), Result: registry.Result{
			Tags: []string{"1"}, Digest: "sha256:ab",
			Blobs: []registry.BlobResult{{Status: registry.StatusExists}, {Status: registry.StatusMounted}, {Status: registry.StatusPushed}, {Status: registry.StatusSkipped}},
		}},
	} {
		encoded, err := json.Marshal(NewReport("app", options.Settings{Timeout: time.Minute, Compression: "gzip"}, o))
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(encoded, &object); err != nil {
			t.Fatal(err)
		}
		if err := resolved.Validate(object); err != nil {
			t.Errorf("%v\n%s", err, encoded)
		}
	}
}
