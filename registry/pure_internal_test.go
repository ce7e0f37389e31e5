package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

func TestParseReference(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in, want, suggestion string
	}{
		{"git.example.com/me/app:1", "git.example.com/me/app:1", ""},
		{"git.example.com:3000/me/app", "git.example.com:3000/me/app:latest", ""},
		{"GIT.example.com/me/app/part:V1", "git.example.com/me/app/part:V1", ""},
		{"localhost/me/app", "localhost/me/app:latest", ""},
		{"[::1]:3000/me/app", "[::1]:3000/me/app:latest", ""},
		{"me/app:1", "me/app:1", ""},
		{"git.example.com/app:1", "git.example.com/app:1", ""},
		{"git.example.com/me/my__app:1", "git.example.com/me/my__app:1", ""},
		{"git.example.com/me/my--app", "git.example.com/me/my--app:latest", ""},
		{"git.example.com/me/my___app", "", "git.example.com/me/my_app:latest"},
		{"git.example.com/me/my._app", "", "git.example.com/me/my.app:latest"},
		{"git.example.com/Me/App:1", "", "git.example.com/me/app:1"},
		{"git.example.com/me/-app", "", "git.example.com/me/app:latest"},
		{"git.example.com/me//app", "", "git.example.com/me/app:latest"},
		{"git.example.com/me/app:a b", "", "git.example.com/me/app:a-b"},
		{"git.example.com/me/app:-x", "", "git.example.com/me/app:x"},
		{"git.example.com/me/app:_upload", "git.example.com/me/app:_upload", ""},
		{"https://git.example.com/me/app:1", "", "git.example.com/me/app:1"},
		{"git.example.com/me/app@sha256:ab", "", "git.example.com/me/app"},
		{"", "", ""},
		{"a\nb", "", ""},
		{"user@git.example.com/me/app", "", ""},
	} {
		t.Run(tc.in, func(t *testing.T) {
			t.Parallel()
			got, err := ParseReference(tc.in)
			if tc.want != "" {
				if err != nil || got.String() != tc.want {
					t.Fatalf("got %q, %v, want %q", got, err, tc.want)
				}
				return
			}
			var name *NameError
			if !errors.As(err, &name) || !errors.Is(err, ErrNameInvalid) || name.Suggestion != tc.suggestion {
				t.Fatalf("got %v, want a suggestion of %q", err, tc.suggestion)
			}
		})
	}
}

// The rules that Gitea has beyond the specification's.
func TestGiteaFault(t *testing.T) {
	t.Parallel()
	for in, suggestion := range map[string]string{
		"git.example.com/me/app:1":       "ok",
		"git.example.com/me/app/part:V1": "ok",
		"git.example.com/app:1":          "git.example.com/OWNER/app:1",
		"git.example.com/me/my__app:1":   "git.example.com/me/my_app:1",
		"git.example.com/me/my--app":     "git.example.com/me/my-app:latest",
		"git.example.com/m--e/app":       "git.example.com/m-e/app:latest",
		"git.example.com/me/app:_upload": "",
		"git.example.com/me/app:_UPLOAD": "",
	} {
		ref, err := ParseReference(in)
		if err != nil {
			t.Fatal(err)
		}
		err = ref.CheckGitea([]string{ref.Tag})
		if fault, ok := errors.AsType[*NameError](err); suggestion == "ok" && err != nil || suggestion != "ok" && (!ok || fault.Suggestion != suggestion) {
			t.Errorf("%s: got %v, want a suggestion of %q", in, err, suggestion)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"git.example.com/me/app:1", "a/b", "[::1]/a/b", "x@y/z", "é/ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseReference(s)
		if err != nil {
			return
		}
		again, err := ParseReference(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q: got %v, %v the second time, want %v", s, again, err, ref)
		}
	})
}

