package credhelper

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/passersby"
)

// TestWhoAnsweredTheLogin has everybody answer every status to every way to log in.
// What is said is what a push says, and nobody is asked for anything before.
func TestWhoAnsweredTheLogin(t *testing.T) {
	var who string
	var status int
	_, host, caFile := serve(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "" {
			t.Errorf("%s, %d: a credential was sent", who, status)
		}
		passersby.All[who].Serve(w, req, status, passersby.Location(status, req.Host))
	})
	ways := map[string]struct {
		stdin string
		args  []string
	}{
		"token":    {"the-token\n", []string{"login", "--with-token"}},
		"password": {"secret\n", []string{"login", "--username", "alice", "--password-stdin"}},
		"browser":  {"", []string{"login", "--paste"}},
		"register": {"the-token\n", []string{"register-app", "--with-token"}},
	}
	m := newHome(t)
	for who = range passersby.All {
		for _, status = range passersby.Statuses() {
			want, ok := passersby.Want(who, status, host)
			if !ok {
				continue
			}
			for way, w := range ways {
				cell := fmt.Sprintf("%s, %d, %s", who, status, way)
				out := m.run(t, w.stdin, append(w.args, "--ca-file", caFile, host)...)
				_, advice, _ := strings.Cut(out.stderr, "\ncause: ")
				cause, hint, _ := strings.Cut(advice, "\nhint: ")
				if out.code != exitError || !strings.Contains(cause, want.Cause) || !strings.Contains(hint, want.Hint) {
					t.Errorf("%s: got %d %s\nwant %+v", cell, out.code, out.stderr, want)
				}
				if word := passersby.Misled.FindString(advice); word != "" {
					t.Errorf("%s: says %q in %s", cell, word, out.stderr)
				}
			}
		}
	}
}
