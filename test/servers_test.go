//go:build e2e

package test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

func TestGiteaAsksForCredentials(t *testing.T) {
	t.Parallel()
	status, header := get(t, gitea(t).Server, "/v2/")
	if status != http.StatusUnauthorized {
		t.Errorf("got %d, want 401", status)
	}
	challenges := header.Values("Www-Authenticate")
	if len(challenges) != 1 || !strings.HasPrefix(challenges[0], "Bearer ") {
		t.Errorf("got challenges %q, want Bearer alone, for nobody is hidden", challenges)
	}
}

func TestPeersPushToGitea(t *testing.T) {
	t.Parallel()
	g := gitea(t)
	user := newUser(t, g)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	dir := samples.Layout(t, 1, 100_000)
	top := dir + "@" + topDigest(t, dir)
	want := layoutBlobs(t, dir)
	push := map[string]func(ref string) []string{
		"crane":  func(ref string) []string { return []string{"push", dir, ref} },
		"skopeo": func(ref string) []string { return []string{"copy", "--all", "oci:" + dir, "docker://" + ref} },
		"regctl": func(ref string) []string { return []string{"image", "copy", "ocidir://" + top, ref} },
		"oras": func(ref string) []string {
			return []string{"copy", "--to-plain-http=false", "--from-oci-layout", top, ref}
		},
	}
	for name, args := range push {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, err := g.Env(t.TempDir(), user, token)
			servers.Need(t, err)
			ref := g.Host + "/" + user + "/" + name + ":1"
			run(t, env, program(t, name), args(ref)...)
			assertBlobs(t, pull(t, g.Server, user, token, ref), want)
		})
	}
}

func TestGiteaKeepsItsDataAcrossARestart(t *testing.T) {
	t.Parallel()
	g := own(t, servers.GiteaOptions{
		PlainHTTP: true,
		Settings:  map[string]string{"service.REQUIRE_SIGNIN_VIEW": "true"},
	})
	servers.Need(t, g.CreateOrg(t.Context(), "acme"))
	g.Kill()
	servers.Need(t, g.Restart(t.Context()))
	servers.Need(t, g.API(t.Context(), http.MethodGet, "/orgs/acme", nil, nil))
	if status, _ := get(t, g.Server, "/v2/token"); status != http.StatusUnauthorized {
		t.Errorf("got %d for an anonymous token, want 401 as the setting says", status)
	}
}

func TestEnginesBuildLoadAndSave(t *testing.T) {
	t.Parallel()
	for store, metadata := range map[servers.Store]string{
		servers.Classic:    "repositories",
		servers.Containerd: "oci-layout",
	} {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			e := engine(t, store)
			tag := "smoke:" + string(store)
			servers.Need(t, e.Build(t.Context(), tag, samples.BuildContext(t, 2, 100_000)))
			archive := filepath.Join(t.TempDir(), "image.tar")
			save(t, e, tag, archive)
			if names := entries(t, archive); !strings.Contains(names, metadata) {
				t.Errorf("got entries %q, want one named %q", names, metadata)
			}
			before := imageID(t, e, tag)
			_, err := e.Run(t.Context(), "rmi", tag)
			servers.Need(t, err)
			servers.Need(t, e.Load(t.Context(), archive))
			if after := imageID(t, e, tag); after != before {
				t.Errorf("got image %s after loading, want %s", after, before)
			}
		})
	}
}

func TestEnginesPushToGitea(t *testing.T) {
	t.Parallel()
	for _, store := range []servers.Store{servers.Classic, servers.Containerd} {
		t.Run(string(store), func(t *testing.T) {
			t.Parallel()
			e, g := engine(t, store), gitea(t)
			user := newUser(t, g)
			ref := g.Host + "/" + user + "/app:1"
			servers.Need(t, e.Build(t.Context(), ref, samples.BuildContext(t, 3, 100_000)))
			env, err := g.Env(t.TempDir(), user, servers.AdminPassword)
			servers.Need(t, err)
			run(t, append(env, "DOCKER_HOST="+e.Host()), program(t, "docker"), "push", "--quiet", ref)
			got := pull(t, g.Server, user, servers.AdminPassword, ref)
			if len(got) != 4 {
				t.Errorf("got %d blobs, want manifest, configuration and two layers", len(got))
			}
		})
	}
}

