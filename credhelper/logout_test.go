package credhelper

import (
	"strings"
	"testing"
)

// A logout revokes the token that the login made, and no other; it says what
// became of it, and ends well whatever the server does.
func TestLogoutRevokes(t *testing.T) {
	for name, tt := range map[string]struct {
		older, down, given bool
		want               string
	}{
		"made by the login":      {want: "the server has revoked the access token"},
		"made by somebody":       {given: true, want: "to revoke it at the server as well: https://"},
		"server without the way": {older: true, want: "still valid: this server cannot do that"},
		"server that is down":    {down: true, want: "still valid: revoke the access token: "},
	} {
		t.Run(name, func(t *testing.T) {
			g, m := newFakeGitea(t, "/gitea"), newHome(t)
			g.password, g.older = "pw", tt.older
			address := g.host + "/gitea"
			if tt.given {
				g.tokens["the-token"] = "write:package"
				m.run(t, "the-token\n", "login", "--with-token", "--ca-file", g.caFile, address).must(t)
			} else {
				m.run(t, "pw\n", "login", "--username", "alice", "--password-stdin", "--ca-file", g.caFile, address).must(t)
			}
			secret := get(t, m, g.host).Secret
			if tt.down {
				g.Close()
			}
			out := m.run(t, "", "logout", g.host).must(t)
			if !strings.Contains(out.stderr, "logged out from "+g.host) || !strings.Contains(out.stderr, tt.want) {
				t.Errorf("got %q, want %q", out.stderr, tt.want)
			}
			if pages := "/gitea/user/settings/applications"; strings.Contains(out.stderr, pages) != (tt.want != "the server has revoked the access token") {
				t.Errorf("got %q, want the page exactly where something is left to do", out.stderr)
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			if _, valid := g.tokens[secret]; valid != (tt.older || tt.down || tt.given) {
				t.Errorf("the token is valid: %t", valid)
			}
			if strings.Contains(out.stderr+out.stdout, secret) {
				t.Error("the token was printed")
			}
		})
	}
}
