//go:build e2e

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// target is a registry that images are pushed to, and that can be looked into
// without our client.
type target struct {
	*servers.Server
	name string
	// auth is the credential, repository what is pushed to.
	auth       client.AuthConfig
	repository string
	// challenge is what it asks for a credential with.
	challenge string
	// sessions counts the uploads that were begun and neither ended nor
	// removed, in the registry's own store.
	sessions func(t *testing.T) int
	// stubborn: it refuses to remove a session whose last request was cut
	// within its body (distribution 2.8: "upload resumed at wrong offset").
	stubborn bool
	// damaged counts what is not what its digest says.
	damaged int
}

// The names of the targets.
const (
	keptByGitea        = "Gitea"
	keptByDistribution = "distribution"
)

// targets start the registries that the fault suite pushes to, each empty: a
// registry that has a blob is not sent it.
var targets = []func(*testing.T) *target{startGiteaTarget, startRegistryTarget}

func startGiteaTarget(t *testing.T) *target {
	t.Helper()
	return giteaTarget(t, startPlainGitea(t))
}

func startForgejoTarget(t *testing.T) *target {
	t.Helper()
	k := giteaTarget(t, startPlain(t, servers.GiteaOptions{Forgejo: true}))
	k.name = "Forgejo"
	return k
}

func startPlainGitea(t *testing.T) *servers.Gitea {
	t.Helper()
	return startPlain(t, servers.GiteaOptions{})
}

func startPlain(t *testing.T, opts servers.GiteaOptions) *servers.Gitea {
	t.Helper()
	opts.PlainHTTP = true
	g, err := servers.StartGitea(t.Context(), opts)
	servers.Need(t, err)
	t.Cleanup(func() { servers.Need(t, g.Stop()) })
	return g
}

func giteaTarget(t *testing.T, g *servers.Gitea) *target {
	t.Helper()
	const user = "pusher"
	servers.Need(t, g.CreateUser(t.Context(), user, servers.AdminPassword))
	sqlite, err := servers.Program("sqlite3")
	servers.Need(t, err)
	return &target{
		Server: g.Server, name: keptByGitea, auth: client.AuthConfig{Username: user, Password: servers.AdminPassword}, repository: user + "/app",
		challenge: fmt.Sprintf(`Bearer realm="%s/v2/token",service="container_registry",scope="*"`, g.URL),
		sessions: func(t *testing.T) int {
			t.Helper()
			out, err := exec.CommandContext(t.Context(), sqlite, "-readonly", "-cmd", ".timeout 5000",
				filepath.Join(g.Dir, "gitea.db"), "SELECT count(*) FROM package_blob_upload").Output()
			servers.Need(t, err)
			n, err := strconv.Atoi(strings.TrimSpace(string(out)))
			servers.Need(t, err)
			return n
		},
	}
}

func startRegistryTarget(t *testing.T) *target {
	t.Helper()
	s, err := servers.StartRegistry(t.Context(), servers.RegistryOptions{PlainHTTP: true, Auth: true})
	servers.Need(t, err)
	t.Cleanup(func() { servers.Need(t, s.Stop()) })
	k := &target{
		Server: s, name: keptByDistribution, stubborn: true, repository: "team/app", challenge: `Basic realm="test"`,
		auth: client.AuthConfig{Username: servers.RegistryUser, Password: servers.RegistryPassword},
	}
	k.sessions = func(t *testing.T) int {
		t.Helper()
		// Of a session that was removed, distribution 2.8 leaves the directory,
		// with the state of its hash.
		found, err := filepath.Glob(filepath.Join(s.Dir, "data/docker/registry/v2/repositories", k.repository, "_uploads", "*", "startedat"))
		servers.Need(t, err)
		return len(found)
	}
	return k
}

// settled counts the sessions once no more than before are there, or when the
// registry has had its time: it may be busy still with what was broken off.
func (k *target) settled(t *testing.T, before int) int {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for {
		n := k.sessions(t)
		if n <= before {
			return n
		}
		select {
		case <-tick.C:
		case <-late:
			return n
		}
	}
}

// held is what the tag leads to: every blob of it is read and compared with
// its digest. Nothing is the empty string.
func (k *target) held(t *testing.T, tag string) digest.Digest {
	t.Helper()
	manifest := k.read(t, "manifests/"+tag)
	if manifest == nil {
		return ""
	}
	k.whole(t, manifest)
	return digest.FromBytes(manifest)
}

// whole reads all that a manifest or index names.
func (k *target) whole(t *testing.T, manifest []byte) {
	t.Helper()
	type descriptor struct {
		Digest digest.Digest `json:"digest"`
	}
	var named struct {
		Config    descriptor   `json:"config"`
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
	}
	servers.Need(t, json.Unmarshal(manifest, &named))
	for _, d := range named.Manifests {
		k.whole(t, k.verified(t, "manifests/", d.Digest))
	}
	if named.Config.Digest != "" {
		k.verified(t, "blobs/", named.Config.Digest)
	}
	for _, d := range named.Layers {
		k.verified(t, "blobs/", d.Digest)
	}
}

func (k *target) verified(t *testing.T, kind string, d digest.Digest) []byte {
	t.Helper()
	data := k.read(t, kind+d.String())
	if got := digest.FromBytes(data); got != d {
		k.damaged++
		t.Errorf("damaged: in %s, %s holds %s", k.name, kind+d.String(), got)
	}
	return data
}

// read is nil where there is nothing.
func (k *target) read(t *testing.T, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, k.URL+"/v2/"+k.repository+"/"+path, http.NoBody)
	servers.Need(t, err)
	for _, mediaType := range []string{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json"} {
		req.Header.Add("Accept", mediaType)
	}
	req.SetBasicAuth(k.auth.Username, k.auth.Password)
	resp, err := k.Client().Do(req)
	servers.Need(t, err)
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	servers.Need(t, err)
	switch resp.StatusCode {
	case http.StatusOK:
		return body.Bytes()
	case http.StatusNotFound:
	default:
		t.Errorf("GET %s: %s: %s", path, resp.Status, body.Bytes())
	}
	return nil
}
