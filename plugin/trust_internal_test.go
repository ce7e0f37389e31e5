package plugin

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

func TestParseFingerprint(t *testing.T) {
	t.Parallel()
	plain := strings.Repeat("0a", 32)
	for given, want := range map[string]string{
		"": "", plain: plain, strings.ToUpper(plain): plain, "sha256:" + plain: plain,
		"sha256 Fingerprint": "", "SHA-256 " + plain: plain, strings.TrimSuffix(strings.Repeat("0A:", 32), ":"): plain, "0a0a": "",
	} {
		got, err := parseFingerprint(given)
		if got != want || (err != nil) != (want == "" && given != "") {
			t.Errorf("%q: got %q, %v; want %q", given, got, err, want)
		}
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 8, ""},
		{"one, two, three", 80, "one, two, three"},
		{"one, two, three", 10, "one, two,\nthree"},
		{"one, twothree", 5, "one,\ntwoth\nree"},
		{"0123456789", 4, "0123\n4567\n89"},
		{"语言 语言", 5, "语言\n语言"},
	} {
		if got := print.Fold(tc.text, tc.width); got != tc.want {
			t.Errorf("%q at %d: got %q, want %q", tc.text, tc.width, got, tc.want)
		}
	}
}

func FuzzParseCertificates(f *testing.F) {
	a, err := registrytest.NewAuthority()
	if err != nil {
		f.Fatal(err)
	}
	encoded := base64.StdEncoding.EncodeToString(a.PEM())
	f.Add(a.PEM())
	f.Add([]byte("kind: Secret\ndata:\n  ca.crt: " + encoded))
	f.Add([]byte(`{"kind":"Secret","data":{"tls.crt":"` + encoded + `"}}`))
	f.Add([]byte("kind: Secret\ndata: {tls.crt: bm90aGluZw==}"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		certificates, err := parseCertificates(content)
		if (err == nil) != (len(certificates) > 0) {
			t.Errorf("got %d certificates, %v", len(certificates), err)
		}
	})
}
