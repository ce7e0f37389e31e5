package registrytest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
	"go.uber.org/goleak"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const octets = "application/octet-stream"

// answer is an answer whose body was read.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// exchange sends one request as the default user. header is names and values;
// an empty value removes a header.
func exchange(t *testing.T, srv *registrytest.Server, method, path, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(path, "://") {
		t.Fatalf("%s is no path", path)
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
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

// begin begins an upload and returns its path.
func begin(t *testing.T, srv *registrytest.Server) string {
	t.Helper()
	got := exchange(t, srv, "POST", "/v2/alice/app/blobs/uploads/", "")
	if got.status != http.StatusAccepted {
		t.Fatalf("begin upload: got %d %v, want 202", got.status, got.err)
	}
	return strings.TrimPrefix(got.header.Get("Location"), srv.URL)
}

// The parts of the image that tests push.
const (
	config = `{"os":"linux"}`
	layer  = "layer"
)

var manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
	`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":14,"digest":"` + digest.FromString(config).String() + `"},` +
	`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":5,"digest":"` + digest.FromString(layer).String() + `"}]}`

func TestPushAndPull(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	for _, blob := range []string{config, layer} {
		d := digest.FromString(blob).String()
		got := exchange(t, srv, "POST", "/v2/alice/app/blobs/uploads/?mount="+d+"&digest="+d, blob, "Content-Type", octets)
		if got.status != http.StatusCreated {
			t.Fatalf("got %+v, want 201", got)
		}
	}
	if got := exchange(t, srv, "PUT", "/v2/alice/app/manifests/V1", manifest); got.status != http.StatusCreated {
		t.Fatalf("got %+v, want 201", got)
	}
	if tags := srv.Tags("alice/app"); len(tags) != 1 || tags[0] != "v1" {
		t.Errorf("got tags %v, want v1", tags)
	}
	data, _, ok := srv.Manifest("alice/app", "v1")
	if !ok || !bytes.Equal(data, []byte(manifest)) {
		t.Errorf("got manifest %s, want %s", data, manifest)
	}
	if got := exchange(t, srv, "GET", "/v2/alice/app/blobs/"+digest.FromString(layer).String(), ""); got.body != layer {
		t.Errorf("got %+v, want %q", got, layer)
	}
	if data, ok := srv.Blob(digest.FromString(layer)); !ok || string(data) != layer {
		t.Errorf("got blob %q, want %q", data, layer)
	}
	want := int64(len(config) + len(layer) + len(manifest))
	if stats := srv.Stats(); stats.OpenSessions != 0 || stats.Requests != 4 || stats.BodyBytes != want {
		t.Errorf("got %+v, want 4 requests with %d bytes and no session", stats, want)
	}
	for _, req := range srv.Requests("POST", "/uploads/") {
		if req.Scheme != "basic" || req.Header.Get("Authorization") != "" || req.Status != http.StatusCreated {
			t.Errorf("got %+v, want a 201 with a basic credential that is not kept", req)
		}
	}
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{DiscardAbove: 4})
	d := digest.FromString("12345")
	if got := exchange(t, srv, "POST", "/v2/alice/app/blobs/uploads/?digest="+d.String(), "12345", "Content-Type", octets); got.status != http.StatusCreated {
		t.Fatalf("got %+v, want 201", got)
	}
	if size, ok := srv.HasBlob("alice/app", d); !ok || size != 5 {
		t.Errorf("got size %d, %t, want 5", size, ok)
	}
	if _, ok := srv.Blob(d); ok {
		t.Error("got the bytes of a blob that was to be discarded")
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Quota: registrytest.Quota{BlobSize: 14, OwnerSize: 24, OwnerCount: 1}})
	upload := func(blob string) answer {
		return exchange(t, srv, "POST", "/v2/alice/app/blobs/uploads/?digest="+digest.FromString(blob).String(), blob, "Content-Type", octets)
	}
	for _, step := range []struct {
		name string
		got  answer
		want int
	}{
		{"within", upload(config), http.StatusCreated},
		{"blob too large", upload("fifteen bytes.."), http.StatusForbidden},
		{"second blob", upload(layer), http.StatusCreated},
		{"owner full", upload("sixth."), http.StatusForbidden},
		{"manifest", exchange(t, srv, "PUT", "/v2/alice/app/manifests/1", manifest), http.StatusCreated},
		{"same manifest", exchange(t, srv, "PUT", "/v2/alice/app/manifests/1", manifest), http.StatusCreated},
		{"second manifest", exchange(t, srv, "PUT", "/v2/alice/app/manifests/2", manifest), http.StatusForbidden},
	} {
		if step.got.status != step.want {
			t.Errorf("%s: got %d, want %d", step.name, step.got.status, step.want)
		}
		if step.want == http.StatusForbidden && (step.got.body != "" || step.got.header.Get("Docker-Distribution-Api-Version") == "") {
			t.Errorf("%s: got %+v, want an empty answer of the registry", step.name, step.got)
		}
	}
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	got := exchange(t, srv, "GET", "/v2/token", "")
	token := "Bearer " + strings.Split(got.body, `"`)[3]
	if got := exchange(t, srv, "GET", "/v2/", "", "Authorization", token); got.status != http.StatusOK {
		t.Fatalf("fresh token: got %d, want 200", got.status)
	}
	srv.Fault(registrytest.Rule{Times: 1, Action: srv.Expire()})
	if got := exchange(t, srv, "GET", "/v2/", "", "Authorization", token); got.status != http.StatusUnauthorized || len(got.header.Values("WWW-Authenticate")) != 1 {
		t.Errorf("revoked token: got %+v, want 401 with a challenge", got)
	}
}

