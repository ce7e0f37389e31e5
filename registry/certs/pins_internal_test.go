package certs

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
)

// FuzzParseCertificates takes anything for a PEM file, and for a pin that was
// kept: both accept the same.
func FuzzParseCertificates(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"a": "b"}, Bytes: []byte("x")}))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		all, err := Parse(content)
		if (err == nil) != (len(all) > 0) {
			t.Errorf("got %d certificates, %v", len(all), err)
		}
		if len(all) > 0 {
			Authority(all)
			_ = registry.DescribeCertificate(all[0])
		}
		if err := os.WriteFile(filepath.Join(dir, pinnedFile), content, 0o600); err != nil {
			t.Fatal(err)
		}
		kept, err := readPin(dir)
		if len(kept) != len(all) || (err == nil) != (len(all) > 0) {
			t.Errorf("got %d certificates of the pin, not %d, %v", len(kept), len(all), err)
		}
	})
}

// FuzzPinDir takes anything for a host: its directory is one of its own, right
// below that of all pins.
func FuzzPinDir(f *testing.F) {
	for _, seed := range []string{"git.example.com:3000", "[::1]:8443", "..", "../..", "a/../..", ".", `..\a`, "https://a", "a%2f..", "a\x00"} {
		f.Add(seed)
	}
	f.Setenv("XDG_CONFIG_HOME", f.TempDir())
	f.Fuzz(func(t *testing.T, host string) {
		dir, err := pinDir(host)
		if err != nil {
			return
		}
		if filepath.Dir(dir) != TrustDir() || !filepath.IsLocal(filepath.Base(dir)) || filepath.Base(dir) == "." {
			t.Errorf("%q has its pin in %q", host, dir)
		}
	})
}

// FuzzPinName takes anything for two hosts: wherever a colon cannot be part of
// a name, each has a directory of its own all the same, that tells whose it is.
func FuzzPinName(f *testing.F) {
	f.Add("h:8443", "h8443")
	f.Add("[::1]:8443", "[::18443]")
	f.Fuzz(func(t *testing.T, one, other string) {
		one, oneErr := registry.NormalizeHost(one)
		other, otherErr := registry.NormalizeHost(other)
		if oneErr != nil || otherErr != nil {
			return
		}
		for _, system := range []string{"linux", windows} {
			name := pinName(one, system)
			if system == windows && strings.Contains(name, ":") || hostOfPin(name, system) != one {
				t.Errorf("%s: %q has its pin in %q", system, one, name)
			}
			if one != other && name == pinName(other, system) {
				t.Errorf("%s: %q and %q share the pin %q", system, one, other, name)
			}
		}
	})
}
