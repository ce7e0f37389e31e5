package remote_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// attach pushes an artifact that refers to subject, under a tag.
func attach(t *testing.T, c *remote.Client, subject ocispec.Descriptor, tag string) ocispec.Descriptor {
	t.Helper()
	m := encode(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/vnd.example.sbom", Subject: &subject,
		Config: ocispec.DescriptorEmptyJSON, Layers: []ocispec.Descriptor{ocispec.DescriptorEmptyJSON}, Annotations: map[string]string{"tag": tag},
	})
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(m), Size: int64(len(m))}
	if err := push(t, c, blobsOf(t, d, m, []byte("{}")), registry.PushOptions{Tags: []string{tag}}); err != nil {
		t.Fatal(err)
	}
	return d
}

// tells has a registry answer the API for referrers, one on each page.
func tells(t *testing.T, srv *registrytest.Server, refer map[digest.Digest][]ocispec.Descriptor) {
	t.Helper()
	srv.Registry.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/referrers/", Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, _ http.Handler) {
		all, page := refer[digest.Digest(path.Base(req.URL.Path))], 0
		_, _ = fmt.Sscan(req.URL.Query().Get("page"), &page) // none is the first
		if page+1 < len(all) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, req.URL.Path, page+1))
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		_, _ = w.Write(encode(t, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: all[min(page, len(all)):min(page+1, len(all))]}))
	})})
}

// What refers to an image, and what refers to that, goes with it: from a registry
// with the API and from one with tags, to one with the API and to one with tags.
func TestCopyReferrers(t *testing.T) {
	t.Parallel()
	for _, fromAPI := range []bool{true, false} {
		for _, toAPI := range []bool{true, false} {
			t.Run(fmt.Sprint(fromAPI, toAPI), func(t *testing.T) {
				t.Parallel()
				from := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution, Users: me})
				to := registrytest.Start(t, registrytest.Config{Users: me})
				source := clientOf(t, from, remote.Options{})
				if err := push(t, source, writeLayout(t, layerOf(t, 100)), registry.PushOptions{}); err != nil {
					t.Fatal(err)
				}
				d, err := source.ManifestDigest(t.Context(), "me/app", "1")
				if err != nil {
					t.Fatal(err)
				}
				image := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: 1}
				one, two := attach(t, source, image, "one"), attach(t, source, image, "two")
				three := attach(t, source, one, "three")
				if fromAPI {
					tells(t, from, map[digest.Digest][]ocispec.Descriptor{d: {one, two}, one.Digest: {three}})
					source = clientOf(t, from, remote.Options{}) // the other knows that there is no API
				}
				if toAPI {
					tells(t, to, nil)
					to.Registry.Fault(registrytest.Rule{Method: http.MethodPut, Path: "/manifests/", Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
						w.Header().Set("OCI-Subject", "told")
						next.ServeHTTP(w, req)
					})})
				}
				c := clientOf(t, to, remote.Options{})
				member := remote.Member{Client: source, Repository: "me/app"}
				n, err := c.CopyReferrers(t.Context(), "me/copy", member, []digest.Digest{d}, remote.ReferrersOptions{ByTag: !fromAPI})
				if err != nil || n != 3 {
					t.Fatalf("%d copied, %v", n, err)
				}
				for _, want := range []ocispec.Descriptor{one, two, three} {
					if _, _, there := to.Registry.Manifest("me/copy", want.Digest.String()); !there {
						t.Errorf("it lacks %s", want.Digest)
					}
				}
				found, err := c.Referrers(t.Context(), "me/copy", d, true)
				var listed []digest.Digest
				for _, f := range found {
					listed = append(listed, f.Digest)
				}
				if slices.Sort(listed); !toAPI {
					want := []digest.Digest{one.Digest, two.Digest}
					if slices.Sort(want); err != nil || !slices.Equal(listed, want) {
						t.Errorf("listed are %v, %v; want %v", listed, err, want)
					}
				}
				if tags := to.Registry.Tags("me/copy"); toAPI && len(tags) > 0 || !toAPI && len(tags) != 2 {
					t.Errorf("tags: %q", tags)
				}
				if n, err := c.CopyReferrers(t.Context(), "me/copy", member, []digest.Digest{d}, remote.ReferrersOptions{ByTag: !fromAPI}); err != nil || n != 0 {
					t.Errorf("again: %d copied, %v", n, err)
				}
			})
		}
	}
}

