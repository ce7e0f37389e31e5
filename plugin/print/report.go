package print

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/progress"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// Outcome is what came of one push. Began is zero for one that was not begun.
type Outcome struct {
	target.Target
	Result     registry.Result
	Linked     Linked
	Began, End time.Time
	Err        error
}

// Linked is what came of linking an image: the repository that it is
// linked to now, whether it was before, and why not to the one that was wanted.
type Linked struct {
	Repository string
	Already    bool
	Err        error
}

// String is said of a link that was made.
func (l Linked) String() string {
	if l.Already {
		return "linked to " + l.Repository + " already"
	}
	return "linked to " + l.Repository
}

// errNotAttempted is the fate of what comes after a failure.
var errNotAttempted = errors.New("not attempted: what came before it failed")

// Attempts are the outcomes of pushes to all targets: of those that were begun, and
// of those that err, which ended the command, kept from it.
func Attempts(targets []target.Target, begun []Outcome, err error, now time.Time) []Outcome {
	told := slices.ContainsFunc(begun, func(o Outcome) bool { return o.Err != nil })
	for _, t := range targets {
		if slices.ContainsFunc(begun, func(o Outcome) bool { return o.Familiar() == t.Familiar() }) {
			continue
		}
		o := Outcome{Target: t, End: now, Err: errNotAttempted}
		if !told {
			o.Err, told = err, true
		}
		begun = append(begun, o)
	}
	return begun
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind}
}

// NewReport tells what was asked for, and what came of it.
func NewReport(source string, s options.Settings, o Outcome) v1alpha1.Push {
	return v1alpha1.Push{
		TypeMeta: typeMeta(v1alpha1.KindPush),
		Spec: v1alpha1.PushSpec{
			Source: source, Destination: o.Familiar(), Tags: o.Tags,
			Platform: s.Platform, Compression: v1alpha1.Compression{Algorithm: s.Compression, Level: s.Level},
			ForceCompression: s.ForceCompression, NoAttestations: s.NoAttestations, IncludeForeign: s.IncludeForeign,
			Jobs: s.Jobs, Retries: s.Retries, ChunkSize: int64(s.ChunkSize), LimitRate: int64(s.LimitRate),
			Timeout: metav1.Duration{Duration: s.Timeout}, Insecure: s.Insecure, Link: s.Link, DryRun: s.DryRun, Verify: s.Verify, NoClobber: s.NoClobber,
		},
		Status: newStatus(s, o),
	}
}

func newStatus(s options.Settings, o Outcome) v1alpha1.PushStatus {
	status := v1alpha1.PushStatus{
		Conditions: conditions(s, o),
		MediaType:  o.Result.MediaType, Digest: o.Result.Digest.String(), Size: o.Result.Size, Unverified: o.Result.Unverified,
		LinkedRepository: o.Linked.Repository,
		BytesSent:        o.Result.BytesSent, Requests: o.Result.Requests, Retries: o.Result.Retries,
	}
	if !o.Began.IsZero() {
		status.StartTime, status.CompletionTime = metav1.NewTime(o.Began), metav1.NewTime(o.End)
		status.Duration = metav1.Duration{Duration: o.End.Sub(o.Began)}
	}
	if !s.DryRun {
		for _, tag := range o.Result.Tags {
			status.References = append(status.References, fmt.Sprintf("%s:%s@%s", o.Result.Reference, tag, o.Result.Digest))
		}
	}
	for _, blob := range o.Result.Blobs {
		status.Blobs = append(status.Blobs, v1alpha1.BlobStatus{Digest: blob.Digest.String(), Size: blob.Size, Status: progress.Name(blob.Status), From: blob.From})
		switch blob.Status {
		case registry.StatusExists:
			status.BytesReused += blob.Size
		case registry.StatusMounted:
			status.BytesMounted += blob.Size
		default:
		}
	}
	return status
}

