package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"syscall"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

func TestExitCode(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		want int
	}{
		{"plain", t.Context(), errors.New("no such file"), fault.ExitFailed},
		{"usage", t.Context(), fault.Usage(errors.New("unknown flag")), fault.ExitUsage},
		{"name", t.Context(), &registry.NameError{}, fault.ExitUsage},
		{"interrupted", cancelled, fault.Push(context.Canceled), fault.ExitInterrupted},
		{"interrupted, as another program says first", t.Context(), fmt.Errorf("helper: %w", context.Canceled), fault.ExitInterrupted},
		{"credential", t.Context(), fault.Push(registry.ErrUnauthorized), fault.ExitDenied},
		{"permission", t.Context(), fault.Push(fmt.Errorf("push x: %w", registry.ErrDenied)), fault.ExitDenied},
		{"server", t.Context(), fault.Push(&registry.Error{Status: 503}), fault.ExitTemporary},
		{"time limit", t.Context(), fault.Push(context.DeadlineExceeded), fault.ExitTemporary},
		{"network", t.Context(), fault.Push(&net.OpError{Op: "dial", Err: errors.New("refused")}), fault.ExitTemporary},
		{"no such name", t.Context(), fault.Push(&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}), fault.ExitFailed},
		{"disk", t.Context(), fault.Push(&fs.PathError{Op: "write", Err: syscall.ENOSPC}), fault.ExitFailed},
		{"certificate", t.Context(), fault.Push(&url.Error{Op: "Get", Err: &registry.TLSError{Err: errors.New("expired")}}), fault.ExitFailed},
		{"network to the daemon", t.Context(), &net.OpError{Op: "dial", Err: errors.New("refused")}, fault.ExitFailed},
		{"too large", t.Context(), fault.Push(registry.ErrTooLarge), fault.ExitFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := fault.ExitCode(test.ctx, test.err); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// Several failures have one exit code only where it says the truth of each.
func TestExitCodeOfSeveral(t *testing.T) {
	later, refused := fault.Push(&registry.Error{Status: 503}), fault.Push(registry.ErrDenied)
	for _, test := range []struct {
		name string
		errs []error
		want int
	}{
		{"all later", []error{later, nil, later}, fault.ExitTemporary},
		{"all refused", []error{refused, refused}, fault.ExitDenied},
		{"both", []error{refused, later}, fault.ExitFailed},
		{"another", []error{later, errors.New("no such file")}, fault.ExitFailed},
		{"a name that the registry refuses", []error{&registry.NameError{}}, fault.ExitFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := fault.Several(test.errs)
			if got := fault.ExitCode(t.Context(), err); got != test.want || !fault.IsReported(err) {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
	if err := fault.Several([]error{nil, nil}); err != nil {
		t.Errorf("got %v without a failure", err)
	}
}
