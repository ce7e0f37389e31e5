//go:build e2e

package test

import (
	"path/filepath"
	"testing"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// place is a registry that is copied from and to.
type place struct {
	server *servers.Server
	// owner is who pushes to it, and the first part of the names there.
	owner, password string
	client          *remote.Client
	// redirects: it leads to a storage of this machine, which crane does not follow.
	redirects bool
}

func forge(t *testing.T, g *servers.Gitea) place {
	t.Helper()
	name := newUser(t, g)
	return place{server: g.Server, owner: name, password: servers.AdminPassword, client: newClient(t, g.Server, userAuth(name), nil)}
}

func open(t *testing.T, s *servers.Server) place {
	t.Helper()
	config := client.RegistryConfig{URL: s.URL, CertDirs: []string{}}
	if s.CAFile != "" {
		config.CAFiles = []string{s.CAFile}
	}
	c, err := remote.New(config, nil)
	servers.Need(t, err)
	return place{server: s, owner: "team", client: c}
}

// arrived pulls an image from a place.
func (p place) arrived(t *testing.T, name string) blobs {
	t.Helper()
	user := ""
	if p.password != "" {
		user = p.owner
	}
	ref := p.server.Host + "/" + p.owner + "/" + name
	switch {
	case p.redirects:
		return pullBySkopeo(t, p.server, user, p.password, ref)
	case p.server.CAFile == "": // skopeo wants TLS
		env, err := p.server.Env(t.TempDir(), user, p.password)
		servers.Need(t, err)
		dir := t.TempDir()
		run(t, env, program(t, "crane"), "pull", "--format=oci", ref, dir)
		return blobsIn(t, filepath.Join(dir, "blobs"))
	}
	return pull(t, p.server, user, p.password, ref)
}

// TestCopyBetweenRegistries copies an index with an attestation, and what refers to
// it, from each registry to each other; skopeo and crane pull it there.
func TestCopyBetweenRegistries(t *testing.T) {
	older, err := sharedOlder()
	servers.Need(t, err)
	forgejo, err := sharedForgejo()
	servers.Need(t, err)
	crane, err := servers.StartCraneRegistry(t.Context())
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, crane.Stop) })
	copyBetween(t, map[string]place{
		"Gitea": forge(t, gitea(t)), "Gitea 1.26": forge(t, older), "Forgejo": forge(t, forgejo),
		"distribution 2.8": open(t, registry(t)), "crane": open(t, crane),
	})
}

// TestWideCopyBetweenRegistries is the same with distribution 3.1 and with a Gitea
// that leads to its storage.
func TestWideCopyBetweenRegistries(t *testing.T) {
	wide(t)
	attest(t, "registry", "distribution 3 and Gitea on S3 direct", "copies of an index and of what refers to it, from each to each", "registry-3", "gitea", "versitygw")
	newer, err := servers.StartRegistry(t.Context(), servers.RegistryOptions{Newer: true})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, newer.Stop) })
	direct := forge(t, own(t, servers.GiteaOptions{Storage: servers.S3Direct}))
	direct.redirects = true
	copyBetween(t, map[string]place{"distribution 3.1": open(t, newer), "Gitea on S3": direct, "Gitea": forge(t, gitea(t))})
}

func copyBetween(t *testing.T, places map[string]place) {
	t.Helper()
	dir := samples.Layout(t, 61, 3<<20)
	signature, signed := signatureOf(t, digest.Digest(topDigest(t, dir)))
	for _, p := range places {
		mustPush(t, p.client, p.owner+"/source:1", dir, client.PushOptions{})
		mustPush(t, p.client, p.owner+"/source:signature", signed, client.PushOptions{})
	}
	for source, from := range places {
		for target, to := range places {
			if source == target {
				continue
			}
			t.Run(source+" to "+target, func(t *testing.T) {
				name := "copy-of-" + from.server.Host[len("localhost:"):]
				member := remote.Member{Client: from.client, Repository: from.owner + "/source", Reference: "1"}
				if err := to.client.Copy(t.Context(), to.owner+"/"+name+":1", member, client.PushOptions{}); err != nil {
					t.Fatal(err)
				}
				assertBlobs(t, to.arrived(t, name+":1"), layoutBlobs(t, dir))
				subject := []digest.Digest{digest.Digest(topDigest(t, dir))}
				if n, err := to.client.CopyReferrers(t.Context(), to.owner+"/"+name, member, subject, remote.ReferrersOptions{ByTag: true}); err != nil || n != 1 {
					t.Errorf("%d manifests that refer to it were copied, %v", n, err)
				}
				found, err := to.client.Referrers(t.Context(), to.owner+"/"+name, subject[0], true)
				if err != nil || len(found) != 1 || found[0].Digest != signature {
					t.Errorf("what refers to it is %v, %v; want %s", found, err, signature)
				}
				assertBlobs(t, to.arrived(t, name+"@"+signature.String()), layoutBlobs(t, signed))
			})
		}
	}
}

// signatureOf is an artifact that refers to an index, as a layout.
func signatureOf(t *testing.T, subject digest.Digest) (d digest.Digest, dir string) {
	t.Helper()
	l := samples.NewLayout(t)
	config := l.Blob(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	m := l.JSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/vnd.example.signature",
		Config: config, Layers: []ocispec.Descriptor{l.Blob("application/vnd.example.signature", []byte("signed"))},
		Subject: &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: subject, Size: 1},
	})
	samples.WriteFile(t, filepath.Join(l.Dir, "index.json"), samples.Encoded(t, samples.Index(m)))
	samples.WriteFile(t, filepath.Join(l.Dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return m.Digest, l.Dir
}
