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

func TestHasKey(t *testing.T) {
	for text, want := range map[string]bool{"a\n-----BEGIN PRIVATE KEY-----\nMIG\n": true, "key.pem": false} {
		if got := secretshape.HasKey(text); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
}
