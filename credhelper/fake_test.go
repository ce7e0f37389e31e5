package credhelper

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeGitea behaves as Gitea does where the helper meets it. Refresh tokens
// rotate, and with strict a used one is dead (INVALIDATE_REFRESH_TOKENS).
type fakeGitea struct {
	*httptest.Server
	host, caFile string
	// path is where the pages are, as with a ROOT_URL that has a path.
	path string
	// issuer replaces the origin in the discovery document, as a wrong
	// ROOT_URL does.
	issuer string
	strict bool
	// hold, when set, is called with every refresh between its being done and
	// its being answered.
	hold func(*http.Request)

	// scoped says that a token without read:user is told no name, as by Gitea
	// 1.27; discreet that the search for users finds nobody.
	scoped, discreet bool
	// older has no way to revoke a token by itself, as Gitea 1.26.
	older bool

	mu sync.Mutex // guards the fields below
	// life is an access token's, in seconds.
	life      int
	refusal   string // OAuth error code of every refresh
	broken    bool   // the token endpoint answers 500
	refreshes int
	current   string            // the last refresh token
	access    map[string]bool   // access tokens issued
	codes     map[string]string // challenge by code
	tokens    map[string]string // scope by personal access token
	username  string            // what it calls its user; empty for alice
	password  string            // alice's
	otp       string
	posts     []url.Values
	seen      []string // Authorization headers
	secrets   []string // paths that were given one
	realm     string   // the challenge's, if it is not its own
}

func newFakeGitea(t *testing.T, path string) *fakeGitea {
	t.Helper()
	g := &fakeGitea{
		path: path, life: 3600,
		access: map[string]bool{}, codes: map[string]string{}, tokens: map[string]string{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path+"/.well-known/openid-configuration", g.discovery)
	mux.HandleFunc("POST "+path+"/login/oauth/access_token", g.token)
	mux.HandleFunc("GET "+path+"/login/oauth/userinfo", g.userInfo)
	mux.HandleFunc("GET /v2/token", g.registryToken)
	mux.HandleFunc("GET /v2/", g.challenge)
	mux.HandleFunc("POST "+path+"/api/v1/users/alice/tokens", g.mint)
	mux.HandleFunc("GET "+path+"/api/v1/version", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"version": "1.26.0"})
	})
	mux.HandleFunc("GET "+path+"/api/v1/user", func(w http.ResponseWriter, r *http.Request) {
		if _, secret, basic := r.BasicAuth(); basic && !g.knows(secret) {
			refuse(w, http.StatusUnauthorized, apiError("invalid username, password or token"))
			return
		}
		refuse(w, http.StatusForbidden, apiError("token does not have at least one of required scope(s)"))
	})
	mux.HandleFunc("GET "+path+"/api/v1/users/search", func(w http.ResponseWriter, _ *http.Request) {
		if g.discreet {
			answer(w, map[string]any{"data": []any{}})
			return
		}
		answer(w, map[string]any{"data": []any{map[string]any{"id": 7, "login": "alice"}}})
	})
	mux.HandleFunc("DELETE "+path+"/api/v1/token", g.revokeToken)
	mux.HandleFunc("POST "+path+"/api/v1/user/applications/oauth2", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"client_id": "own-client"})
	})
	server, host, caFile := serve(t, func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.seen = append(g.seen, r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") != "" {
			g.secrets = append(g.secrets, r.URL.Path)
		}
		g.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
	g.mu.Lock() // as its handlers do, which read these
	defer g.mu.Unlock()
	g.Server, g.host, g.caFile = server, host, caFile
	return g
}