// Where a registry tells what refers to an image, it is asked of the parts of an index
// as well; where it does not, the index is not read.
func TestReferrersOfParts(t *testing.T) {
	t.Parallel()
	for _, does := range []bool{true, false} {
		from, _, content := holding(t, registrytest.Config{Flavor: registrytest.Distribution})
		var want []string
		if does {
			tells(t, from, nil)
			for _, d := range []ocispec.Descriptor{content[0], content[1], content[4]} {
				want = append(want, "/v2/alice/app/referrers/"+d.Digest.String())
			}
		}
		to := registrytest.Start(t, registrytest.Config{})
		member := remote.Member{Client: clientOf(t, from, remote.Options{}), Repository: "alice/app", Reference: content[0].Digest.String()}
		if n, err := clientOf(t, to, remote.Options{}).CopyReferrers(t.Context(), "alice/copy", member, nil, remote.ReferrersOptions{}); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		asked := map[string]bool{}
		for _, req := range from.Registry.Requests(http.MethodGet, "/v2/alice/app/") {
			asked[req.Path] = true
		}
		for _, path := range want {
			if !asked[path] {
				t.Errorf("it was not asked for %s", path)
			}
		}
		if !does && len(asked) > 1 {
			t.Errorf("asked for %v", asked)
		}
	}
}

// A registry that has no such list is taken for one without signatures; one that
// refuses to show it, or a proxy that does, is not.
func TestReferrersAreRefused(t *testing.T) {
	t.Parallel()
	for status, passes := range map[int]bool{
		http.StatusNotFound: true, http.StatusBadRequest: true, http.StatusMethodNotAllowed: true, http.StatusNotImplemented: true,
		http.StatusForbidden: false, http.StatusUnavailableForLegalReasons: false, http.StatusUnauthorized: false, http.StatusBadGateway: false,
	} {
		from := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution, Users: me})
		from.Registry.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/referrers/", Action: registrytest.ActionFunc(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(status)
		})})
		to := registrytest.Start(t, registrytest.Config{Users: me})
		member := remote.Member{Client: clientOf(t, from, remote.Options{Retries: -1}), Repository: "me/app"}
		subject := []digest.Digest{digest.FromString("image")}
		if _, err := clientOf(t, to, remote.Options{}).CopyReferrers(t.Context(), "me/copy", member, subject, remote.ReferrersOptions{}); (err == nil) != passes {
			t.Errorf("%d: got %v", status, err)
		}
	}
}

// A registry that never ends its list of what refers to an image is left.
func TestEndlessReferrers(t *testing.T) {
	t.Parallel()
	from := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution, Users: me})
	asked := 0
	from.Registry.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/referrers/", Action: registrytest.ActionFunc(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		asked++
		_, _ = w.Write(encode(t, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{
			{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(fmt.Sprint(asked)), Size: 1}, {Digest: "../../1"},
		}}))
	})})
	to := registrytest.Start(t, registrytest.Config{Users: me})
	member := remote.Member{Client: clientOf(t, from, remote.Options{}), Repository: "me/app"}
	_, err := clientOf(t, to, remote.Options{}).CopyReferrers(t.Context(), "me/copy", member, []digest.Digest{digest.FromString("image")}, remote.ReferrersOptions{})
	want := "copy what refers to images of " + to.Host + "/me/copy: more than 1000 manifests of " + from.Host + "/me/app refer to one image"
	if fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A list that is not what its registry says it is names none of what refers to an
