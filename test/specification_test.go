//go:build e2e

package test

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestRegistrytestConforms runs the conformance tests of the distribution
// specification against each flavor of registrytest and against the server that
// it stands for: the same of them pass, fail and are skipped.
func TestRegistrytestConforms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flavor registrytest.Flavor
		start  func() (*servers.Gitea, error) // nil is the distribution registry
	}{
		"Gitea":        {flavor: registrytest.Gitea, start: sharedGitea},
		"Gitea 1.26":   {flavor: registrytest.Gitea126, start: sharedOlder},
		"Forgejo":      {flavor: registrytest.Forgejo, start: sharedForgejo},
		"Distribution": {flavor: registrytest.Distribution},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program(t, "conformance")
			config := registrytest.Config{Flavor: c.flavor, Auth: registrytest.AuthNone}
			var server *servers.Server
			var user string
			if c.start == nil {
				server = registry(t)
			} else {
				g, err := c.start()
				servers.Need(t, err)
				server, user = g.Server, newUser(t, g)
				config.Auth = registrytest.AuthDefault
				config.Users = []registrytest.User{{Name: user, Password: servers.AdminPassword}}
			}
			fake := registrytest.Start(t, config)
			want := conformance(t, server.Host, server.CAFile, user)
			got := conformance(t, fake.Host, fake.CAFile, user)
			if len(want) < leastTests {
				t.Fatalf("got %d tests, want %d or more", len(want), leastTests)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the server (-) and registrytest (+) differ:\n%s", diff)
			}
		})
	}
}

// leastTests are fewer names than the conformance tests have.
const leastTests = 300

// conformance runs the tests against a registry and returns how each ended:
// under one name, as often as it ran, in whatever order.
func conformance(t *testing.T, host, caFile, user string) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	owner := user
	if owner == "" {
		owner = "conformance"
	}
	env := []string{
		"OCI_RESULTS_DIR=" + dir, "OCI_REGISTRY=" + host, "SSL_CERT_FILE=" + caFile,
		"OCI_REPO1=" + owner + "/repo1", "OCI_REPO2=" + owner + "/repo2",
	}
	if user != "" {
		env = append(env, "OCI_USERNAME="+user, "OCI_PASSWORD="+servers.AdminPassword)
	}
	cmd := exec.CommandContext(t.Context(), program(t, "conformance"))
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput() // 1 when a test failed
	report, readErr := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if readErr != nil {
		t.Fatalf("no report: %v: %v\n%s", readErr, err, out)
	}
	var suites struct {
		Cases []struct {
			Name   string `xml:"name,attr"`
			Status string `xml:"status,attr"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(report, &suites); err != nil {
		t.Fatal(err)
	}
	ends := map[string][]string{}
	for _, c := range suites.Cases {
		ends[c.Name] = append(ends[c.Name], c.Status)
		slices.Sort(ends[c.Name])
	}
	return ends
}
