package registrytest

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Ids of those who have no account: models/user/user_system.go.
const (
	ghostID   = -1
	actionsID = -2
)

// identity is who a request comes from. The zero value is nobody: not even
// the ghost that anonymous tokens stand for.
type identity struct {
	id      int64
	account *account // nil for the ghost and for workflows
	// scope limits what a token may do, when limited is set.
	scope   string
	limited bool
	// grants is the scope of a token of the distribution registry.
	grants []string
	// loginScope is what a token request of this identity is worth; empty
	// refuses it.
	loginScope string
}

func (i identity) anonymous() bool { return i.id == 0 || i.id == ghostID }

func (i identity) siteAdmin() bool { return i.account != nil && i.account.user.SiteAdmin }

func (i identity) memberOf(team Team) bool {
	return i.account != nil && slices.ContainsFunc(team.Members, func(name string) bool {
		return strings.EqualFold(name, i.account.name)
	})
}

var errBadCredential = errors.New("bad credential")

// authenticate tells who a request comes from: Basic first, then a token of
// the registry's own (routers/api/packages/api.go, ContainerRoutes). A request
// without a credential comes from nobody.
func (r *Registry) authenticate(req *http.Request) (identity, error) {
	header := req.Header.Get("Authorization")
	if header == "" {
		return identity{}, nil
	}
	if name, password, ok := req.BasicAuth(); ok {
		if r.config.Auth == AuthBearer || r.config.Flavor == Distribution && r.config.Auth != AuthBasic {
			return identity{}, errBadCredential
		}
		return r.login(name, password, req.Header.Get("X-Gitea-OTP"))
	}
	_, token, ok := strings.Cut(header, " ")
	if !ok || r.config.Auth == AuthBasic {
		return identity{}, errBadCredential
	}
	return r.verify(token)
}

// login verifies the content of a Basic header: services/auth/basic.go. A
// token is taken as the password, whatever the user name, or as the user name
// when the password is empty or "x-oauth-basic".
func (r *Registry) login(name, password, otp string) (identity, error) {
	token := password
	if password == "" || password == "x-oauth-basic" { //nolint:gosec // G101: a word of the protocol
		token = name
	}
	for _, a := range r.accounts {
		if a.user == nil {
			continue
		}
		for _, t := range a.user.Tokens {
			switch {
			case t.Value != token:
			case t.OAuth && r.config.Flavor != Gitea:
				return identity{id: a.id, account: a, loginScope: "all"}, nil
			default:
				return identity{id: a.id, account: a, scope: t.Scope, limited: true, loginScope: t.Scope}, nil
			}
		}
	}
	if token == r.config.ActionsToken && token != "" {
		return identity{id: actionsID}, nil
	}
	a := r.accounts[strings.ToLower(name)]
	if a == nil || a.user == nil || a.user.Password == "" || a.user.Password != password || a.user.SecurityKey || a.user.OTP != "" && a.user.OTP != otp {
		return identity{}, errBadCredential
	}
	return identity{id: a.id, account: a, loginScope: "all"}, nil
}

// claims are those of services/packages/auth.go, in its spelling; Access is
// the distribution registry's.
type claims struct {
	Expires   int64  `json:"exp"`
	NotBefore int64  `json:"nbf"`
	UserID    int64  `json:"UserID"`
	Scope     string `json:"Scope"`
	TaskID    int64  `json:"ActionsUserTaskID"`
	Access    string `json:"access,omitempty"`
}

const jwtHeader = `{"alg":"HS256","typ":"JWT"}`

var base64URL = base64.RawURLEncoding

// sign makes a JSON web token of c (RFC 7519), signed with HMAC-SHA256.
func (r *Registry) sign(c claims) string {
	payload, err := json.Marshal(c)
	if err != nil {
		return "" // a struct of numbers and strings always encodes
	}
	signed := base64URL.EncodeToString([]byte(jwtHeader)) + "." + base64URL.EncodeToString(payload)
	return signed + "." + base64URL.EncodeToString(r.mac(signed))
}

