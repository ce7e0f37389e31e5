package registrytest

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// call is one request on its way through the registry.
type call struct {
	reg *Registry
	w   http.ResponseWriter
	req *http.Request

	who   identity
	owner *account
	// image is the name below the owner, and param the last element of the
	// path: a digest, a reference or the id of an upload.
	image, param string
}

func (c *call) config() *Config { return &c.reg.config }

// repository is "owner/image" in lower case, as Gitea stores it.
func (c *call) repository() string {
	if c.owner == anyone {
		return c.image
	}
	return c.owner.name + "/" + strings.ToLower(c.image)
}

// route answers a request. routers/api/packages/api.go, ContainerRoutes.
func (r *Registry) route(w http.ResponseWriter, req *http.Request) {
	c := &call{reg: r, w: w, req: req}
	c.secure()
	path := normalPath(req)
	if r.config.Flavor == Distribution {
		c.routeDistribution(path)
		return
	}
	rest, ok := strings.CutPrefix(path+"/", "/v2/")
	if !ok {
		c.notFound()
		return
	}
	who, err := r.authenticate(req)
	if err != nil {
		c.badCredential()
		return
	}
	c.who = who
	first, path, deeper := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	switch {
	case deeper:
		c.signedIn(func() { c.routeOwner(first, "/"+path) })
	case first == "":
		c.only(http.MethodGet, func() { c.signedIn(func() { c.begin(http.StatusOK, headers{}) }) })
	case first == "token":
		c.token()
	case first == "_catalog":
		c.only(http.MethodGet, func() { c.signedIn(c.catalog) })
	default:
		http.NotFound(c.w, c.req)
	}
}

// normalPath removes repeated and trailing slashes: modules/web/router.go,
// normalizeRequestPath.
func normalPath(req *http.Request) string {
	path := strings.TrimRight(req.URL.EscapedPath(), "/")
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

func (c *call) only(method string, serve func()) {
	if c.req.Method != method {
		c.w.Header().Set("Allow", method)
		c.w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	serve()
}

func (c *call) token() {
	switch c.req.Method {
	case http.MethodGet:
		c.getToken()
	case http.MethodPost:
		c.w.WriteHeader(http.StatusNotFound) // AuthenticateNotImplemented
	default:
		c.w.Header().Add("Allow", http.MethodGet)
		c.w.Header().Add("Allow", http.MethodPost)
		c.w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// signedIn serves only those who are somebody, be it the ghost of an anonymous
// token: container.go, ReqContainerAccess.
func (c *call) signedIn(serve func()) {
	nobody := c.who.id == 0 || c.config().RequireSignIn && c.who.anonymous()
	if nobody && c.config().Auth != AuthNone {
		c.unauthorized()
		return
	}
	serve()
}

// endpoint is one route below an owner. Gitea tries them in this order.
type endpoint struct {
	methods []string
	pattern *regexp.Regexp // groups: image with "/", last element
	write   bool
	// accessFirst checks for write access before the name.
	accessFirst bool
	serve       func(*call)
}

var (
	uploadsPattern  = regexp.MustCompile(`^/(.*?/)?blobs/uploads$`)
	uploadPattern   = regexp.MustCompile(`^/(.*?/)?blobs/uploads/([-.=\w]+)$`)
	blobPattern     = regexp.MustCompile(`^/(.*?/)?blobs/([^/]+)$`)
	manifestPattern = regexp.MustCompile(`^/(.*?/)?manifests/([^/]+)$`)
	tagsPattern     = regexp.MustCompile(`^/(.*?/)?tags/list$`)
)

var endpoints = []endpoint{
	{methods: []string{http.MethodPost}, pattern: uploadsPattern, write: true, accessFirst: true, serve: (*call).postUpload},
	{methods: []string{http.MethodGet}, pattern: tagsPattern, serve: (*call).tags},
	{methods: []string{http.MethodGet}, pattern: uploadPattern, write: true, accessFirst: true, serve: (*call).getUpload},
	{methods: []string{http.MethodPatch}, pattern: uploadPattern, write: true, accessFirst: true, serve: (*call).patchUpload},
	{methods: []string{http.MethodPut}, pattern: uploadPattern, write: true, accessFirst: true, serve: (*call).putUpload},
	{methods: []string{http.MethodDelete}, pattern: uploadPattern, write: true, accessFirst: true, serve: (*call).deleteUpload},
	{methods: []string{http.MethodHead, http.MethodGet}, pattern: blobPattern, serve: (*call).getBlob},
	{methods: []string{http.MethodDelete}, pattern: blobPattern, write: true, serve: (*call).deleteBlob},
	{methods: []string{http.MethodHead, http.MethodGet}, pattern: manifestPattern, serve: (*call).getManifest},
	{methods: []string{http.MethodPut}, pattern: manifestPattern, write: true, serve: (*call).putManifest},
	{methods: []string{http.MethodDelete}, pattern: manifestPattern, write: true, serve: (*call).deleteManifest},
}

// findEndpoint returns the endpoint of a path below an owner, and takes image
// and last element from the path.
func (c *call) findEndpoint(among []endpoint, path string) (endpoint, bool) {
	for _, e := range among {
		if match := e.pattern.FindStringSubmatch(path); match != nil && slices.Contains(e.methods, c.req.Method) {
			c.image = unescape(strings.TrimSuffix(match[1], "/"))
			c.param = unescape(match[len(match)-1])
			return e, true
		}
	}
	return endpoint{}, false
}

// imagePattern is container.go:48.
var imagePattern = regexp.MustCompile(`\A[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*\z`)

// routeOwner serves what is below /v2/OWNER: the owner, the right to read,
// the route, and then the right to write and the name, in the route's order.
func (c *call) routeOwner(owner, path string) {
	if !c.assignOwner(unescape(owner)) || !c.allow(Read) {
		return
	}
	e, ok := c.findEndpoint(endpoints, path)
	if !ok || c.image == "" && c.forgejo() {
		c.noRoute()
		return
	}
	accessFirst := c.accessFirst(e)
	if e.write && accessFirst && !c.allow(Write) {
		return
	}
	if !imagePattern.MatchString(c.image) {
		c.fail(errNameInvalid)
		return
	}
	if e.write && !accessFirst && !c.allow(Write) {
		return
	}
	e.serve(c)
}

// assignOwner finds the owner, or answers: services/context/user.go.
func (c *call) assignOwner(name string) bool {
	if c.owner = c.reg.accounts[strings.ToLower(name)]; c.owner != nil {
		return true
	}
	for old, now := range c.config().Renamed {
		if strings.EqualFold(old, name) {
			target := strings.Replace(c.req.URL.RequestURI(), url.PathEscape(name), url.PathEscape(now), 1)
			c.w.Header().Set("Location", target)
			http.Redirect(c.w, c.req, target, http.StatusTemporaryRedirect)
			return false
		}
	}
	c.notFound()
	return false
}

// notFound is the answer of Gitea's web pages to a client that does not ask
// for HTML: services/context/context_response.go.
func (c *call) notFound() {
	c.w.Header().Set("Content-Type", "text/plain;charset=utf-8")
	c.w.Header().Set("X-Content-Type-Options", "nosniff")
	c.w.WriteHeader(http.StatusNotFound)
	_, _ = c.w.Write([]byte("Not found.\n"))
}

func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
