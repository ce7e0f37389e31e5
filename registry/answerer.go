package registry

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/fronts"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// Answerer is who gave an answer. It is decided once, by [whoAnswered], from what
// proves it; what an answer means, whether it is worth asking again, and what is
// said of it all go by that. The zero value is of an error that is no answer.
type Answerer int

// Who may have given an answer.
const (
	// ByAPI: the API of a Gitea or Forgejo, or another of its pages, which was
	// asked.
	ByAPI Answerer = iota + 1
	// ByRegistry: the registry itself, or its token service.
	ByRegistry
	// ByGitea: the pages of a Gitea or Forgejo, or its API, and not its registry.
	ByGitea
	// ByStorage: where the registry keeps its blobs, to which it led.
	ByStorage
	// ByPortal: a page for browsers, or the way to one: a sign-in in front of the
	// registry or of a network.
	ByPortal
	// ByProxy: software that mostly stands in front of others, and says its name.
	ByProxy
	// BySomebody: nothing proves who: another proxy, or another web server.
	BySomebody
)

// AnswerError makes an [*Error] of an answer that is no success, or none that the
// registry or Gitea would give. It reads a bounded part of the body and leaves
// closing it to the caller.
func AnswerError(op string, resp *http.Response) *Error { return responseError(op, resp.Request, resp) }

// RegistryError is nil when the answer to a request for /v2/ is that of a registry
// which lets the client in. It is an [ErrUnauthorized] of one that wants a
// credential.
func RegistryError(resp *http.Response) error { return registryError(resp) }

// foreign reports an answer of another than who was asked.
func (a Answerer) foreign() bool { return a > ByRegistry }

// whoAnswered decides who gave an answer, and by what name. code is that of the
// registry's form of an error, which the body holds, or nothing.
func whoAnswered(resp *http.Response, code string, body []byte) (by Answerer, name string) {
	name = printable.Clean(resp.Header.Get("Server"))
	page := fronts.Of(resp.Header, body)
	if name == "" && page != nil {
		name = page.Name
	}
	switch {
	case provesRegistry(resp, code, body):
		return ByRegistry, name
	case ledByRegistry(resp):
		return ByStorage, name
	case provesPortal(resp):
		return ByPortal, name
	case provesGitea(resp, body):
		return ByGitea, "Gitea"
	case page != nil:
		return ByProxy, name
	}
	return BySomebody, name
}

// registryCode is the form of the codes of the OCI distribution specification.
// Others have errors in such a list as well, with numbers or small letters.
var registryCode = regexp.MustCompile(`^[A-Z]+(_[A-Z]+)*$`)

// giteaTexts are what Gitea and Forgejo answer about packages in plain text,
// without the header of a registry: to an unknown owner, to whom they take for
// somebody who may not, and (Forgejo) to a wrong credential.
var giteaTexts = []string{"Not found.", "reqPackageAccess", "reqToken", "authGroup.Verify"}

// provesRegistry reports an answer that only a registry gives: it has the
// header that all of them send, or an error in their form, or asks for a token in
// their way, or says what Gitea's packages say. Gitea's pages say some of that
// too, but they begin a session with it.
func provesRegistry(resp *http.Response, code string, body []byte) bool {
	if resp.Header.Get(headerVersion) != "" || registryCode.MatchString(code) {
		return true
	}
	if slices.ContainsFunc(parseChallenges(resp.Header.Values("WWW-Authenticate")), challenge.byRegistry) {
		return true
	}
	kind := mediaType(resp.Header)
	if resp.Request != nil && resp.Request.Method == http.MethodHead && kind == "application/json" {
		return true // an answer to HEAD has no body to prove it
	}
	return kind == "text/plain" && resp.Header.Get("Set-Cookie") == "" && slices.Contains(giteaTexts, strings.TrimSpace(string(body)))
}

// byRegistry reports a challenge that only a registry makes: to get a token, or
// one of Gitea's own. Any web server may ask for a password.
func (c challenge) byRegistry() bool {
	realm, err := url.Parse(c.params["realm"])
	token := c.scheme == "bearer" && c.params["service"] != "" && err == nil && realm.Host != ""
	return token || c.byGitea()
}

// provesGitea reports an answer of Gitea or Forgejo that is not about packages:
// with the cookie that their sessions have by default, with what stands in the
// head of their pages, with their texts and a session of another name, or with an
// error in the form of their API.
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
	return json.Unmarshal(body, &wire) == nil && wire.Message != nil && strings.HasSuffix(wire.URL, "/api/swagger")
}

// provesPortal reports a page for browsers where there was something else to be
// had, or the way to one.
func provesPortal(resp *http.Response) bool {
	status := resp.StatusCode
	switch {
	case status == http.StatusNetworkAuthenticationRequired:
		return true
	case isRedirect(status):
		to, err := resp.Location()
		return err == nil && !endpoint.OfRegistry(to)
	}
	return status < http.StatusMultipleChoices && mediaType(resp.Header) == "text/html"
}

// strayed is the first redirection on the way to resp that was not the
// registry's own, and led away from it: to another origin, or to what is no
// registry's. It is nil where there was none.
func strayed(resp *http.Response) *http.Response { return strayedTo(resp.Request) }

// strayedTo is that of the request to which it led.
func strayedTo(req *http.Request) *http.Response {
	var first *http.Response
	for at := req; at != nil && at.Response != nil; at = at.Response.Request {
		by := at.Response
		if by.Request == nil || by.Header.Get(headerVersion) != "" {
			continue
		}
		if from := by.Request.URL; from.Scheme != at.URL.Scheme || endpoint.Canonical(from) != endpoint.Canonical(at.URL) || !endpoint.OfRegistry(at.URL) {
			first = by
		}
	}
	return first
}
