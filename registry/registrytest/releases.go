package registrytest

import "strings"

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
