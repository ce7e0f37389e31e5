package certs_test

import (
	"crypto/tls"
	"fmt"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
)

// Any client of a registry can have the settings that this one has. Without
// pins, files and directories the authorities are those of the system.
func ExampleTLSConfig() {
	settings, err := certs.TLSConfig(registry.RegistryConfig{URL: "https://git.example.com", CertDirs: []string{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(settings.MinVersion == tls.VersionTLS12, settings.InsecureSkipVerify)
	// Output: true false
}
