package registry

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// Account is what Gitea's own API says of a credential. It tells apart what
// the registry answers with the same 401: a wrong password, a second factor,
// and a token without the scope for packages. The zero value is an API that
// says nothing.
type Account struct {
	// Status is the API's answer: 200 for a credential that may ask who it
	// is, 403 for a good token without that scope, 401 for a refused one.
	Status int
	// Name is the user's, with status 200.
	Name string
	// SecurityKey: the account has one, so that its password is never enough.
	SecurityKey bool
	// Barred: the account is not activated, or forbidden to sign in, or has to
	// have a second factor first, which Forgejo can want of all since 13.
	Barred bool
	// Factors are how many were given of a login with a password: 1 is the
	// password alone, and 2 that with a one-time code. Any other credential has none.
	Factors int
}

// AccountOf is what an answer of the API to the question who one is tells of the
// account: by its status, with the name in it or with its message.
func AccountOf(status int, name, message string) Account {
	return Account{
		Status: status, Name: printable.Clean(name),
		// The latter is Forgejo's.
		SecurityKey: strings.Contains(message, "WebAuthn") || strings.Contains(message, "security keys enrolled"),
		Barred: strings.Contains(message, "not activated") || strings.Contains(message, "prohibited from signing in") ||
			strings.Contains(message, "requires users to enable two-factor authentication"),
	}
}

// Identity is who a registry takes the client for, as its token tells.
type Identity struct {
	// UserID is the number of the user; Anonymous and Actions tell the two
	// special ones apart. Zero where the registry does not tell.
	UserID int64
	// Anonymous: no credential was used.
	Anonymous bool
	// Actions: the token of a Gitea Actions job.
	Actions bool
	// Scope is that of the personal access token, "all" for a password.
	Scope string
	// Expires is when the registry token ends; zero where it does not tell.
	Expires time.Time
}

// CanPush reports whether the token's scope allows pushing; the owner's
// permissions are another matter. An unknown scope counts as allowing.
func (i Identity) CanPush() bool {
	if i.Scope == "" && i.Actions {
		return false
	}
	return i.allows("all", "write:package")
}

// CanPull reports whether the token's scope allows pulling what is not public.
func (i Identity) CanPull() bool { return i.allows("all", "write:package", "read:package") }

// allows reports whether one of the scopes is among the token's.
func (i Identity) allows(scopes ...string) bool {
	if i.Anonymous || i.Scope == "" {
		return !i.Anonymous
	}
	for own := range strings.SplitSeq(i.Scope, ",") {
		if slices.Contains(scopes, strings.TrimSpace(own)) {
			return true
		}
	}
	return false
}

// claims are those of Gitea's registry token (services/packages/auth.go).
type claims struct {
	Expires int64  `json:"exp"`
	UserID  int64  `json:"UserID"` //nolint:tagliatelle // Gitea's spelling
	Scope   string `json:"Scope"`  //nolint:tagliatelle // Gitea's spelling
}

// parseClaims reads the payload of a JWT without verifying it.
func parseClaims(jwt string) (claims, bool) {
	var c claims
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return c, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return claims{}, false
	}
	return c, true
}

// ghostUser is Gitea's number for nobody.
const ghostUser = -1

// ParseIdentity reads the token that a registry gives for a credential. It is
// not verified: the registry is the judge, this is for advice alone. A token of
// another kind than Gitea's gives the zero Identity.
func ParseIdentity(jwt string) Identity {
	c, ok := parseClaims(jwt)
	if !ok {
		return Identity{}
	}
	id := Identity{UserID: c.UserID, Scope: printable.Clean(c.Scope), Anonymous: c.UserID == ghostUser, Actions: c.UserID == -2}
	if c.Expires > 0 {
		id.Expires = time.Unix(c.Expires, 0)
	}
	return id
}
