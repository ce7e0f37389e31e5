package credhelper

import (
	"fmt"
	"io"
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

// Gitea's pages and its API may be closed where its registry is open: whoever answers in
// their place is named too, with what would let a login through.
func TestWhoAnsweredForTheAPI(t *testing.T) {
	const challenge = `Bearer realm="https://%s/v2/token",service="container_registry",scope="*"`
	var who string
	var status int
	_, host, caFile := serve(t, func(w http.ResponseWriter, req *http.Request) {
		if !strings.HasPrefix(req.URL.Path, "/v2/") {
			passersby.All[who].Serve(w, req, status, "")
			return
		}
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(challenge, req.Host))
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":""}]}`)
	})
	m := newHome(t)
	for who = range passersby.All {
		if who == "Gitea's web side" { // which has the API
			continue
		}
		for _, status = range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusTooManyRequests, http.StatusBadGateway} {
			want, _ := passersby.Want(who, status, host)
			hint := strings.ReplaceAll(want.Hint, "/v2/", "/api/")
			out := m.run(t, "secret\n", "login", "--username", "alice", "--password-stdin", "--ca-file", caFile, host)
			if out.code != exitError || !strings.Contains(out.stderr, "\ncause: "+want.Cause) || !strings.Contains(out.stderr, hint) || strings.Contains(out.stderr, "/PATH") {
				t.Errorf("%s, %d: got %d %s\nwant %+v", who, status, out.code, out.stderr, want)
			}
		}
	}
}
