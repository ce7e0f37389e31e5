package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dcontext "github.com/docker/cli/cli/context"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
)

// Whatever is taken for the address of a daemon has a protocol that can be
// dialled, and something to dial.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"unix:///var/run/docker.sock", "tcp://h:2376", "tcp://[::1]", "ssh://me@h", "npipe:////./pipe/docker_engine",
		":2375", "h", "", "://", "tcp://]", "tcp://:", " unix:// ", "fd://",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		proto, addr, err := Endpoint{Host: host}.address()
		if err != nil {
			return
		}
		switch proto {
		case "unix", "npipe", "ssh", "tcp":
		default:
			t.Errorf("%q has the protocol %q", host, proto)
		}
		if addr == "" || proto == "tcp" && !strings.Contains(addr, ":") {
			t.Errorf("%q has the address %q", host, addr)
		}
	})
}

// FuzzContext takes anything for what docker's store says of a context, and
// for the certificates beside it.
func FuzzContext(f *testing.F) {
	const name = "remote"
	pem := []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Add([]byte(`{"Name":"remote","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://h:2376","SkipTLSVerify":true}}}`), []byte(nil))
	f.Add([]byte(`{"Name":"remote","Endpoints":{"docker":{"Host":"ssh://me@h"},"kubernetes":{}}}`), pem)
	f.Add([]byte(`{"Name":"other","Endpoints":{"docker":7}}`), pem)
	f.Add([]byte(`{"Endpoints":`), []byte("x"))
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	dir := f.TempDir()
	config, err := dockerconfig.Load(dir, func(string) string { return "" }, nil)
	if err != nil {
		f.Fatal(err)
	}
	meta := filepath.Join(dir, "contexts", "meta", id)
	certificates := filepath.Join(dir, "contexts", "tls", id, endpointName)
	if err := errors.Join(os.MkdirAll(meta, 0o700), os.MkdirAll(certificates, 0o700)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, document, ca []byte) {
		err := os.WriteFile(filepath.Join(meta, "meta.json"), document, 0o600)
		if len(ca) > 0 {
			err = errors.Join(err, os.WriteFile(filepath.Join(certificates, "ca.pem"), ca, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
		endpoint, err := fromContext(config, name)
		if err != nil {
			if _, known := errors.AsType[*ContextError](err); !known {
				t.Errorf("got %v, want a *ContextError", err)
			}
			return
		}
		if endpoint.Host == "" {
			t.Error("accepted without a host")
		}
	})
}

// FuzzCertificates takes anything for the files of DOCKER_CERT_PATH.
func FuzzCertificates(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), []byte("x"), []byte("y"))
	f.Add([]byte(nil), []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, ca, cert, key []byte) {
		config, err := tlsConfig(&dcontext.TLSData{CA: ca, Cert: cert, Key: key}, false)
		if err == nil && (config.InsecureSkipVerify || len(ca) > 0 && config.RootCAs == nil) {
			t.Errorf("accepted, and verifies nothing: %+v", config)
		}
	})
}
