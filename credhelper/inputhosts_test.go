package credhelper

import (
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
)

// S27: every setting in the map of inputs that carries or weakens trust is tried
// with two hosts, and was given for one of them.
func TestInputsStayWithTheirHost(t *testing.T) {
	cases := map[string]func(t *testing.T, m *userHome, a, b *fakeGitea){
		"with-token": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			m.run(t, canary, "login", "--with-token", "--ca-file", a.caFile, a.host).must(t)
		},
		"web": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			loginPasting(t, m, a, a.host).must(t)
		},
		envToken: func(_ *testing.T, m *userHome, a, _ *fakeGitea) {
			m.env[envToken], m.env[envHost], m.env[envUser] = canary, a.host, "alice"
		},
		"GITEA_TOKEN": func(_ *testing.T, m *userHome, a, _ *fakeGitea) {
			m.env["GITEA_TOKEN"], m.env["GITEA_SERVER_URL"] = canary, a.URL
		},
		"insecure": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"insecure":true`)
			m.run(t, canary, "login", "--with-token", "--insecure", a.host).must(t)
		},
		"plain-http": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"plainHTTP":true`)
			m.run(t, "", "login", "--with-token", "--plain-http", a.host)
		},
		"ca-file": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"caFiles":["`+a.caFile+`"]`)
			m.run(t, canary, "login", "--with-token", a.host).must(t)
		},
		"root-url": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"rootURL":"`+a.URL+`"`)
			m.run(t, canary, "login", "--with-token", "--ca-file", a.caFile, "--root-url", a.URL, a.host).must(t)
		},
		"client-id": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"clientID":"x"`)
		},
		"scope": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"clientID":"x","scope":"all"`)
		},
		"storage": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			delete(m.env, envStorage)
			configure(t, m, a.host, `"storage":"file"`)
			m.run(t, canary, "login", "--with-token", "--ca-file", a.caFile, "--storage", "file", a.host).must(t)
		},
	}
	for _, in := range inputs {
		if in.effect == harmless || in.host == toNone {
			continue
		}
		name := append(append([]string(nil), in.options...), in.variables...)[0]
		t.Run(name, func(t *testing.T) {
			set, exists := cases[name]
			if !exists {
				t.Fatal("the map of inputs has a row without a case")
			}
			a, b, m := newFakeGitea(t, ""), newFakeGitea(t, ""), newHome(t)
			a.tokens[canary], b.tokens[canary] = "all", "all"
			set(t, m, a, b)
			if out := m.run(t, b.host, "get"); out.code == exitOK {
				t.Errorf("what was said for another host answers for this one: %q", out.stdout)
			}
			m.run(t, "", "doctor", b.host)
			// b's certificate is nobody's, so that nothing is sent there.
			if out := m.run(t, canary, "login", "--with-token", b.host); out.code == exitOK {
				t.Errorf("logged in to another host: %q", out.stderr)
			}
			if len(b.seen) > 0 {
				t.Errorf("%d requests to another host", len(b.seen))
			}
		})
	}
}

func configure(t *testing.T, m *userHome, host, fields string) {
	t.Helper()
	if err := ownfile.WritePrivate(configPath(m.env[envDir]), []byte(`{"hosts":{"`+host+`":{`+fields+`}}}`)); err != nil {
		t.Fatal(err)
	}
}
