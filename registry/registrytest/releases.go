package registrytest

import (
	"net/http"
	"strings"
)

// gitea reports whether the call is to a Gitea, of whatever release.
func (c *call) gitea() bool {
	return c.config().Flavor == Gitea || c.config().Flavor == Gitea126
}

// secure sets the header that Gitea puts on every answer since 1.27:
// routers/common/middleware.go, SecurityHeadersHandler.
func (c *call) secure() {
	if c.config().Flavor == Gitea {
		c.w.Header().Set("X-Content-Type-Options", "nosniff")
	}
}

// offersBasic says whether the challenge names Basic too. Since 1.27 that is
// where nobody reads without a credential: container.go, APIUnauthorizedError.
func (c *call) offersBasic() bool {
	switch {
	case c.config().Auth != AuthDefault:
		return c.config().Auth == AuthBasic
	case c.config().Flavor != Gitea:
		return c.config().Flavor == Gitea126
	}
	_, path, _ := strings.Cut(normalPath(c.req), "/v2/")
	name, _, _ := strings.Cut(path, "/")
	owner := c.reg.accounts[strings.ToLower(unescape(name))]
	return c.config().RequireSignIn || owner != nil && owner.visibility != Public
}

// hidesLimited says whether a token for public things alone is refused by
// owners that are limited, as since 1.27 it is.
func (c *call) hidesLimited() bool { return c.config().Flavor == Gitea }

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
