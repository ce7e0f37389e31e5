//go:build e2e

package test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestTrust pins the certificate of a Gitea that comes back with another one:
// a push, a check and the credential helper refuse it, and name both.
func TestTrust(t *testing.T) {
	g := own(t, servers.GiteaOptions{})
	user, d := newUser(t, g), newDesk(t, g.Server, "SSL_CERT_FILE=/dev/null")
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	push := []string{"push", "--username", user, "--password-stdin", samples.Layout(t, 50, 1000), g.Host + "/" + user + "/app:1"}
	first := fingerprint(t, g.CAFile)

	if out, err := d.try(t, "", plugin, "trust", g.Host); err == nil || !strings.Contains(out, "--fingerprint "+first) {
		t.Errorf("without a terminal: got %v: %s", err, out)
	}
	d.run(t, "", plugin, "trust", "--fingerprint", first, g.Host)
	d.run(t, token, plugin, push...)
	d.run(t, token, credhelperName, "login", "--with-token", g.Host)

	servers.Need(t, g.RenewCertificate(t.Context()))
	second := fingerprint(t, g.CAFile)
	for name, command := range map[string][]string{
		"push": push, "check": {"check", g.Host}, "helper": {"login", "--with-token", g.Host},
	} {
		program := plugin
		if name == "helper" {
			program = credhelperName
		}
		out, err := d.try(t, token, program, command...)
		for _, want := range []string{"has changed: pinned is SHA-256 " + first + ",", "SHA-256 " + second, "docker gitea untrust " + g.Host} {
			if err == nil || !strings.Contains(out, want) {
				t.Errorf("%s: got %v, %s, want %q", name, err, out, want)
			}
		}
	}
	if out := d.run(t, "", plugin, "trust", "--list"); !strings.Contains(out, g.Host+" ") || !strings.Contains(out, first) {
		t.Errorf("got the list %s", out)
	}

	// As kubectl gives it, and as a file.
	d.run(t, "", plugin, "untrust", g.Host)
	content, err := os.ReadFile(g.CAFile)
	servers.Need(t, err)
	encoded := base64.StdEncoding.EncodeToString(content)
	for _, secret := range []string{
		"apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\ndata:\n  tls.crt: " + encoded + "\n  tls.key: c2VjcmV0\n",
		fmt.Sprintf(`{"apiVersion": "v1", "kind": "Secret", "data": {"ca.crt": %q}}`, encoded),
		string(content),
	} {
		if out := d.run(t, secret, plugin, "trust", g.Host, "-"); out != g.Host+": pinned SHA-256 "+second+"\n" {
			t.Errorf("got %q", out)
		}
		d.run(t, token, plugin, push...)
		d.run(t, "", plugin, "untrust", g.Host)
	}
	if out, err := d.try(t, token, plugin, push...); err == nil || !strings.Contains(out, "hint: docker gitea trust "+g.Host) {
		t.Errorf("no longer trusted: got %v: %s", err, out)
	}
}

// fingerprint is the SHA-256 of the first certificate in a PEM file.
func fingerprint(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	servers.Need(t, err)
	block, _ := pem.Decode(content)
	if block == nil {
		t.Fatalf("%s: no certificate in it", file)
	}
	return fmt.Sprintf("%x", sha256.Sum256(block.Bytes))
}
