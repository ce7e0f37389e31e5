package registrytest

import (
	"slices"
	"strings"
)

// Visibility says who may see an owner and pull from it.
type Visibility int

// The visibilities: everybody, signed-in users, members alone.
const (
	Public Visibility = iota
	Limited
	Private
)

// Access is what somebody may do with an owner's packages.
type Access int

// The levels of access, each including those before it.
const (
	NoAccess Access = iota
	Read
	Write
	Admin
	Owner
)

// User is a user account.
type User struct {
	Name       string
	Password   string
	Tokens     []AccessToken
	Visibility Visibility
	// SiteAdmin may do everything, as far as a token's scope reaches.
	SiteAdmin bool
	// Inactive users authenticate but may do nothing.
	Inactive bool
	// OTP is the passcode that must go with the password in X-Gitea-OTP.
	// Empty means no second factor.
	OTP string
	// SecurityKey refuses the password altogether (WebAuthn).
	SecurityKey bool
}

// AccessToken is a personal access token or an OAuth access token.
type AccessToken struct {
	Value string
	// Scope is "write:package", "read:package,public-only", "all" and so on.
	// The scope of an OAuth token is ignored by all but Gitea 1.27.
	Scope string
	OAuth bool
}

// Org is an organisation.
type Org struct {
	Name       string
	Visibility Visibility
	Teams      []Team
}

// Team is a team of an organisation.
type Team struct {
	// Members are user names.
	Members []string
	// Access is the team's own level, and Packages that of its packages unit.
	Access, Packages Access
}

// account is an owner of packages: a user or an organisation.
type account struct {
	id         int64
	name       string // lower case
	visibility Visibility
	user       *User
	org        *Org
}

// newAccounts numbers the accounts from 1 on, in the order of the
// configuration, and returns them by lower-case name.
func newAccounts(config Config) map[string]*account {
	accounts := make(map[string]*account)
	add := func(a account) {
		a.id = int64(len(accounts) + 1)
		accounts[a.name] = &a
	}
	for _, user := range config.Users {
		add(account{name: strings.ToLower(user.Name), visibility: user.Visibility, user: &user})
	}
	for _, org := range config.Orgs {
		add(account{name: strings.ToLower(org.Name), visibility: org.Visibility, org: &org})
	}
	return accounts
}

// access is what who may do with the packages of owner.
// services/context/package.go, determineAccessMode.
func (r *Registry) access(who identity, owner *account) Access {
	switch {
	case r.config.Auth == AuthNone:
		return Owner
	case r.config.RequireSignIn && who.anonymous():
		return NoAccess
	case who.account != nil && who.account.user.Inactive:
		return NoAccess
	case owner.org != nil:
		return orgAccess(who, owner)
	case who.account == owner:
		return Owner
	case owner.visibility == Public, owner.visibility == Limited && !who.anonymous():
		return Read
	}
	return NoAccess
}

func orgAccess(who identity, owner *account) Access {
	best := NoAccess
	for _, team := range owner.org.Teams {
		if who.memberOf(team) {
			best = max(best, Read, team.Access, team.Packages)
		}
	}
	visible := owner.visibility == Public || owner.visibility == Limited && !who.anonymous() || who.siteAdmin()
	if best == NoAccess && visible {
		return Read
	}
	return best
}

// mayMount reports whether who may take a blob from a package of owner.
// models/packages/package_blob.go, IsBlobAccessibleForUser: limited owners are
// open even to the anonymous.
func (r *Registry) mayMount(who identity, owner *account) bool {
	if r.config.Auth == AuthNone || who.siteAdmin() || who.account == owner || owner.visibility != Private {
		return true
	}
	return owner.org != nil && slices.ContainsFunc(owner.org.Teams, func(t Team) bool {
		return who.memberOf(t) && max(t.Access, t.Packages) >= Read
	})
}

// scopeAllows reports whether the scope of a token includes wanted, one of
// "read:package" and "write:package".
func scopeAllows(scope, wanted string) bool {
	parts := strings.Split(scope, ",")
	return slices.Contains(parts, wanted) || slices.Contains(parts, "all") ||
		wanted == "read:package" && slices.Contains(parts, "write:package")
}

func publicOnly(scope string) bool {
	return slices.Contains(strings.Split(scope, ","), "public-only")
}