func TestNormalizeHost(t *testing.T) {
	t.Parallel()
	same := []string{
		"git.example.com", "GIT.example.com", "https://git.example.com", "https://git.example.com/", "git.example.com:443",
		"https://git.example.com:443/v2/", "git.example.com/me/app", "git.example.com.", "//git.example.com",
	}
	for _, s := range same {
		if got, err := NormalizeHost(s); err != nil || got != "git.example.com" {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"evil-git.example.com", "git.example.com.evil", "git.example.com:444", "http://git.example.com:443",
	} {
		if got, err := NormalizeHost(s); err != nil || got == "git.example.com" {
			t.Errorf("%q: got %q, %v, want another host", s, got, err)
		}
	}
	for _, s := range []string{"", "user@git.example.com", "https://u:p@h", "a b", "a\r\nb", "ftp://h", "h:", "h:0443", "h:999999", "h:65536", "h:99999", "-h", "h\\x"} {
		if got, err := NormalizeHost(s); err == nil {
			t.Errorf("%q: got %q, want an error", s, got)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: the password is in %v", s, err)
		}
	}
}

func FuzzNormalizeHost(f *testing.F) {
	f.Add("https://git.example.com:443/x")
	f.Fuzz(func(t *testing.T, s string) {
		host, err := NormalizeHost(s)
		if err != nil {
			return
		}
		if again, err := NormalizeHost(host); err != nil || (again != host && !strings.HasPrefix(s, "http://")) {
			t.Errorf("%q: got %q, %v, want %q", s, again, err, host)
		}
	})
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	secret := NewSecret(canary)
	auth := AuthConfig{Token: canary, Username: "u"}
	password := AuthConfig{Username: "u", Password: canary}
	encoded, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(encoded), secret.LogValue().String(), auth.LogValue().String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, auth), fmt.Sprintf(verb, password),
			fmt.Sprintf(verb, RegistryConfig{URL: "https://h", Auth: auth}), fmt.Sprintf(verb, &struct{ value Secret }{secret}))
	}
	for _, text := range texts {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("the secret is in %q", text)
		}
	}
	if secret.Reveal() != canary {
		t.Error("Reveal does not")
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	// {"exp":2000000000,"UserID":7,"Scope":"write:package"}
	jwt := "x.eyJleHAiOjIwMDAwMDAwMDAsIlVzZXJJRCI6NywiU2NvcGUiOiJ3cml0ZTpwYWNrYWdlIn0.y"
	id := ParseIdentity(jwt)
	if id.UserID != 7 || id.Scope != "write:package" || !id.CanPush() || id.Expires.Unix() != 2000000000 {
		t.Errorf("got %+v", id)
	}
	for _, id := range []Identity{{Anonymous: true}, {Actions: true}, {Scope: "read:package"}} {
		if id.CanPush() {
			t.Errorf("%+v can push", id)
		}
	}
	for _, id := range []Identity{{Scope: "read:package"}, {Scope: "read:user, write:package"}, {Scope: "all"}, {UserID: 7}} {
		if !id.CanPull() {
			t.Errorf("%+v cannot pull", id)
		}
	}
	for _, id := range []Identity{{Anonymous: true}, {Scope: "read:user"}} {
		if id.CanPull() {
			t.Errorf("%+v can pull", id)
		}
	}
	for _, s := range []string{"", "a.b", "a.!.c", "a.e30=.c.d"} {
		if got := ParseIdentity(s); got != (Identity{}) {
			t.Errorf("%q: got %+v", s, got)
		}
	}
}

// FuzzParseIdentity looks for a token that may push what it may not pull, or
// that writes to the terminal.
func FuzzParseIdentity(f *testing.F) {
	for _, claims := range []string{
		`{"exp":2000000000,"UserID":7,"Scope":"write:package"}`, `{"UserID":-1}`, `{"UserID":-2,"Scope":"all"}`,
		`{"UserID":7,"Scope":"read:user, write:package"}`, `{"Scope":"\u001b[2J\u202e"}`, `{"UserID":1e99}`, `[]`,
	} {
		f.Add("x." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".y")
	}
	f.Fuzz(func(t *testing.T, jwt string) {
		id := ParseIdentity(jwt)
		if id.CanPush() && !id.CanPull() {
			t.Errorf("%+v can push and not pull", id)
		}
		if id.Scope != printable.Clean(id.Scope) {
			t.Errorf("the scope is %q", id.Scope)
		}
	})
}

func TestDiagnoseKnowsEverySentinel(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		ErrNoSource, ErrUnauthorized, ErrDenied, ErrOwnerUnknown, ErrNotRegistry, ErrDigestMismatch,
		ErrTooLarge, ErrQuota, ErrRateLimited, ErrServer, ErrStalled, ErrRedirected,
	} {
		if d := Diagnose(fmt.Errorf("push: %w", err)); d.Cause == "" || d.Hint == "" {
			t.Errorf("%v: got %+v", err, d)
		}
	}
	if d := Diagnose(errors.New("other")); d != (Diagnosis{}) {
		t.Errorf("got %+v", d)
	}
}
