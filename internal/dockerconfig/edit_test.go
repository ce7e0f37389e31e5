package dockerconfig_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"

	"github.com/docker-gitea/docker-gitea/internal/dockerconfig"
)

// open returns an edit of a file with that text.
func open(tb testing.TB, text string) (e *dockerconfig.Edit, file string) {
	tb.Helper()
	dir := tb.TempDir()
	file = filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	e, err := dockerconfig.OpenEdit(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return e, file
}

// What is set is laid out as its neighbours are, and to remove it gives the old
// text back, byte for byte.
func TestEdit(t *testing.T) {
	helper := []string{"credHelpers", "git.example.com"}
	for name, tt := range map[string]struct {
		before string
		keys   []string
		after  string
	}{
		"docker's own": {"{\n\t\"a\": 1\n}", helper, "{\n\t\"a\": 1,\n\t\"credHelpers\": {\n\t\t\"git.example.com\": \"x\"\n\t}\n}"},
		"two spaces":   {"{\n  \"a\": [1, 2]\n}\n", helper, "{\n  \"a\": [1, 2],\n  \"credHelpers\": {\n    \"git.example.com\": \"x\"\n  }\n}\n"},
		"one line":     {`{"a":{"b": 1.0e3}}`, helper, `{"a":{"b": 1.0e3},"credHelpers":{"git.example.com":"x"}}`},
		"one line with spaces": {
			`{ "a": 1, "b": 2 }`, helper, `{ "a": 1, "b": 2, "credHelpers": {"git.example.com": "x"} }`,
		},
		"beside another": {`{"credHelpers": {"b": "y"}}`, helper, `{"credHelpers": {"b": "y", "git.example.com": "x"}}`},
		"in an empty object": {
			"{\n  \"credHelpers\": {}\n}", helper, "{\n  \"credHelpers\": {\n    \"git.example.com\": \"x\"\n  }\n}",
		},
		"line ends of Windows": {"{\r\n  \"a\": 1\r\n}\r\n", []string{"credsStore"}, "{\r\n  \"a\": 1,\r\n  \"credsStore\": \"x\"\r\n}\r\n"},
		"deep": {
			"{\n \"a\": 1\n}",
			[]string{"plugins", "gitea", "hooks"},
			"{\n \"a\": 1,\n \"plugins\": {\n  \"gitea\": {\n   \"hooks\": \"x\"\n  }\n }\n}",
		},
		"another case":   {`{"CREDHELPERS":{"b":"y"}}`, helper, `{"CREDHELPERS":{"b":"y","git.example.com":"x"}}`},
		"with escapes":   {`{"cred\u0048elpers":{"b":"y"}}`, helper, `{"cred\u0048elpers":{"b":"y","git.example.com":"x"}}`},
		"host of digits": {`{"credHelpers":{"b":"y"}}`, []string{"credHelpers", "123"}, `{"credHelpers":{"b":"y","123":"x"}}`},
		"twice": {
			`{"credHelpers":{"b":"y"},"CredHelpers":{"c":"z"}}`, helper,
			`{"credHelpers":{"b":"y"},"CredHelpers":{"c":"z","git.example.com":"x"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, file := open(t, tt.before)
			made, err := e.Set("x", tt.keys...)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Save(); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(file); string(got) != tt.after {
				t.Errorf("set: got  %s\nwant %s", got, tt.after)
			}
			if err := e.Remove(made, tt.keys...); err != nil {
				t.Fatal(err)
			}
			if got := string(e.Bytes()); got != tt.before && name != "in an empty object" {
				t.Errorf("removed: got  %s\nwant %s", got, tt.before)
			}
		})
	}
}

// Of what stands there twice, or in another case, docker reads the last.
func TestReadsAsDockerDoes(t *testing.T) {
	for _, tt := range []struct {
		text string
		keys []string
		want string
	}{
		{`{"CredsStore":"desktop"}`, []string{"credsStore"}, "desktop"},
		{`{"credsStore":"a","CREDSSTORE":"b"}`, []string{"credsStore"}, "b"},
		{`{"credsStore":"a","credsStore":null}`, []string{"credsStore"}, "a"},
		{`{"credHelpers":{"h":"a"},"credhelpers":{"i":"b"}}`, []string{"credHelpers", "h"}, "a"},
		{`{"credHelpers":{"h":"a"},"credhelpers":null}`, []string{"credHelpers", "h"}, ""},
		{`{"credHelpers":{"H":"a"}}`, []string{"credHelpers", "h"}, ""},
		{`{"auths":{"h":{"Auth":"a"}}}`, []string{"auths", "h", "auth"}, "a"},
		{`{"auths":{"h":{"auth":"a"},"h":{}}}`, []string{"auths", "h", "auth"}, ""},
	} {
		e, _ := open(t, tt.text)
		if got, _ := e.Get(tt.keys...); got != tt.want {
			t.Errorf("%s: got %q at %q, want %q", tt.text, got, tt.keys, tt.want)
		}
	}
}

func TestUnreadableIsRefused(t *testing.T) {
	const canary = "CANARY"
	for _, text := range []string{
		`[]`, `null`, `"x"`, `not json`, `{"auths":{"h":{"auth":"` + canary, `{"auths":{"` + canary + `":1}}`, `{"credHelpers":["` + canary + `"]}`,
		`{"auths":{"h":{"auth":12345` + `}}}`, `{} {}`, `{"credsStore":{}}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := dockerconfig.OpenEdit(dir)
		if err == nil || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "12345") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

// Who writes meanwhile is not overwritten.
func TestChangeMeanwhileIsKept(t *testing.T) {
	e, file := open(t, `{}`)
	if err := os.WriteFile(file, []byte(`{"credsStore":"new"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Set("x", "credHelpers", "h"); err != nil {
		t.Fatal(err)
	}
	if err := e.Save(); err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("got %v", err)
	}
}

// A link stays, and leads to the file, whether there was one or not.
func TestLinkStays(t *testing.T) {
	for _, exists := range []bool{true, false} {
		dir, elsewhere := t.TempDir(), t.TempDir()
		target := filepath.Join(elsewhere, "dotfile.json")
		if exists {
			if err := os.WriteFile(target, []byte("{}"), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(target, filepath.Join(dir, "config.json")); err != nil {
			t.Skip(err)
		}
		e, err := dockerconfig.OpenEdit(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Set("x", "credsStore"); err != nil {
			t.Fatal(err)
		}
		if err := e.Save(); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(filepath.Join(dir, "config.json")); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Error("the link was replaced")
		}
		if data, err := os.ReadFile(target); err != nil || !bytes.Contains(data, []byte("credsStore")) {
			t.Errorf("got %s (%v)", data, err)
		}
	}
}

func TestKey(t *testing.T) {
	for address, want := range map[string]string{
		"git.example.com": "git.example.com", "https://Git.example.com/x": "git.example.com", "git.example.com:443": "git.example.com:443",
		"https://git.example.com:443/v2/": "git.example.com:443", "http://h:80": "h:80", "[::1]:3000": "[::1]:3000", "h/owner/image": "h",
		"docker.io": dockerconfig.Hub, dockerconfig.Hub: dockerconfig.Hub, "": "", "a b": "", "https://me:secret@h": "",
	} {
		if got, err := dockerconfig.Key(address); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q (%v), want %q", address, got, err, want)
		}
	}
}

// FuzzEdit looks for a file that an edit damages: docker, reading it, does not find what
// was asked for, or something else has changed.
func FuzzEdit(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"credHelpers":{"git.example.com":"other"}}`, `{"credHelpers":null,"credsStore":"desktop"}`, "{\n}\n",
		`{"auths":{"git.example.com":{"email":"a"},"b":{}},"zz":1e400,"HttpHeaders":{"a.b":"\u0000"}}`,
		`{"CredHelpers":{"a":"b"},"credHelpers":null,"CREDHELPERS":{}}`, "{ \"a\" : [ ] ,\n\"credhelpers\" :{ \"x\"\t:\"y\" , \"z\":\"\"} }",
		`{"credHelpers":{"git.example.com":"a","git.example.com":"b"}}`, `{"a":"}","{":{"credHelpers":{}}}`,
	} {
		for _, host := range []string{"git.example.com", "[::1]:3000", "123", "a\"b", "ſ"} {
			f.Add([]byte(text), host)
		}
	}
	f.Fuzz(func(t *testing.T, original []byte, host string) {
		before, err := config.LoadFromReader(bytes.NewReader(original))
		if err != nil || !json.Valid(original) || !json.Valid([]byte(`"`+host+`"`)) || !utf8.ValidString(host) || strings.Contains(host, `\`) {
			return
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), original, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := dockerconfig.OpenEdit(dir)
		if err != nil {
			if strings.HasPrefix(string(bytes.TrimSpace(original)), "{") {
				t.Errorf("docker reads it: %v", err)
			}
			return
		}
		_, existed := before.CredentialHelpers[host]
		blank := e.Blank()
		made, err := e.Set("gitea", "credHelpers", host)
		if err != nil {
			t.Fatal(err)
		}
		want := maps.Clone(before.CredentialHelpers)
		if want == nil {
			want = map[string]string{}
		}
		want[host] = "gitea"
		if got := asDocker(t, e.Bytes()); !maps.Equal(got.CredentialHelpers, want) || got.CredentialsStore != before.CredentialsStore || !maps.Equal(got.AuthConfigs, before.AuthConfigs) {
			t.Errorf("docker reads %q, want %q: %s", got.CredentialHelpers, want, e.Bytes())
		}
		if err := e.Remove(made, "credHelpers", host); err != nil {
			t.Fatal(err)
		}
		delete(want, host)
		if got := asDocker(t, e.Bytes()); !maps.Equal(got.CredentialHelpers, want) {
			t.Errorf("docker reads %q, want %q: %s", got.CredentialHelpers, want, e.Bytes())
		}
		e.Restore(blank)
		if got := string(e.Bytes()); !existed && made > 0 && got != string(original) {
			t.Errorf("got  %q\nwant %q", got, original)
		}
	})
}

func asDocker(t *testing.T, data []byte) *configfile.ConfigFile {
	t.Helper()
	c, err := config.LoadFromReader(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("docker cannot read it: %v: %s", err, data)
	}
	return c
}
