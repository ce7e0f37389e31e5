package registrytest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// routeDistribution answers as the distribution registry 2.8 does: names by the
// specification, no owners, and a token that has to be good for the repository.
// Comments cite its source by file below registry.
func (c *call) routeDistribution(path string) {
	if path == "/token" {
		c.distributionToken()
		return
	}
	rest, ok := strings.CutPrefix(path+"/", "/v2/")
	if !ok {
		http.NotFound(c.w, c.req)
		return
	}
	c.owner = anyone
	path = "/" + strings.TrimSuffix(rest, "/")
	e, found := c.findEndpoint(distributionEndpoints, path)
	who, err := c.reg.authenticate(c.req)
	c.who = who
	if err != nil || !c.granted(e) {
		c.unauthorized()
		return
	}
	switch {
	case path == "/":
		c.ok(struct{}{})
	case path == "/_catalog":
		c.catalog()
	case !found:
		http.NotFound(c.w, c.req)
	case !specPattern.MatchString(c.image):
		c.fail(errNameInvalid)
	default:
		e.serve(c)
	}
}

// distributionEndpoints is [endpoints] for the distribution registry.
var distributionEndpoints = []endpoint{
	{methods: []string{http.MethodPost}, pattern: uploadsPattern, write: true, serve: (*call).beginSession},
	{methods: []string{http.MethodGet}, pattern: tagsPattern, serve: (*call).allTags},
	{methods: []string{http.MethodGet, http.MethodHead}, pattern: uploadPattern, write: true, serve: (*call).getUpload},
	{methods: []string{http.MethodPatch}, pattern: uploadPattern, write: true, serve: (*call).patchUpload},
	{methods: []string{http.MethodPut}, pattern: uploadPattern, write: true, serve: (*call).putUpload},
	{methods: []string{http.MethodDelete}, pattern: uploadPattern, write: true, serve: (*call).deleteUpload},
	{methods: []string{http.MethodHead, http.MethodGet}, pattern: blobPattern, serve: (*call).getRange},
	{methods: []string{http.MethodDelete}, pattern: blobPattern, write: true, serve: (*call).unlinkBlob},
	{methods: []string{http.MethodHead, http.MethodGet}, pattern: manifestPattern, serve: byReference((*call).getManifest)},
	{methods: []string{http.MethodPut}, pattern: manifestPattern, write: true, serve: byReference((*call).putManifest)},
	{methods: []string{http.MethodDelete}, pattern: manifestPattern, write: true, serve: byReference((*call).deleteRevision)},
}

// distribution reports whether the call is to a distribution registry.
func (c *call) distribution() bool { return c.config().Flavor == Distribution }

// anyone owns all repositories where there are no owners.
var anyone = &account{}

// specPattern is that of the specification, "Pulling manifests".
var specPattern = regexp.MustCompile(`\A[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\z`)

// granted reports whether the token's scope covers the request.
func (c *call) granted(e endpoint) bool {
	wanted := "pull"
	if e.write {
		wanted = "push"
	}
	if c.req.Method == http.MethodDelete && e.pattern == manifestPattern {
		wanted = "delete"
	}
	switch {
	case c.config().Auth == AuthNone:
		return true
	case c.who.anonymous():
		return false
	case c.config().Auth == AuthBasic || c.image == "":
		return true
	}
	// A mount reads the other repository: registry/handlers/app.go of
	// distribution, appendAccessRecords.
	if from := c.req.URL.Query().Get("from"); from != "" && !slices.Contains(c.who.grants, "repository:"+from+":pull") {
		return false
	}
	return slices.Contains(c.who.grants, "repository:"+c.image+":"+wanted)
}

// challengeScope asks for a token for what the request is about.
func (c *call) challengeScope() {
	challenge := `Bearer realm="` + c.origin() + `/token",service="registrytest"`
	if c.image != "" {
		challenge += `,scope="repository:` + c.image + `:pull,push"`
	}
	if c.config().Auth == AuthBasic {
		challenge = `Basic realm="registrytest"`
	}
	c.w.Header().Set("WWW-Authenticate", challenge)
	c.fail(*errUnauthorized.with(http.StatusUnauthorized, "authentication required"))
}

// distributionToken gives out a token for the scopes asked for, by GET with a
// Basic header or by POST of a form (OAuth 2).
func (c *call) distributionToken() {
	_ = c.form("scope") // parses the form
	name, password, ok := c.req.BasicAuth()
	if c.req.Method == http.MethodPost {
		name, password, ok = c.form("username"), c.form("password"), c.form("grant_type") == "password"
	}
	who, err := c.reg.login(name, password, "")
	if !ok || err != nil {
		c.fail(*errUnauthorized.with(http.StatusUnauthorized, "authentication required"))
		return
	}
	now := c.config().Now()
	token := c.reg.sign(claims{
		Expires:   now.Add(c.config().TokenLifetime).Unix(),
		NotBefore: now.Unix(),
		UserID:    who.id,
		Access:    strings.Join(expandScopes(c.req.Form["scope"]), " "),
	})
	c.ok(map[string]any{
		"token":        token,
		"access_token": token,
		"expires_in":   int(c.config().TokenLifetime / time.Second),
		"issued_at":    now.UTC().Format(time.RFC3339),
	})
}

// expandScopes turns "repository:a/b:pull,push" into one scope for each action.
func expandScopes(scopes []string) []string {
	var all []string
	for scope := range strings.FieldsSeq(strings.Join(scopes, " ")) {
		i := strings.LastIndexByte(scope, ':')
		if i < 0 {
			continue
		}
		for action := range strings.SplitSeq(scope[i+1:], ",") {
			all = append(all, fmt.Sprintf("%s:%s", scope[:i], action))
		}
	}
	return all
}