func TestDistributionRegistry(t *testing.T) {
	t.Parallel()
	open := registry(t)
	guarded, err := servers.StartRegistry(t.Context(), servers.RegistryOptions{Auth: true})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, guarded.Stop) })
	if status, _ := get(t, guarded, "/v2/"); status != http.StatusUnauthorized {
		t.Errorf("got %d without credentials, want 401", status)
	}
	dir := samples.Layout(t, 5, 1000)
	for _, c := range []struct {
		name           string
		server         *servers.Server
		user, password string
	}{
		{"open", open, "", ""},
		{"guarded", guarded, servers.RegistryUser, servers.RegistryPassword},
	} {
		env, err := c.server.Env(t.TempDir(), c.user, c.password)
		servers.Need(t, err)
		ref := c.server.Host + "/me/" + c.name + ":1"
		run(t, env, program(t, "skopeo"), "copy", "--all", "oci:"+dir, "docker://"+ref)
		assertBlobs(t, pull(t, c.server, c.user, c.password, ref), layoutBlobs(t, dir))
	}
}

func TestNginxRefusesLargeBodies(t *testing.T) {
	t.Parallel()
	g := gitea(t)
	proxy := behind(t, servers.NginxOptions{Upstream: g.URL, MaxBody: "10k"})
	for size, want := range map[int]int{10_000: http.StatusUnauthorized, 20_000: http.StatusRequestEntityTooLarge} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			proxy.URL+"/v2/nobody/app/blobs/uploads/", bytes.NewReader(make([]byte, size)))
		servers.Need(t, err)
		if status, _ := do(t, proxy, req); status != want {
			t.Errorf("got %d for %d bytes, want %d", status, size, want)
		}
	}
	// The realm has the address that the client knows.
	_, header := get(t, proxy, "/v2/")
	if got := header.Get("Www-Authenticate"); !strings.Contains(got, proxy.URL+"/v2/token") {
		t.Errorf("got challenge %q, want realm at %s", got, proxy.URL)
	}
}

func TestMissingProgramIsSkippedOnlyOutsideCI(t *testing.T) {
	_, missing := servers.Program("no-such-program")
	for _, c := range []struct{ ci, want string }{{"", "skip"}, {"true", "fail"}} {
		t.Setenv("CI", c.ci)
		var outcome outcome
		servers.Need(&outcome, missing)
		servers.Need(&outcome, nil)
		if string(outcome) != c.want {
			t.Errorf("with CI=%q: got %q, want %q", c.ci, outcome, c.want)
		}
	}
	t.Setenv("CI", "")
	var other outcome
	if servers.Need(&other, errors.New("other")); other != "fail" {
		t.Errorf("got %q for another error, want fail", other)
	}
}

// outcome is a test that only notes how it ends.
type outcome string

func (o *outcome) Helper() {}

func (o *outcome) Fatalf(string, ...any) {
	if *o == "" {
		*o = "fail"
	}
}

func (o *outcome) Skipf(string, ...any) { *o = "skip" }

func get(t *testing.T, s *servers.Server, path string) (status int, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, http.NoBody)
	servers.Need(t, err)
	return do(t, s, req)
}

// do sends a request and drains the answer.
func do(t *testing.T, s *servers.Server, req *http.Request) (status int, header http.Header) {
	t.Helper()
	resp, err := s.Client().Do(req)
	servers.Need(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	servers.Need(t, err)
	return resp.StatusCode, resp.Header
}

func save(t *testing.T, e *servers.Engine, tag, file string) {
	t.Helper()
	_, err := e.Run(t.Context(), "save", "--output", file, tag)
	servers.Need(t, err)
}

func imageID(t *testing.T, e *servers.Engine, tag string) string {
	t.Helper()
	id, err := e.Run(t.Context(), "inspect", "--format", "{{.Id}}", tag)
	servers.Need(t, err)
	return id
}

// entries returns the names in a tar archive, one a line.
func entries(t *testing.T, file string) string {
	t.Helper()
	archive, err := os.Open(file)
	servers.Need(t, err)
	defer archive.Close()
	var names strings.Builder
	for reader := tar.NewReader(archive); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names.String()
		}
		servers.Need(t, err)
		names.WriteString(header.Name + "\n")
	}
}

func stop(t *testing.T, stop func() error) {
	t.Helper()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// topDigest returns the digest of the one manifest that the layout names.
func topDigest(t *testing.T, layout string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(layout, "index.json"))
	servers.Need(t, err)
	return decode[struct {
		Manifests []struct{ Digest string }
	}](t, data).Manifests[0].Digest
}
