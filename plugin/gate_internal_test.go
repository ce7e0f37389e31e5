package plugin

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/plugin/print"
)

func TestFileBehindGates(t *testing.T) {
	if file, ok := print.TerminalFile(&candidates{to: gate.New(os.Stderr, nil)}); !ok || file != os.Stderr {
		t.Error("the file behind the gates is not found")
	}
}

// Only plain words are offered to a shell, whichever completes.
func TestCandidates(t *testing.T) {
	for _, word := range []string{"push", "--tag", "--tag=", "-t", "git.example.com:3000/", "h/me/app:1.0-x_y", "[::1]:3000/me", ":4", "linux/arm/v7", "app:1@sha256:ab"} {
		var out bytes.Buffer
		if _, err := (&candidates{to: &out}).Write([]byte(word + "\tIt's \"plain\"\n")); err != nil || !strings.HasPrefix(out.String(), word+"\t") {
			t.Errorf("%q is not offered: %q", word, &out)
		}
	}
	for _, word := range []string{
		"`touch /tmp/x`", "$(x)", "a$(x)b", "a;b", "a|b", "a&b", "a>b", "a b", "a'b", `a"b`, "a\\b", "a*b", "a?b", "~", "a{b,c}", "a\x1bb", "!1",
		"#a", "a\u202eb", "é", "---a", "(a)", "", "a\rb", "%a", "@(a)", "=x",
	} {
		var out bytes.Buffer
		if _, err := (&candidates{to: &out}).Write([]byte(word + "\n")); err != nil || out.Len() > 0 {
			t.Errorf("%q is offered: %q, %v", word, &out, err)
		}
	}
}

// The parts of a command line that are secrets are known by their shape, or by
// where they stand. What is only a name, a path or an address is not hidden.
func TestHidden(t *testing.T) {
	const token, jwt = "0123456789abcdef0123456789abcdef01234567", "eyJhbGciOiJSUzI1NiJ9.eyJnaXRlYSI6MX0.c2ln"
	pem := "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\nCANARYcanary\n-----END PRIVATE KEY-----\n"
	there := filepath.Join(t.TempDir(), "client.key")
	put(t, "", there)
	for _, test := range []struct {
		args   []string
		hidden string
	}{
		{[]string{"push", "app:1", "h.example:5000/me/app:1", "--platform", "linux/amd64", "--jobs=3"}, ""},
		{[]string{"push", "-t", token, "--tag", token, "--tag=" + token, "app", "h/me/app:" + token}, ""},
		{[]string{"ls", "h.example/me/app@sha256:" + token + token[:24]}, ""},
		{[]string{"push", "app:latest@sha256:" + token + token[:24]}, ""},
		{[]string{"push", "--key", there, "-platform", "x"}, ""},
		{[]string{"-H", "ssh://me@h.example", "push", "app"}, ""},
		{[]string{"push", "-u", "me", "--password-stdin", "archive.tar", "h.example/me/app:1"}, ""},
		{[]string{"login", "--password-stdin", "h.example/me"}, ""},
		{[]string{"push", "--password-stdin", token, "h.example/me/app:1"}, token},
		{[]string{"push", token}, token},
		{[]string{"push", "--platform", token}, token},
		{[]string{"push", "--image=" + jwt}, jwt},
		{[]string{"push", "--key", "CANARYcanary"}, "CANARYcanary"},
		{[]string{"push", "--key=" + pem}, "CANARYcanary"},
		{[]string{"push", "--ca-file", pem}, "MIIEvQIBADANBgkqhkiG"},
		{[]string{"login", "-pCANARYcanary"}, "CANARYcanary"},
		{[]string{"push", "--password", "CANARYcanary"}, "CANARYcanary"},
		{[]string{"push", "--password-stdin=CANARYcanary"}, "CANARYcanary"},
		{[]string{"ls", "https://me:CANARYcanary@h.example/me"}, "CANARYcanary"},
		{[]string{"ls", "https://me:CANARY/canary@h.example/me"}, "CANARY/canary"},
		{[]string{"ls", "https://CANARYcanary@h.example/me"}, "CANARYcanary"},
		{[]string{"ls", "me:CANARYcanary@h.example/me"}, "CANARYcanary"},
		{[]string{"-H", "tcp://me:CANARYcanary@h.example", "ls"}, "CANARYcanary"},
	} {
		h := hidden{new(gate.Hidden)}
		h.hideArguments(test.args)
		text := strings.Join(test.args, " ")
		switch got := h.Clean(text); {
		case test.hidden == "" && got != text:
			t.Errorf("%q: got %q, and nothing is secret", test.args, got)
		case test.hidden != "" && strings.Contains(got, test.hidden):
			t.Errorf("%q: %q is shown", test.args, test.hidden)
		}
	}
}