// TestChallenges asks who is offered Basic, which depends on the release.
func TestChallenges(t *testing.T) {
	t.Parallel()
	limited := registrytest.User{Name: "limited", Visibility: registrytest.Limited}
	for _, c := range []struct {
		config registrytest.Config
		path   string
		want   int
	}{
		{registrytest.Config{}, "/v2/", 1},
		{registrytest.Config{}, "/v2/alice/app/tags/list", 1},
		{registrytest.Config{Users: []registrytest.User{limited}}, "/v2/Limited/app/tags/list", 2},
		{registrytest.Config{RequireSignIn: true}, "/v2/", 2},
		{registrytest.Config{Flavor: registrytest.Gitea126}, "/v2/", 2},
		{registrytest.Config{Flavor: registrytest.Forgejo, RequireSignIn: true}, "/v2/", 1},
	} {
		srv := registrytest.Start(t, c.config)
		got := exchange(t, srv, "GET", c.path, "", "Authorization", "")
		if challenges := got.header.Values("WWW-Authenticate"); len(challenges) != c.want {
			t.Errorf("%+v: %s: got challenges %q, want %d", c.config, c.path, challenges, c.want)
		}
		secure := got.header.Get("X-Content-Type-Options") == "nosniff"
		if want := c.config.Flavor == registrytest.Gitea; secure != want {
			t.Errorf("%+v: got nosniff %t, want %t", c.config, secure, want)
		}
	}
}

func TestForgejo(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Forgejo, RootURL: "https://git.example.com/forge/"})
	got := exchange(t, srv, "GET", "/v2/", "", "Authorization", "")
	if want := `Bearer realm="https://git.example.com/forge/v2/token",service="container_registry",scope="*"`; strings.Join(got.header.Values("WWW-Authenticate"), "|") != want {
		t.Errorf("got challenge %q, want %q", got.header.Values("WWW-Authenticate"), want)
	}
	upload := begin(t, srv)
	if got := exchange(t, srv, "PATCH", upload, "abc"); got.header.Get("Range") != "0-2" {
		t.Errorf("got range %q after a chunk, want 0-2", got.header.Get("Range"))
	}
	if got := exchange(t, srv, "GET", upload, ""); got.header.Get("Range") != "0-3" || got.header.Get("Location") != "" {
		t.Errorf("got %+v, want range 0-3 and no location", got)
	}
}

