//go:build !windows

package helperprogram

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/programs"
)

func TestCall(t *testing.T) {
	for name, test := range map[string]struct {
		script, out string
		err         func(error) bool
	}{
		"answers":        {`cat; echo " and more "; echo told >&2`, "asked and more", func(err error) bool { return err == nil }},
		"fails":          {`echo secret; echo told >&2; exit 3`, "secret", func(err error) bool { return err != nil && err.Error() == "exit status 3" }},
		"is interrupted": {`echo told >&2; kill -INT $$`, "", func(err error) bool { return errors.Is(err, context.Canceled) }},
		"says so":        {`echo told >&2; exit 130`, "", func(err error) bool { return errors.Is(err, context.Canceled) }},
		"is killed":      {`echo told >&2; kill -KILL $$`, "", func(err error) bool { return err != nil && !errors.Is(err, context.Canceled) }},
		"does not stop":  {`echo told >&2; exec yes secret`, "", func(err error) bool { return errors.Is(err, errTooLong) }},
		"is heedless":    {`echo told >&2; trap "" PIPE; yes secret 2>/dev/null | head -c 9000000 2>/dev/null; exit 0`, "", func(err error) bool { return errors.Is(err, errTooLong) }},
		"does not read":  {`exec <&-; echo told >&2; echo done`, "done", func(error) bool { return true }},
		"has no secrets": {`echo told >&2; exit 0`, "", func(err error) bool { return err == nil }},
	} {
		t.Run(name, func(t *testing.T) {
			program := programs.Write(t, filepath.Join(t.TempDir(), "helper"), "#!/bin/sh\n"+test.script+"\n")
			var stderr bytes.Buffer
			call := New(t.Context(), program, &stderr, "get")
			call.Input(strings.NewReader("asked"))
			out, err := call.Output()
			if !test.err(err) || !errors.Is(err, call.Err) {
				t.Errorf("got the error %v, kept is %v", err, call.Err)
			}
			if len(out) > maxAnswer || test.out != "" && string(out) != test.out {
				t.Errorf("got %d bytes, %.40q", len(out), out)
			}
			if !strings.Contains(stderr.String(), "told") {
				t.Errorf("its standard error is %q", &stderr)
			}
		})
	}
}