// serve answers requests, at a host that the authority in a file makes trusted.
func serve(t *testing.T, answer http.HandlerFunc) (server *httptest.Server, host, caFile string) {
	t.Helper()
	server = httptest.NewUnstartedServer(answer)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(caFile, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return server, strings.TrimPrefix(server.URL, "https://"), caFile
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// apiError is the form of the errors of Gitea's API.
func apiError(message string) string {
	return fmt.Sprintf(`{"message":%q,"url":"https://git.example.com/api/swagger"}`, message)
}

func refuse(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, body)
}

func (g *fakeGitea) discovery(w http.ResponseWriter, _ *http.Request) {
	root := g.URL + g.path
	if g.issuer != "" {
		root = g.issuer
	}
	answer(w, map[string]string{
		"issuer":                 root,
		"authorization_endpoint": root + "/login/oauth/authorize",
		"token_endpoint":         root + "/login/oauth/access_token",
		"userinfo_endpoint":      root + "/login/oauth/userinfo",
	})
}

func (g *fakeGitea) challenge(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	realm := cmp.Or(g.realm, g.URL+g.path+"/v2/token")
	g.mu.Unlock()
	w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="container_registry",scope="*"`)
	w.WriteHeader(http.StatusUnauthorized)
}

// token is the token endpoint: it verifies PKCE and rotates refresh tokens.
func (g *fakeGitea) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	g.mu.Lock()
	g.posts = append(g.posts, r.PostForm)
	status, body := g.grant(r.PostForm)
	hold := g.hold
	g.mu.Unlock()
	if hold != nil && r.PostForm.Get("grant_type") == "refresh_token" {
		hold(r)
	}
	refuse(w, status, body)
}

func (g *fakeGitea) grant(form url.Values) (status int, body string) {
	bad := func(code string) (int, string) {
		return http.StatusBadRequest, fmt.Sprintf(`{"error":%q,"error_description":"\u001b[2Jno\u202e"}`, code)
	}
	switch {
	case g.broken:
		return http.StatusInternalServerError, ""
	case form.Get("grant_type") == "refresh_token":
		g.refreshes++
		switch {
		case g.refusal != "":
			return bad(g.refusal)
		case g.strict && form.Get("refresh_token") != g.current:
			return bad("unauthorized_client")
		case !strings.HasPrefix(form.Get("refresh_token"), "refresh-"):
			return bad("invalid_grant")
		}
	default:
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if g.codes[form.Get("code")] != base64.RawURLEncoding.EncodeToString(sum[:]) {
			return bad("invalid_grant")
		}
	}
	access := "access-" + rand.Text()
	g.access[access], g.current = true, "refresh-"+rand.Text()
	data, _ := json.Marshal(map[string]any{
		"access_token": access, "token_type": "bearer", "expires_in": g.life, "refresh_token": g.current,
	})
	return http.StatusOK, string(data)
}

func (g *fakeGitea) userInfo(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if g.scoped {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	answer(w, map[string]string{"preferred_username": cmp.Or(g.username, "alice")})
}

func (g *fakeGitea) registryToken(w http.ResponseWriter, r *http.Request) {
	_, secret, _ := r.BasicAuth()
	g.mu.Lock()
	own, minted := g.tokens[secret]
	known := minted || g.access[secret]
	g.mu.Unlock()
	if !known {
		g.challenge(w, r)
		return
	}
	user, scope := 7, "all"
	if minted {
		scope = own
		switch own {
		case "ghost":
			user = -1
		case "actions":
			user = -2
		}
	}
	claims, _ := json.Marshal(map[string]any{"UserID": user, "Scope": scope})
	answer(w, map[string]string{"token": "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".c2ln"})
}

func (g *fakeGitea) revokeToken(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "token ")
	switch _, ok := g.tokens[token]; {
	case g.older:
		http.NotFound(w, r)
	case !ok:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		delete(g.tokens, token)
		w.WriteHeader(http.StatusNoContent)
	}
}

// knows reports a token that is known, whatever it may do.
func (g *fakeGitea) knows(secret string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, own := g.tokens[secret]
	return own || g.access[secret]
}

func (g *fakeGitea) mint(w http.ResponseWriter, r *http.Request) {
	_, password, _ := r.BasicAuth()
	g.mu.Lock()
	defer g.mu.Unlock()
	if password != g.password || r.Header.Get("X-Gitea-OTP") != g.otp {
		refuse(w, http.StatusUnauthorized, apiError("invalid username, password or token"))
		return
	}
	token := "minted-" + rand.Text()
	g.tokens[token] = "write:package"
	answer(w, map[string]string{"sha1": token})
}

// approve is the browser's part: it consents at the address, and returns where
// the browser is led.
func (g *fakeGitea) approve(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	if got := u.Scheme + "://" + u.Host + u.Path; got != g.URL+g.path+"/login/oauth/authorize" {
		t.Errorf("the browser is led to %s", got)
	}
	if query.Get("code_challenge_method") != "S256" || query.Get("response_type") != "code" {
		t.Errorf("authorization without PKCE: %v", query)
	}
	code := "code-" + rand.Text()
	g.mu.Lock()
	g.codes[code] = query.Get("code_challenge")
	g.mu.Unlock()
	back := url.Values{"code": {code}, "state": {query.Get("state")}}
	return query.Get("redirect_uri") + "/?" + back.Encode()
}

// expire makes the home's access token one that must be refreshed.
func expire(t *testing.T, m *userHome, host string) {
	t.Helper()
	h := &helper{System: System{LookupEnv: func(key string) (string, bool) { value, set := m.env[key]; return value, set }}, dir: m.env[envDir]}
	err := h.updateIndex(t.Context(), func(all index) {
		e := all[host]
		s := *e.Session
		s.Issued, s.Expiry = s.Issued.AddDate(0, 0, -1), s.Expiry.AddDate(0, 0, -1)
		e.Session = &s
		all[host] = e
	})
	if err != nil {
		t.Fatal(err)
	}
}
