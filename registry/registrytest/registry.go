// Package registrytest is a container registry for tests. It lives in memory, answers as
// Gitea 1.27 does (or 1.26, Forgejo, or the distribution registry), and fails on demand.
// It is for tests alone: it stores nothing on disk, and makes only the checks that a
// client can observe.
//
// # Where to begin
//
// [Start] serves over TLS for the length of a test, with a certificate of its own:
//
//	srv := registrytest.Start(t, registrytest.Config{})
//	client, err := remote.New(srv.Config(), nil)
//	…
//	srv.Registry.Fault(registrytest.Rule{Method: "PATCH", Skip: 1, Times: 1, Action: registrytest.Cut{After: 1000}})
//
// [Registry.Fault] makes chosen requests fail, and the methods beside it show what the
// registry holds and was asked. [Listen] serves outside a test. A [Registry] by itself is
// an [http.Handler]. A program that pushes but does not care how tests with [Client], a
// fake of registry.RegistryClient.
//
// # Errors
//
// The registry answers with the status codes and codes of the real one. [Start] and
// [StartPlain] fail the test themselves.
//
// # Concurrency
//
// A Registry, a [Server] and a Client are safe for concurrent use; none may be copied.
//
// # How the files fit together
//
// A request passes, from the outside in,
//
//   - log.go: the request log and the counters,
//   - faults.go, actions.go and unprompted.go: the [Rule] that applies, if any,
//   - proxy.go: the body limit of a proxy in front of the registry,
//   - routes.go: the route, and the checks before it in Gitea's order,
//   - auth.go and accounts.go: who asks, and what they may do,
//   - uploads.go, blobs.go, manifests.go, listing.go: the endpoints,
//   - store.go: what is kept; respond.go: headers and error bodies.
//
// releases.go has what differs in other releases of Gitea and in Forgejo;
// distribution.go and content.go are the distribution registry.
// server.go and tls.go start a server, inspect.go shows what is held, client.go is the
// fake client.
//
// Comments cite Gitea's source by file below routers/api/packages/container
// (version 1.27.3) unless they give a whole path.
package registrytest

import (
	"net/http"
	"sync"
	"time"
)

// Flavor is the server that is imitated.
type Flavor int

// The flavors.
const (
	// Gitea is Gitea 1.27.
	Gitea Flavor = iota
	// Forgejo differs in its challenge, in the Range of an upload's status, and
	// in how it refuses credentials, which is without a challenge.
	Forgejo
	// Distribution is the registry of the CNCF, release 2.8: sessions survive a
	// cut, names and digests follow the specification, tokens carry a scope.
	Distribution
	// Gitea126 is Gitea 1.26, which offers Basic authentication to everybody
	// and does not limit OAuth tokens to their scope.
	Gitea126
)

// Auth says which credentials the registry asks for.
type Auth int

// The ways to authenticate.
const (
	// AuthDefault is the flavor's own: Gitea and Forgejo offer Bearer and take
	// Basic too, which Gitea offers where nobody may read without a credential;
	// Distribution takes Bearer alone.
	AuthDefault Auth = iota
	// AuthNone lets everybody do everything.
	AuthNone
	// AuthBasic offers and takes Basic alone.
	AuthBasic
	// AuthBearer offers and takes Bearer alone.
	AuthBearer
)

// The account and token that exist when [Config] names no users.
const (
	Username = "alice"
	Password = "correct-horse-battery"
	Token    = "gta_0123456789abcdef"
)

// Config describes a registry. The zero value is a Gitea with the user
// [Username], who has [Password] and [Token].
type Config struct {
	Flavor Flavor
	Auth   Auth
	// Users and Orgs own packages. Nil Users means the one default user.
	Users []User
	Orgs  []Org
	// Renamed maps former owner names to present ones.
	Renamed map[string]string
	// ActionsToken is the token of a running workflow; empty means none runs.
	ActionsToken string
	// RequireSignIn refuses anonymous pulls (REQUIRE_SIGNIN_VIEW).
	RequireSignIn bool
	// RootURL is what the server believes its address to be, ending in "/".
	// Empty means that it believes the request.
	RootURL string
	// OCIOnly refuses Docker's media types of manifests, as zot does.
	OCIOnly bool
	// Quota limits what owners may store.
	Quota Quota
	// Proxy stands in front of the registry when it is not nil.
	Proxy *Proxy
	// DiscardAbove keeps only digest and size of blobs of more bytes than
	// that. Zero keeps everything in memory.
	DiscardAbove int64
	// TokenLifetime is how long a token of the registry's own is valid. Zero
	// means the flavor's: 24 hours, or 5 minutes for Distribution.
	TokenLifetime time.Duration
	// Now is the clock. Nil means [time.Now].
	Now func() time.Time
}

// Quota limits what is stored, by Gitea's rules: sizes are checked after the
// upload, nothing applies to site admins. Zero fields mean no limit.
type Quota struct {
	// BlobSize is the size of one blob in bytes (LIMIT_SIZE_CONTAINER).
	BlobSize int64
	// OwnerSize is the bytes of an owner's files, where a layer counts once
	// for each tag that has it (LIMIT_TOTAL_OWNER_SIZE).
	OwnerSize int64
	// OwnerCount is the number of an owner's manifests (LIMIT_TOTAL_OWNER_COUNT).
	OwnerCount int
}

// Registry is a registry in memory. It is safe for concurrent use.
type Registry struct {
	config   Config
	accounts map[string]*account
	handler  http.Handler

	store  store
	faults faults
	log    requestLog

	// mu guards key.
	mu sync.Mutex
	// key signs tokens; a new one revokes all that were given out.
	key int
}

// New returns an empty registry. It must not be copied.
func New(config Config) *Registry {
	if config.Users == nil {
		config.Users = []User{{Name: Username, Password: Password, Tokens: []AccessToken{{Value: Token, Scope: "write:package"}}}}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.TokenLifetime == 0 {
		config.TokenLifetime = 24 * time.Hour
		if config.Flavor == Distribution {
			config.TokenLifetime = 5 * time.Minute
		}
	}
	r := &Registry{config: config, accounts: newAccounts(config)}
	r.store.init(config.DiscardAbove)
	var handler http.Handler = http.HandlerFunc(r.route)
	if config.Proxy != nil {
		handler = config.Proxy.handler(handler)
	}
	r.handler = r.log.handler(r.faults.handler(handler))
	return r
}

// ServeHTTP implements [http.Handler].
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.handler.ServeHTTP(w, req) }

// RevokeTokens makes every token that the registry gave out invalid, as if
// they had expired. Credentials stay good.
func (r *Registry) RevokeTokens() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key++
}