// conditions leave out what a failure kept from being found out.
func conditions(s options.Settings, o Outcome) []metav1.Condition {
	var all []metav1.Condition
	add := func(kind string, status metav1.ConditionStatus, reason, message string) {
		all = append(all, metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(o.End)})
	}
	failure, message := reason(o.Err), fault.Explain(o.Err).String()
	switch {
	case isUnreachable(o.Err):
		add(v1alpha1.ConditionReachable, metav1.ConditionFalse, failure, message)
	case o.Err == nil, wasAnswered(o):
		add(v1alpha1.ConditionReachable, metav1.ConditionTrue, "Answered", "")
	}
	switch {
	case errors.Is(o.Err, registry.ErrUnauthorized):
		add(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, failure, message)
	case o.Err == nil, len(o.Result.Blobs) > 0, errors.Is(o.Err, registry.ErrDenied), errors.Is(o.Err, registry.ErrQuota):
		add(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, "Accepted", "")
	}
	status := metav1.ConditionFalse
	switch {
	case o.Err != nil:
	case s.DryRun:
		failure, message = "DryRun", "nothing was to be sent"
	case o.Result.Unverified:
		status, failure, message = metav1.ConditionTrue, "Unchanged", Unverified
	default:
		status, failure, message = metav1.ConditionTrue, "Pushed", ""
	}
	add(v1alpha1.ConditionPushed, status, failure, message)
	switch {
	case o.Linked.Err != nil:
		add(v1alpha1.ConditionLinked, metav1.ConditionFalse, reason(o.Linked.Err), fault.Explain(o.Linked.Err).String())
	case o.Linked.Repository != "":
		add(v1alpha1.ConditionLinked, metav1.ConditionTrue, "Linked", "")
	}
	add(v1alpha1.ConditionReady, status, failure, message)
	return all
}

// isUnreachable reports an error of the way to the registry, or that there is
// none at its end. A time limit of the push itself says nothing of that.
func isUnreachable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	_, network := errors.AsType[net.Error](err)
	_, certificate := errors.AsType[*registry.TLSError](err)
	return network || certificate || errors.Is(err, registry.ErrStalled) || errors.Is(err, registry.ErrNotRegistry)
}

func wasAnswered(o Outcome) bool {
	_, answered := errors.AsType[*registry.Error](o.Err)
	return answered || len(o.Result.Blobs) > 0
}

// reasons are the conditions' reasons of failures; the first that fits counts.
var reasons = []struct {
	Err  error
	name string
}{
	{errNotAttempted, "NotAttempted"},
	{context.Canceled, "Interrupted"},
	{context.DeadlineExceeded, "TimedOut"},
	{registry.ErrUnauthorized, "Unauthorized"},
	{registry.ErrTagExists, "TagExists"},
	{registry.ErrOwnerUnknown, "OwnerUnknown"},
	{registry.ErrQuota, "QuotaExceeded"},
	{registry.ErrDenied, "Denied"},
	{registry.ErrNameInvalid, "NameInvalid"},
	{registry.ErrNotRegistry, "NotARegistry"},
	{registry.ErrTooLarge, "RequestTooLarge"},
	{registry.ErrRateLimited, "RateLimited"},
	{registry.ErrDigestMismatch, "DigestMismatch"},
	{registry.ErrBlobUnknown, "BlobUnknown"},
	{registry.ErrManifestInvalid, "ManifestInvalid"},
	{registry.ErrStalled, "Stalled"},
	{registry.ErrServer, "ServerError"},
}

// reason is the word that stands for an error in a condition.
func reason(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.Err) {
			return r.name
		}
	}
	if _, certificate := errors.AsType[*registry.TLSError](err); certificate {
		return "CertificateRefused"
	}
	if _, source := errors.AsType[*image.Error](err); source {
		return "SourceInvalid"
	}
	if isUnreachable(err) {
		return "Unreachable"
	}
	return "Failed"
}

// CopyTable writes what became of each tag of a copy: one line each, or with quiet
// the pinned references.
func CopyTable(w io.Writer, reports []v1alpha1.Push, quiet bool) error {
	rows := [][]string{{"TAG", "STATUS", "SENT", "DIGEST"}}
	for _, r := range reports {
		name := r.Spec.Destination + ":" + strings.Join(r.Spec.Tags, ",")
		if quiet {
			if r.Status.Digest != "" {
				if _, err := fmt.Fprintf(w, "%s@%s\n", name, r.Status.Digest); err != nil {
					return err
				}
			}
			continue
		}
		ready := r.Status.Conditions[len(r.Status.Conditions)-1]
		rows = append(rows, []string{name, ready.Reason, humanize.Bytes(uint64(max(r.Status.BytesSent, 0))), r.Status.Digest})
	}
	if quiet {
		return nil
	}
	return Table(w, rows)
}