func (r *Registry) mac(signed string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	mac := hmac.New(sha256.New, []byte("registrytest"+strconv.Itoa(r.key)))
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// verify tells who a token of the registry's own was given to.
func (r *Registry) verify(token string) (identity, error) {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 {
		return identity{}, errBadCredential
	}
	mac, err := base64URL.DecodeString(token[dot+1:])
	if err != nil || !hmac.Equal(mac, r.mac(token[:dot])) {
		return identity{}, errBadCredential
	}
	_, encoded, _ := strings.Cut(token[:dot], ".")
	payload, err := base64URL.DecodeString(encoded)
	if err != nil {
		return identity{}, errBadCredential
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return identity{}, errBadCredential
	}
	if !r.config.Now().Before(time.Unix(c.Expires, 0)) {
		return identity{}, errBadCredential
	}
	who := identity{id: c.UserID, scope: c.Scope, limited: c.Scope != "", grants: strings.Fields(c.Access), loginScope: c.Scope}
	for _, a := range r.accounts {
		if a.id == c.UserID {
			who.account = a
		}
	}
	return who, nil
}

// getToken answers GET /v2/token: container.go, Authenticate. The scope and
// service asked for are ignored. Forgejo does not look at the scope of an access
// token, and gives those who have none a token without scope.
func (c *call) getToken() {
	who := c.who
	switch {
	case who.id == 0 && c.config().RequireSignIn:
		c.unauthorized()
		return
	case who.id == 0:
		who.id = ghostID
	case c.gitea() && !scopeAllows(who.loginScope, "read:package"):
		c.unauthorized()
		return
	}
	if c.forgejo() && !who.limited {
		who.loginScope = ""
	}
	now := c.config().Now()
	token := c.reg.sign(claims{
		Expires:   now.Add(c.config().TokenLifetime).Unix(),
		NotBefore: now.Unix(),
		UserID:    who.id,
		Scope:     who.loginScope,
	})
	c.w.Header().Set("Content-Type", "application/json;charset=utf-8")
	writeJSON(c.w, http.StatusOK, map[string]string{"token": token})
}

// unauthorized is the challenge: container.go, APIUnauthorizedError.
func (c *call) unauthorized() {
	if c.distribution() {
		c.challengeScope()
		return
	}
	header := c.w.Header()
	if c.config().Auth != AuthBasic {
		header.Add("WWW-Authenticate", `Bearer realm="`+c.realm()+`",service="container_registry",scope="*"`)
	}
	if c.offersBasic() {
		header.Add("WWW-Authenticate", `Basic realm="Gitea Container Registry"`)
	}
	c.fail(errUnauthorized)
}

// realm is where tokens are: at the root of the host that Gitea believes to
// have (modules/httplib/url.go, GuessCurrentHostURL), or below Forgejo's
// ROOT_URL with its path.
func (c *call) realm() string {
	root := c.config().RootURL
	if c.forgejo() {
		return cmp.Or(root, c.ownURL()) + "v2/token"
	}
	if u, err := url.Parse(root); err == nil && root != "" {
		return u.Scheme + "://" + u.Host + "/v2/token"
	}
	return c.origin() + "/v2/token"
}

// origin is the address that the request was sent to, by what a proxy says.
func (c *call) origin() string {
	if scheme := c.req.Header.Get("X-Forwarded-Proto"); scheme != "" {
		return scheme + "://" + c.req.Host
	}
	return strings.TrimSuffix(c.ownURL(), "/")
}

// ownURL is the address that the request arrived at.
func (c *call) ownURL() string {
	if c.req.TLS != nil {
		return "https://" + c.req.Host + "/"
	}
	return "http://" + c.req.Host + "/"
}

// denied is the refusal of somebody who is known: routers/api/packages/api.go,
// reqPackageAccess. It is a 401, never a 403.
func (c *call) denied() {
	c.w.Header().Set("WWW-Authenticate", `Basic realm="Gitea Package API"`)
	http.Error(c.w, "reqPackageAccess", http.StatusUnauthorized)
}

// allow answers and reports false unless the request may do what wanted says.
func (c *call) allow(wanted Access) bool {
	if c.config().Auth == AuthNone {
		return true
	}
	if c.who.limited {
		scope := "read:package"
		if wanted >= Write {
			scope = "write:package"
		}
		if !scopeAllows(c.who.scope, scope) {
			c.denied()
			return false
		}
		hidden := c.owner.visibility == Private || c.owner.visibility == Limited && c.hidesLimited()
		if publicOnly(c.who.scope) && hidden {
			http.Error(c.w, "reqToken", http.StatusForbidden)
			return false
		}
	}
	if c.reg.access(c.who, c.owner) < wanted && !c.who.siteAdmin() {
		c.denied()
		return false
	}
	return true
}
