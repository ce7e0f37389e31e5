package plugin

import (
	"strings"
	"testing"
	"text/template"
)

// asDocker fills in a template as docker does, of an image that was pushed;
// (docker/cli, cli-plugins/hooks/template.go).
func asDocker(t *testing.T, text, image string) (string, error) {
	t.Helper()
	parsed, err := template.New("").Funcs(template.FuncMap{
		"arg":  func(any, int) (string, error) { return image, nil },
		"flag": func(_ any, name string) (string, error) { return "VALUE-OF-" + name, nil },
	}).Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = parsed.Execute(&out, struct{}{})
	return out.String(), err
}

func TestAdvice(t *testing.T) {
	hosts := []string{"git.example.com", "localhost:3000"}
	for _, tc := range []struct {
		name, image, fault string
		flags              map[string]string
		want               string // empty is silence
	}{
		{
			"certificate", "git.example.com/me/app:1", `Get "https://git.example.com/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority`, nil,
			"docker gitea trust git.example.com    (once, unless that is done)\n    docker gitea push git.example.com/me/app:1",
		},
		{
			"plain HTTP", "localhost:3000/me/app", `Get "https://localhost:3000/v2/": http: server gave HTTP response to HTTPS client`, nil,
			"docker gitea push localhost:3000/me/app --plain-http",
		},
		{"413", "git.example.com/me/app", "error parsing HTTP 413 response body: invalid character '<'", nil, "docker gitea push git.example.com/me/app"},
		{"not allowed", "git.example.com/me/app", "unauthorized: reqPackageAccess", nil, "docker gitea check git.example.com/me/app"},
		{
			"no such owner", "git.example.com/me/app",
			`error parsing HTTP 404 response body: invalid character 'N' looking for beginning of value: "Not found.\n"`, nil,
			"docker gitea check git.example.com/me/app",
		},
		{"upload lost", "git.example.com/me/app", "blob upload unknown", nil, "docker gitea push git.example.com/me/app"},
		{
			"flags", "git.example.com/me/app", "blob upload invalid",
			map[string]string{"all-tags": "true", "quiet": "true", "platform": ""},
			"docker gitea push --all-tags --quiet --platform VALUE-OF-platform git.example.com/me/app",
		},
		{"another failure", "git.example.com/me/app", "no space left on device", nil, ""},
		{"success", "git.example.com/me/app", "", nil, ""},
		{"another host", "ghcr.io/me/app", "unauthorized: reqPackageAccess", nil, ""},
		{"a longer host", "git.example.com.evil.example/me/app", "unauthorized: reqPackageAccess", nil, ""},
		{"no host", "app", "unauthorized: reqPackageAccess", nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := advice(hookRequest{RootCmd: "push", Flags: tc.flags, CommandError: tc.fault}, hosts)
			if text == "" {
				if tc.want != "" {
					t.Error("got silence")
				}
				return
			}
			got, err := asDocker(t, text, tc.image)
			switch {
			case tc.want == "" && err == nil:
				t.Errorf("got %q, want silence", got)
			case tc.want != "" && (err != nil || !strings.HasSuffix(got, tc.want)):
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
	if text := advice(hookRequest{RootCmd: "pull", CommandError: "x509:"}, hosts); text != "" {
		t.Errorf("after a pull: got %q", text)
	}
}
