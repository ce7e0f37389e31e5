package registrytest_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// exchange sends one request and returns the answer with its body read.
func exchange(t *testing.T, srv *registrytest.Server, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(registrytest.Username, registrytest.Password)
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := srv.HTTPClient().Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, string(text)
}

func TestPushAndPull(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	const octets = "application/octet-stream"
	config, layer := `{"os":"linux"}`, "layer"
	for _, blob := range []string{config, layer} {
		d := digest.FromString(blob).String()
		resp, text := exchange(t, srv, "POST", "/v2/alice/app/blobs/uploads/?mount="+d+"&digest="+d, blob, "Content-Type", octets)
		if resp.StatusCode != http.StatusCreated {
			t.Fatalf("got %s %s, want 201", resp.Status, text)
		}
	}
	manifest := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":14,"digest":"` + digest.FromString(config).String() + `"},` +
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":5,"digest":"` + digest.FromString(layer).String() + `"}]}`
	resp, text := exchange(t, srv, "PUT", "/v2/alice/app/manifests/V1", manifest)
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("got %s %s, want 201", resp.Status, text)
	}
	if tags := srv.Tags("alice/app"); len(tags) != 1 || tags[0] != "v1" {
		t.Errorf("got tags %v, want v1", tags)
	}
	data, _, ok := srv.Manifest("alice/app", "v1")
	if !ok || !bytes.Equal(data, []byte(manifest)) {
		t.Errorf("got manifest %s, want %s", data, manifest)
	}
	if resp, text = exchange(t, srv, "GET", "/v2/alice/app/blobs/"+digest.FromString(layer).String(), ""); text != layer {
		t.Errorf("got %s %q, want %q", resp.Status, text, layer)
	}
	if n := srv.OpenSessions(); n != 0 {
		t.Errorf("got %d open sessions, want 0", n)
	}
}

func TestCutPoisonsSession(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	srv.Fault(registrytest.Rule{Method: "PATCH", Times: 1, Action: registrytest.Cut{After: 3}})
	resp, _ := exchange(t, srv, "POST", "/v2/alice/app/blobs/uploads/", "")
	location := resp.Header.Get("Location")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, srv.URL+location, strings.NewReader("abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(registrytest.Username, registrytest.Password)
	if resp, err := srv.HTTPClient().Do(req); err == nil {
		resp.Body.Close()
		t.Fatalf("got %s, want a cut connection", resp.Status)
	}
	if resp, text := exchange(t, srv, "PATCH", location, "abcdef"); resp.StatusCode != 500 || text != "" {
		t.Errorf("got %s %q, want an empty 500", resp.Status, text)
	}
	if resp, _ := exchange(t, srv, "GET", location, ""); resp.StatusCode != 204 || resp.Header.Get("Range") != "" {
		t.Errorf("got %s with range %q, want 204 without", resp.Status, resp.Header.Get("Range"))
	}
}
