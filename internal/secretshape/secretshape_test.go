package secretshape_test

import (
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/secretshape"
)

func TestIsToken(t *testing.T) {
	for word, want := range map[string]bool{
		strings.Repeat("c4a7cafe", 5): true, strings.Repeat("C4A7CAFE", 5): false, strings.Repeat("c4a7cafe", 4): false,
		"eyJhbGciOiJSUzI1NiJ9.eyJhIjoiYiJ9.c2ln": true, "ghp_0123456789abcdef": true, "glpat-0123456789abcdef": true, "ghp_short": false,
		"git.example.com/me/app:1": false, "": false, " " + strings.Repeat("c4a7cafe", 5): false,
	} {
		if got := secretshape.IsToken(word); got != want {
			t.Errorf("%q: got %t", word, got)
		}
	}
}

func TestParts(t *testing.T) {
	token, web := strings.Repeat("c4a7cafe", 5), "eyJhbGciOiJSUzI1NiJ9.eyJhIjoiYiJ9.c2ln"
	for text, want := range map[string]string{
		token: token, "--" + token: token, " " + token + "\n": token, "helper:" + token: token, "helper:pass": "", web: web, "https://h/" + web + "/x": web, "h/me/app:" + token: "",
		"-----BEGIN KEY-----\nMIG\ncafe\n-----END KEY-----\n": "MIG cafe", "https://me:pass@h": "me:pass pass", "me:pa/ss@h/x": "me:pa/ss pa/ss",
		"https://me@h": "me", "ssh://git@h": "", "git@h:me/app": "", "h/app@sha256:" + token: "",
		"http://127.0.0.1/?code=abc&state=def": "abc def", "h?access_token=abc": "abc", "": "", "app:1": "",
	} {
		if got := strings.Join(secretshape.Parts(text), " "); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestReplace(t *testing.T) {
	for text, want := range map[string]string{
		"sent Basic YWxpY2U6cGFzcw== and Bearer eyJhbGciOiJSUzI1NiJ9.eyJhIjoiYiJ9.c2ln.": "sent Basic *** and Bearer ***",
		"Basic authentication, basic auth: ghp_0123456789abcdef":                         "Basic authentication, basic auth: ***",
		strings.Repeat("c4a7cafe", 5):                                                    strings.Repeat("c4a7cafe", 5),
	} {
		if got := secretshape.Replace(text, "***"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestHasKey(t *testing.T) {
	for text, want := range map[string]bool{"a\n-----BEGIN PRIVATE KEY-----\nMIG\n": true, "key.pem": false} {
		if got := secretshape.HasKey(text); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
}