// image: an entry with another digest would be taken for one that was deleted.
func TestReferrersOfAListThatWasChanged(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Users: me})
	c := clientOf(t, srv, remote.Options{})
	if err := push(t, c, writeLayout(t, layerOf(t, 100)), registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	d, err := c.ManifestDigest(t.Context(), "me/app", "1")
	if err != nil {
		t.Fatal(err)
	}
	one := attach(t, c, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: 1}, "one")
	if found, err := c.Referrers(t.Context(), "me/app", d, true); err != nil || len(found) != 1 {
		t.Fatalf("got %v, %v", found, err)
	}
	srv.Registry.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/manifests/sha256-", Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, req)
		maps.Copy(w.Header(), answer.Header())
		other := digest.FromString("another").String()
		_, _ = io.WriteString(w, strings.ReplaceAll(answer.Body.String(), one.Digest.String(), other))
	})})
	if found, err := c.Referrers(t.Context(), "me/app", d, true); !errors.Is(err, registry.ErrDigestMismatch) {
		t.Errorf("got %v, %v", found, err)
	}
}

// The list of what refers to an image, copied as the tag that it is, is no tag that
// another client has set meanwhile: its parts are not listed once more on their way.
func TestListOfReferrersIsCopied(t *testing.T) {
	t.Parallel()
	from, to := registrytest.Start(t, registrytest.Config{Users: me}), registrytest.Start(t, registrytest.Config{Users: me})
	source, c := clientOf(t, from, remote.Options{}), clientOf(t, to, remote.Options{})
	if err := push(t, source, writeLayout(t, layerOf(t, 100)), registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	image := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("image"), Size: 1}
	one := attach(t, source, image, "one")
	part, _, _ := from.Registry.Manifest("me/app", one.Digest.String())
	// As another client writes it, with another digest than that of ours.
	list := encode(t, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{one}})
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromBytes(list), Size: int64(len(list))}
	tag := strings.Replace(image.Digest.String(), ":", "-", 1)
	if err := push(t, source, blobsOf(t, d, list, part, []byte("{}")), registry.PushOptions{Tags: []string{tag}}); err != nil {
		t.Fatal(err)
	}
	member := remote.Member{Client: source, Repository: "me/app", Reference: tag}
	if err := c.Copy(t.Context(), to.Host+"/me/copy:"+tag, member, registry.PushOptions{NoClobber: true}); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := to.Registry.Manifest("me/copy", tag); string(got) != string(list) {
		t.Errorf("got %s, want %s", got, list)
	}
}

// What refers to an image and is there already is not looked at, but for --verify: then
// what the registry has lost of it is sent.
func TestReferrersAreVerified(t *testing.T) {
	t.Parallel()
	from, to := registrytest.Start(t, registrytest.Config{Users: me}), registrytest.Start(t, registrytest.Config{Users: me})
	source, c := clientOf(t, from, remote.Options{}), clientOf(t, to, remote.Options{})
	if err := push(t, source, writeLayout(t, layerOf(t, 100)), registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	d, err := source.ManifestDigest(t.Context(), "me/app", "1")
	if err != nil {
		t.Fatal(err)
	}
	attach(t, source, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: 1}, "listed")
	if _, err := source.Tag(t.Context(), "me/app", "1", []string{strings.Replace(d.String(), ":", "-", 1) + ".sig"}, remote.TagOptions{}); err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	content, _, _ := from.Registry.Manifest("me/app", "1")
	if err := json.Unmarshal(content, &m); err != nil {
		t.Fatal(err)
	}
	layer, config := m.Layers[0].Digest, m.Config.Digest // the config is that of what is listed, too
	member := remote.Member{Client: source, Repository: "me/app"}
	for _, step := range []struct {
		lose, verify bool
		copied       int
		there        bool
	}{{false, false, 2, true}, {true, false, 0, false}, {false, true, 1, true}, {false, true, 0, true}} {
		if step.lose {
			for _, lost := range []digest.Digest{layer, config} {
				resp, err := c.Ask(t.Context(), http.MethodDelete, "/v2/me/copy/blobs/"+lost.String())
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		}
		n, err := c.CopyReferrers(t.Context(), "me/copy", member, []digest.Digest{d}, remote.ReferrersOptions{ByTag: true, Verify: step.verify})
		if err != nil || n != step.copied {
			t.Errorf("%+v: copied %d, %v", step, n, err)
		}
		for _, blob := range []digest.Digest{layer, config} {
			if _, there := to.HasBlob("me/copy", blob); there != step.there {
				t.Errorf("%+v: %s is there: %t", step, blob, there)
			}
		}
	}
}
