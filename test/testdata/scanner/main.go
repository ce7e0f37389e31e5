// Command scanner writes a bill of materials as BuildKit wants it of an image
// that makes them: https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md
package main

import (
	"log"
	"os"
	"path/filepath"
)

func main() {
	name := filepath.Base(os.Getenv("BUILDKIT_SCAN_SOURCE")) + ".spdx.json"
	document := `{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document",` +
		`"predicate":{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"app"}}`
	if err := os.WriteFile(filepath.Join(os.Getenv("BUILDKIT_SCAN_DESTINATION"), name), []byte(document), 0o644); err != nil {
		log.Fatal(err)
	}
}
