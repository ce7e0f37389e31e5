package response

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/fronts"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// whoAnswered decides who gave an answer, and by what name. code is that of the
// registry's form of an error, which the body holds, or nothing.
func whoAnswered(resp *http.Response, code string, body []byte) (by registry.Answerer, name string) {
	name = printable.Clean(resp.Header.Get("Server"))
	page := fronts.Of(resp.Header, body)
	if name == "" && page != nil {
		name = page.Name
	}
	switch {
	case ProvesRegistry(resp, code, body):
		return registry.ByRegistry, name
	case LedByRegistry(resp):
		return registry.ByStorage, name
	case ProvesPortal(resp):
		return registry.ByPortal, name
	case provesGitea(resp, body):
		return registry.ByGitea, "Gitea"
	case page != nil:
		by = registry.ByProxy
	default:
		by = registry.BySomebody
	}
	return by, passersbyOf(resp.Request).complete(resp, name, body)
}

// Passersby are the names of what answered in the place of registries, by their hosts. An
// answer without a body, as to a HEAD, may have no name: then that of an earlier answer
// counts. Any number of goroutines may use them.
type Passersby struct {
	// mu guards the field below.
	mu     sync.Mutex
	byHost map[string]string
}

type passersbyKey struct{}

// WithPassersby is ctx for requests whose answers have names in common.
func WithPassersby(ctx context.Context, p *Passersby) context.Context {
	return context.WithValue(ctx, passersbyKey{}, p)
}

func passersbyOf(req *http.Request) *Passersby {
	if req == nil {
		return nil
	}
	p, _ := req.Context().Value(passersbyKey{}).(*Passersby)
	return p
}

// complete notes the name of an answer. One that has neither a name nor a body gets that
// of an earlier one.
func (p *Passersby) complete(resp *http.Response, name string, body []byte) string {
	if p == nil {
		return name
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	host := endpoint.Canonical(resp.Request.URL)
	switch {
	case name != "":
		if p.byHost == nil {
			p.byHost = map[string]string{}
		}
		p.byHost[host] = name
	case len(body) == 0:
		return p.byHost[host]
	}
	return name
}

// registryCode is the form of the codes of the OCI distribution specification.
// Others have errors in such a list as well, with numbers or small letters.
var registryCode = regexp.MustCompile(`^[A-Z]+(_[A-Z]+)*$`)

// giteaTexts are what Gitea and Forgejo answer about packages in plain text,
// without the header of a registry: for an unknown owner, to a user who lacks the
// permission, and (Forgejo) to a wrong credential or for a full quota.
var giteaTexts = []string{"Not found.", "reqPackageAccess", "reqToken", "authGroup.Verify", forgejoQuota}

// forgejoQuota is Forgejo's answer, since 14.0.4, if the owner's quota is used up.
//
// Source: Forgejo 14.0.5 routers/api/packages/api.go, enforcePackagesQuota.
const forgejoQuota = "enforcePackagesQuota"

// ProvesRegistry reports an answer that only a registry gives: it has the
// header that all of them send, or an error in their form, or asks for a token in
// their way, or says what Gitea's packages say. Gitea's pages say some of that
// too, but they begin a session with it.
func ProvesRegistry(resp *http.Response, code string, body []byte) bool {
	if resp.Header.Get(HeaderVersion) != "" || registryCode.MatchString(code) {
		return true
	}
	if slices.ContainsFunc(Challenges(resp.Header.Values("WWW-Authenticate")), Challenge.byRegistry) {
		return true
	}
	kind := MediaType(resp.Header)
	if resp.Request != nil && resp.Request.Method == http.MethodHead && kind == "application/json" {
		return true // an answer to HEAD has no body to prove it
	}
	return kind == "text/plain" && resp.Header.Get("Set-Cookie") == "" && slices.Contains(giteaTexts, strings.TrimSpace(string(body)))
}

// byRegistry reports a challenge that only a registry makes: to get a token, or
// one of Gitea's own. Any web server may ask for a password.
func (c Challenge) byRegistry() bool {
	realm, err := url.Parse(c.Params["realm"])
	token := c.Scheme == "bearer" && c.Params["service"] != "" && err == nil && realm.Host != ""
	return token || c.ByGitea()
}

// provesGitea reports an answer of Gitea or Forgejo that is not about packages. It has
// the cookie of their sessions by default, the head of their pages, one of their texts,
// or an error in the form of their API.
func provesGitea(resp *http.Response, body []byte) bool {
	text := string(body)
	cookie := slices.ContainsFunc(resp.Header.Values("Set-Cookie"), func(c string) bool {
		return strings.HasPrefix(c, "i_like_gitea=") || strings.HasPrefix(c, "i_like_forgejo=")
	})
	return cookie || strings.Contains(text, `content="go,git,self-hosted,gitea`) || strings.Contains(text, "git,forge,forgejo") ||
		slices.Contains(giteaTexts, strings.TrimSpace(text)) || ofAPI(body)
}

// ofAPI reports an error in the form of the API: with the address of its
// description.
//
// Source: Gitea services/context/api.go, APIError.
func ofAPI(body []byte) bool {
	var wire struct {
		Message *string `json:"message"`
		URL     string  `json:"url"`
	}
	if json.Unmarshal(body, &wire) != nil || wire.Message == nil {
		return false
	}
	// Of a closed account it leaves the address out.
	return strings.HasSuffix(wire.URL, "/api/swagger") || registry.AccountOf(0, "", *wire.Message) != (registry.Account{})
}

// ProvesPortal reports a page for browsers where there was something else to be
// had, or the way to one.
func ProvesPortal(resp *http.Response) bool {
	status := resp.StatusCode
	switch {
	case status == http.StatusNetworkAuthenticationRequired:
		return true
	case isRedirect(status):
		to, err := resp.Location()
		return err == nil && !endpoint.OfRegistry(to)
	}
	return status < http.StatusMultipleChoices && MediaType(resp.Header) == "text/html"
}

// strayed is the first redirection on the way to resp that was not the
// registry's own, and led away from it: to another origin, or to what is no
// registry's. It is nil where there was none.
func strayed(resp *http.Response) *http.Response { return StrayedTo(resp.Request) }

// StrayedTo is that of the request to which it led.
func StrayedTo(req *http.Request) *http.Response {
	var first *http.Response
	for at := req; at != nil && at.Response != nil; at = at.Response.Request {
		by := at.Response
		if by.Request == nil || by.Header.Get(HeaderVersion) != "" {
			continue
		}
		if from := by.Request.URL; from.Scheme != at.URL.Scheme || endpoint.Canonical(from) != endpoint.Canonical(at.URL) || !endpoint.OfRegistry(at.URL) {
			first = by
		}
	}
	return first
}