func TestDistribution(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution, Auth: registrytest.AuthBasic})
	srv.Fault(registrytest.Rule{Method: "PATCH", Times: 1, Action: registrytest.Cut{After: 3}})
	upload := begin(t, srv)
	if got := exchange(t, srv, "PATCH", upload, "abcdef"); got.err == nil {
		t.Fatalf("got %d, want a cut connection", got.status)
	}
	if got := exchange(t, srv, "GET", upload, ""); got.header.Get("Range") != "0-2" {
		t.Errorf("got range %q, want what arrived before the cut, 0-2", got.header.Get("Range"))
	}
	d := digest.FromString("abcdef").String()
	if got := exchange(t, srv, "PATCH", upload, "def", "Content-Range", "bytes 3-5/6"); got.status != http.StatusAccepted {
		t.Errorf("got %+v, want 202", got)
	}
	if got := exchange(t, srv, "PUT", upload+"?digest="+d, ""); got.status != http.StatusCreated {
		t.Errorf("got %+v, want 201", got)
	}
	if got := exchange(t, srv, "POST", "/v2/alice/app/blobs/uploads/?digest="+d, ""); got.status != http.StatusAccepted {
		t.Errorf("single request: got %d, want 202", got.status)
	}
	if got := exchange(t, srv, "POST", "/v2/other/blobs/uploads/?mount="+d+"&from=alice/app", ""); got.status != http.StatusCreated {
		t.Errorf("mount: got %d, want 201", got.status)
	}
}

func TestDistributionToken(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution})
	path := "/v2/alice/app/blobs/uploads/"
	got := exchange(t, srv, "POST", path, "", "Authorization", "")
	if want := `Bearer realm="` + srv.URL + `/token",service="registrytest",scope="repository:alice/app:pull,push"`; got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != want {
		t.Fatalf("got %d %q, want 401 %q", got.status, got.header.Get("WWW-Authenticate"), want)
	}
	for scope, want := range map[string]int{"repository:alice/app:pull,push": http.StatusAccepted, "repository:alice/app:pull": http.StatusUnauthorized} {
		_, token, _ := strings.Cut(exchange(t, srv, "GET", "/token?scope="+scope, "").body, `"token":"`)
		token, _, _ = strings.Cut(token, `"`)
		if got := exchange(t, srv, "POST", path, "", "Authorization", "Bearer "+token); got.status != want {
			t.Errorf("scope %s: got %d, want %d", scope, got.status, want)
		}
	}
}

// Of what a repository holds, the garbage collection leaves what its tags lead
// to: manifests through an index, and the blobs of those.
func TestCollectGarbage(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	put := func(path, body string) {
		t.Helper()
		method := map[bool]string{true: http.MethodPut, false: http.MethodPost}[strings.HasPrefix(path, "manifests/")]
		if got := exchange(t, srv, method, "/v2/alice/app/"+path, body); got.status != http.StatusCreated {
			t.Fatalf("%s: got %+v, want 201", path, got)
		}
	}
	other := strings.Replace(manifest, "{", "{ ", 1)
	for _, blob := range []string{config, layer, "of no manifest"} {
		put("blobs/uploads/?digest="+digest.FromString(blob).String(), blob)
	}
	for _, m := range []string{manifest, other} {
		put("manifests/"+digest.FromString(m).String(), m)
	}
	put("manifests/all", fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[`+
		`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":%d}]}`, digest.FromString(manifest), len(manifest)))
	srv.CollectGarbage()
	for content, kept := range map[string]bool{config: true, layer: true, manifest: true, other: false, "of no manifest": false} {
		if _, found := srv.HasBlob("alice/app", digest.FromString(content)); found != kept {
			t.Errorf("%.20s: there %t, want %t", content, found, kept)
		}
	}
	if _, _, found := srv.Manifest("alice/app", "all"); !found {
		t.Error("the tag is gone")
	}
}
