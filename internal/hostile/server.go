package hostile

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// New answers every question with payloads, in the forms of the registry's API
// and of Gitea's: all of them where there is a list, the next one of them where
// there is a single text. It passes for Gitea, and gives everybody a token. Owners are called fine and finer as well, images app
// and apple, tags 1 and 12. Of whom is called "willing" it takes what is pushed;
// of others nothing.
func New(payloads ...string) http.Handler {
	return &server{payloads: payloads}
}

type server struct {
	payloads []string
	asked    atomic.Uint32
}

// ServeHTTP implements [http.Handler].
func (s *server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	payload := s.payloads[int(s.asked.Add(1))%len(s.payloads)]
	answer := answer{ResponseWriter: w, all: s.payloads, one: payload}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	for _, name := range []string{
		"Server", "Via", "Warning", "Www-Authenticate", "Location", "Docker-Content-Digest", "Docker-Upload-Uuid", "Range",
		"OCI-Subject", "OCI-Tag", "OCI-Chunk-Min-Length", "X-Request-Id", "Retry-After",
	} {
		if fitsHeader(payload) && !strings.Contains(req.URL.Path, "/willing/") {
			w.Header().Set(name, payload)
		}
	}
	switch path := req.URL.Path; {
	case path == "/v2/token":
		answer.send(http.StatusOK, `{"token":"of-nobody","expires_in":3600,"issued_at":P}`)
	case strings.HasPrefix(path, "/v2/") && req.Header.Get("Authorization") == "":
		challenge := `Bearer realm="` + scheme(req) + req.Host + `/v2/token",service="container_registry",scope="*"`
		w.Header().Add("Www-Authenticate", challenge)
		answer.send(http.StatusUnauthorized, `{"errors":[{"code":P,"message":P,"detail":P}]}`)
	case strings.HasPrefix(path, "/v2/") && strings.Contains(path, "/willing/"):
		answer.take(req)
	case strings.HasPrefix(path, "/v2/"):
		answer.registry(req)
	default:
		answer.gitea(path)
	}
}

// fitsHeader reports whether a payload may be a header's value. Go's client
// refuses an answer with a control character there, and reads no body then.
func fitsHeader(payload string) bool {
	return !strings.ContainsFunc(payload, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func scheme(req *http.Request) string {
	if req.TLS != nil {
		return "https://"
	}
	return "http://"
}

// answer writes payloads.
type answer struct {
	http.ResponseWriter
	all []string
	one string
}

// list is a JSON array of what each payload is put into, and of what is harmless.
func (a answer) list(item func(payload string) string, harmless ...string) string {
	var items []string
	for _, payload := range append(append([]string(nil), a.all...), harmless...) {
		items = append(items, item(quote(payload)))
	}
	return "[" + strings.Join(items, ",") + "]"
}

func quote(text string) string {
	quoted, _ := json.Marshal(text) // of a string it cannot fail
	return string(quoted)
}

// send writes a document in which P is the payload.
func (a answer) send(status int, document string) {
	a.WriteHeader(status)
	_, _ = fmt.Fprint(a, strings.ReplaceAll(document, "P", quote(a.one))) //nolint:gosec // G705: a payload is what it is for
}

func (a answer) gitea(path string) {
	switch {
	case strings.HasSuffix(path, "/api/v1/version"):
		a.send(http.StatusOK, `{"version":P}`)
	case strings.HasSuffix(path, "/user"):
		a.send(http.StatusOK, `{"login":P,"username":P,"full_name":P,"email":P}`)
	case strings.HasSuffix(path, "/orgs"):
		a.raw(a.list(func(p string) string { return `{"username":` + p + `,"name":` + p + `}` }, "fine", "finer"))
	case strings.Contains(path, "/-/"):
		a.send(http.StatusBadRequest, `{"message":P}`)
	case strings.Contains(path, "/api/v1/packages/"):
		a.raw(a.list(func(p string) string {
			return fmt.Sprintf(`{"name":%[1]s,"version":%[1]s,"html_url":%[1]s,"repository":{"full_name":%[1]s,"html_url":%[1]s}},{"name":"app","version":%[1]s,"repository":{"full_name":%[1]s}},{"name":"app","version":"1","repository":{"full_name":%[1]s}}`, p)
		}, "app", "apple"))
	case strings.HasSuffix(path, "/.well-known/openid-configuration"):
		a.send(http.StatusOK, `{"issuer":P,"authorization_endpoint":P,"token_endpoint":P}`)
	default:
		a.refuse()
	}
}

func (a answer) registry(req *http.Request) {
	switch path := req.URL.Path; {
	case path == "/v2/":
		a.raw(`{}`)
	case strings.HasSuffix(path, "/_catalog"):
		a.raw(`{"repositories":` + a.list(func(p string) string { return p }, "me/app", "fine/app", "fine/apple") + `}`)
	case strings.HasSuffix(path, "/tags/list"):
		a.Header().Del("Link")
		a.raw(`{"name":` + quote(a.one) + `,"tags":` + a.list(func(p string) string { return p }, "1", "12") + `}`)
	case strings.Contains(path, "/manifests/") && req.Method == http.MethodGet:
		a.index(req.Host)
	default:
		a.refuse()
	}
}

// raw writes a document as it is.
func (a answer) raw(document string) {
	a.WriteHeader(http.StatusOK)
	_, _ = fmt.Fprint(a, document)
}

func (a answer) refuse() {
	a.send(http.StatusForbidden, `{"errors":[{"code":P,"message":P,"detail":P}]}`)
}

// index names a repository as the source of the image, and platforms.
func (a answer) index(host string) {
	source := quote("https://" + strings.Split(host, ":")[0] + "/me/" + url.PathEscape(a.one))
	a.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
	a.Header().Del("Docker-Content-Digest")
	a.send(http.StatusOK, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","annotations":{"org.opencontainers.image.source":`+source+
		`,P:P},"manifests":[{"mediaType":P,"artifactType":P,"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"annotations":{P:P},"platform":{"os":P,"architecture":P,"variant":P}}]}`)
}

// take accepts what is pushed, with a payload in what it says of it.
func (a answer) take(req *http.Request) {
	for _, name := range []string{"Server", "Warning", "OCI-Subject", "X-Request-Id", "Location", "Docker-Upload-Uuid"} {
		if fitsHeader(a.one) {
			a.Header().Set(name, a.one)
		}
	}
	if req.Method == http.MethodPut || req.Method == http.MethodPost && req.URL.Query().Get("digest") != "" {
		a.WriteHeader(http.StatusCreated)
		return
	}
	a.send(http.StatusNotFound, `{"errors":[{"code":P,"message":P}]}`)
}
