package registrytest

import (
	"net/http"
	"strings"
)

// forgejo reports whether the call is to a Forgejo. What else differs in that
// is in auth.go (tokens, the realm) and uploads.go (ranges). Comments cite
// Forgejo's source of December 2024, between its releases 9 and 10.
func (c *call) forgejo() bool { return c.config().Flavor == Forgejo }

// badCredential answers a credential or token that is refused. Forgejo's answer
// has no challenge: routers/api/packages/api.go, verifyAuth.
func (c *call) badCredential() {
	if c.forgejo() {
		http.Error(c.w, "authGroup.Verify", http.StatusUnauthorized)
		return
	}
	c.unauthorized()
}

// noRoute answers for a path below an owner that is none of the registry's.
func (c *call) noRoute() {
	if c.forgejo() {
		c.w.WriteHeader(http.StatusNotFound)
		return
	}
	http.NotFound(c.w, c.req)
}

// accessFirst says whether the right to write is checked before the name. In
// Forgejo that depends on whether the name has slashes, which take another
// route: routers/api/packages/api.go, ContainerRoutes.
func (c *call) accessFirst(e endpoint) bool {
	return e.accessFirst && (!c.forgejo() || strings.Contains(c.image, "/"))
}
