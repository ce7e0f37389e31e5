package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/progress"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// outcome is what came of one push. began is zero for one that was not begun.
type outcome struct {
	target.Target
	result     registry.Result
	linked     linkOutcome
	began, end time.Time
	err        error
}

// errNotAttempted is the fate of what comes after a failure.
var errNotAttempted = errors.New("not attempted: what came before it failed")

// reports are those of all pushes of a plan: of those that were begun, and of
// those that err, which ended the command, kept from it.
func (p pushPlan) reports(begun []outcome, err error, now time.Time) []v1alpha1.Push {
	told := slices.ContainsFunc(begun, func(o outcome) bool { return o.err != nil })
	for _, t := range p.Targets {
		if slices.ContainsFunc(begun, func(o outcome) bool { return o.Familiar() == t.Familiar() }) {
			continue
		}
		o := outcome{Target: t, end: now, err: errNotAttempted}
		if !told {
			o.err, told = err, true
		}
		begun = append(begun, o)
	}
	var reports []v1alpha1.Push
	for _, o := range begun {
		reports = append(reports, newReport(p.source.String(), p.settings[o.Host], o))
	}
	return reports
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind}
}

// newReport tells what was asked for, and what came of it.
func newReport(source string, s options.Settings, o outcome) v1alpha1.Push {
	return v1alpha1.Push{
		TypeMeta: typeMeta(v1alpha1.KindPush),
		Spec: v1alpha1.PushSpec{
			Source: source, Destination: o.Familiar(), Tags: o.Tags,
			Platform: s.Platform, Compression: v1alpha1.Compression{Algorithm: s.Compression, Level: s.Level},
			Jobs: s.Jobs, Retries: s.Retries, ChunkSize: int64(s.ChunkSize),
			Timeout: metav1.Duration{Duration: s.Timeout}, Insecure: s.Insecure, Link: s.Link, DryRun: s.DryRun, Verify: s.Verify,
		},
		Status: newStatus(s, o),
	}
}

func newStatus(s options.Settings, o outcome) v1alpha1.PushStatus {
	status := v1alpha1.PushStatus{
		Conditions: conditions(s, o),
		MediaType:  o.result.MediaType, Digest: o.result.Digest.String(), Size: o.result.Size, Unverified: o.result.Unverified,
		LinkedRepository: o.linked.repository,
		BytesSent:        o.result.BytesSent, Requests: o.result.Requests, Retries: o.result.Retries,
	}
	if !o.began.IsZero() {
		status.StartTime, status.CompletionTime = metav1.NewTime(o.began), metav1.NewTime(o.end)
		status.Duration = metav1.Duration{Duration: o.end.Sub(o.began)}
	}
	if !s.DryRun {
		for _, tag := range o.result.Tags {
			status.References = append(status.References, fmt.Sprintf("%s:%s@%s", o.result.Reference, tag, o.result.Digest))
		}
	}
	for _, blob := range o.result.Blobs {
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
func conditions(s options.Settings, o outcome) []metav1.Condition {
	var all []metav1.Condition
	add := func(kind string, status metav1.ConditionStatus, reason, message string) {
		all = append(all, metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(o.end)})
	}
	failure, message := reason(o.err), fault.Explain(o.err).String()
	switch {
	case isUnreachable(o.err):
		add(v1alpha1.ConditionReachable, metav1.ConditionFalse, failure, message)
	case o.err == nil, wasAnswered(o):
		add(v1alpha1.ConditionReachable, metav1.ConditionTrue, "Answered", "")
	}
	switch {
	case errors.Is(o.err, registry.ErrUnauthorized):
		add(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, failure, message)
	case o.err == nil, len(o.result.Blobs) > 0, errors.Is(o.err, registry.ErrDenied), errors.Is(o.err, registry.ErrQuota):
		add(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, "Accepted", "")
	}
	status := metav1.ConditionFalse
	switch {
	case o.err != nil:
	case s.DryRun:
		failure, message = "DryRun", "nothing was to be sent"
	case o.result.Unverified:
		status, failure, message = metav1.ConditionTrue, "Unchanged", unverified
	default:
		status, failure, message = metav1.ConditionTrue, "Pushed", ""
	}
	add(v1alpha1.ConditionPushed, status, failure, message)
	switch {
	case o.linked.err != nil:
		add(v1alpha1.ConditionLinked, metav1.ConditionFalse, reason(o.linked.err), fault.Explain(o.linked.err).String())
	case o.linked.repository != "":
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

func wasAnswered(o outcome) bool {
	_, answered := errors.AsType[*registry.Error](o.err)
	return answered || len(o.result.Blobs) > 0
}

// reasons are the conditions' reasons of failures; the first that fits counts.
var reasons = []struct {
	err  error
	name string
}{
	{errNotAttempted, "NotAttempted"},
	{context.Canceled, "Interrupted"},
	{context.DeadlineExceeded, "TimedOut"},
	{registry.ErrUnauthorized, "Unauthorized"},
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
		if errors.Is(err, r.err) {
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
