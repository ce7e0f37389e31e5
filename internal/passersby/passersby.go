// Package passersby is, for tests, who may answer in the place of a registry, and
// what has to be said of each answer. The words are the same for every program.
package passersby

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Answerer is one that may answer in the place of a registry, with how it does.
type Answerer struct {
	Header http.Header
	Page   func(status int) string
}

// Serve answers a request with a status. A redirection leads to location.
func (a Answerer) Serve(w http.ResponseWriter, req *http.Request, status int, location string) {
	maps.Copy(w.Header(), a.Header)
	if location != "" {
		w.Header().Set("Location", location)
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="restricted"`)
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header()["Content-Type"] = nil // it would be guessed
	}
	w.WriteHeader(status)
	if req.Method != http.MethodHead {
		_, _ = w.Write([]byte(a.Page(status)))
	}
}

func html(server, format string) Answerer {
	return Answerer{header(server, "text/html"), func(status int) string {
		return strings.NewReplacer("STATUS", fmt.Sprint(status), "TEXT", http.StatusText(status)).Replace(format)
	}}
}

func header(server, contentType string) http.Header {
	h := http.Header{}
	if server != "" {
		h.Set("Server", server)
	}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return h
}

const nginxPage = "<html>\r\n<head><title>STATUS TEXT</title></head>\r\n<body>\r\n<center><h1>STATUS TEXT</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"

// All are those who may answer in the place of a registry.
var All = map[string]Answerer{
	"nginx":             html("nginx/1.22.1", nginxPage),
	"nginx, nameless":   html("", nginxPage),
	"haproxy":           html("", "<html><body><h1>STATUS TEXT</h1>\nNo server is available to handle this request.\n</body></html>\n"),
	"Caddy":             {header("Caddy", ""), func(int) string { return "" }},
	"Apache":            html("Apache/2.4.57 (Debian)", "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<title>STATUS TEXT</title>"),
	"Apache, nameless":  html("", "<html><head>\n<title>STATUS TEXT</title>\n</head><body>\n<hr>\n<address>Apache/2.4.57 (Debian) Server at localhost Port 80</address>\n</body></html>"),
	"Cloudflare":        html("cloudflare", "error code: STATUS"),
	"Traefik":           {header("", "text/plain; charset=utf-8"), traefikText},
	"Envoy":             {header("envoy", "text/plain"), func(int) string { return "upstream request timeout" }},
	"Gitea's web side":  {http.Header{"Content-Type": {"text/plain;charset=utf-8"}, "Set-Cookie": {"i_like_gitea=1; Path=/"}}, func(int) string { return "Not found.\n" }},
	"a page":            html("", "<html><title>welcome</title></html>"),
	"an API":            {header("", "application/json"), func(int) string { return `{"errors":[{"code":1000,"message":"no"}]}` }},
	"nothing to see":    {header("", ""), func(int) string { return "" }},
	"another registry?": {header("", "text/plain"), func(int) string { return "denied\n" }},
}

func traefikText(status int) string {
	switch status {
	case http.StatusNotFound:
		return "404 page not found\n"
	case http.StatusUnauthorized:
		return "401 Unauthorized\n"
	case 499:
		return "Client Closed Request"
	}
	return http.StatusText(status)
}

// Said is what a cause and a hint have to hold. A command, and where the
// credential came from, change nothing of it: nobody has looked at that.
type Said struct{ Cause, Hint string }

// expected is what must be said of each status; named has the name and the setting
// that go into it for each who may answer.
var expected = map[int]Said{
	200: {"", ""}, // below, by who answered
	301: {"answers 301 and redirects to https://elsewhere.example.com/v2/", "use elsewhere.example.com in place of git.example.com"},
	302: {"answers 302 and redirects /v2/ to https://git.example.com/user/login", "on the proxy, exempt /v2/ from the sign-in"},
	401: {"WHO in front of git.example.com, or in its place, requires a login of its own", "LOGIN"},
	403: {"WHO in front of git.example.com, or in its place, refuses the request before Gitea sees it", "DENY"},
	404: {"WHO in front of git.example.com, or in its place, has nothing at /v2/", "ROUTE"},
	405: {"WHO in front of git.example.com, or in its place, gave this answer", "have /v2/ passed on to Gitea"},
	408: {"WHO in front of git.example.com ended a request", "TIME"},
	413: {"a request body was larger than WHO in front of git.example.com allows", "SIZE"},
	429: {"too many requests for WHO", "--jobs 1"},
	499: {"WHO in front of git.example.com ended a request", "TIME"},
	500: {"WHO in front of git.example.com, or in its place, failed", "look at the log of the proxy, then of Gitea"},
	502: {"WHO in front of git.example.com does not reach Gitea", "ROUTE"},
	503: {"WHO in front of git.example.com does not reach Gitea", "ROUTE"},
	504: {"WHO in front of git.example.com ended a request", "TIME"},
	511: {"what answers at /v2/ is a page for browsers", "sign in with a browser first"},
	524: {"WHO in front of git.example.com ended a request", "TIME"},
}

// settings are what the owner of each has to change.
var settings = map[string]struct{ who, size, time, route, deny, login string }{
	"nginx":             {"nginx/1.22.1", "client_max_body_size 0;", "proxy_read_timeout 600s;", "location /v2/", "location /v2/", "auth_basic off;"},
	"nginx, nameless":   {"nginx", "client_max_body_size 0;", "client_body_timeout 600s;", "location /v2/", "limit_except", "auth_basic off;"},
	"haproxy":           {"haproxy", "http-request deny", "timeout server 10m", "use_backend", "path_beg /v2/", "http-request auth unless"},
	"Caddy":             {"Caddy", "max_size", "read_body", "reverse_proxy for /v2/*", "no respond", "basic_auth"},
	"Apache":            {"Apache/2.4.57 (Debian)", "LimitRequestBody 0", "ProxyTimeout", "ProxyPass /v2/", "Require all granted", "Require all granted"},
	"Apache, nameless":  {"Apache", "LimitRequestBody 0", "ProxyTimeout", "ProxyPass /v2/", "Require all granted", "Require all granted"},
	"Cloudflare":        {"cloudflare", "100 MB", "100 seconds", "DNS record", "rule that skips", "Cloudflare Access"},
	"Traefik":           {"Traefik or another proxy written in Go", "maxRequestBodyBytes", "respondingTimeouts.readTimeout", "PathPrefix(`/v2/`)", "ipAllowList", "basicAuth"},
	"Envoy":             {"envoy", "max_request_bytes", "timeout: 0s", "prefix /v2/", "RBAC", "ext_authz"},
	"Gitea's web side":  {"Gitea", "its limit on the size", "its limits on the time", "pass /v2/ on to Gitea", "let requests to /v2/ through", "exempt /v2/"},
	"a page":            {"something", "its limit on the size", "its limits on the time", "pass /v2/ on to Gitea", "let requests to /v2/ through", "exempt /v2/"},
	"an API":            {"something", "its limit on the size", "its limits on the time", "pass /v2/ on to Gitea", "let requests to /v2/ through", "exempt /v2/"},
	"nothing to see":    {"something", "its limit on the size", "its limits on the time", "pass /v2/ on to Gitea", "let requests to /v2/ through", "exempt /v2/"},
	"another registry?": {"something", "its limit on the size", "its limits on the time", "pass /v2/ on to Gitea", "let requests to /v2/ through", "exempt /v2/"},
}

// exceptions are the cells in which who answered changes more than a name.
var exceptions = map[string]map[int]Said{
	"Traefik":          {524: {"something in front of git.example.com ended a request", "its limits on the time"}}, // it is Cloudflare's alone
	"Gitea's web side": {404: {"git.example.com is a Gitea without a registry: packages are switched off", "ENABLED = true in [packages]"}},
}

// Misled is what must never be said of another's answer: what only the registry
// can say, and what changes nothing.
var Misled = regexp.MustCompile(`docker login|docker-credential-gitea|personal access token|the registry (refuses|failed|has|does)|no user or organisation|may not push|DOCKER_GITEA_TOKEN|SQLITE|MAX_OPEN|out of breath`)

// Statuses are those that there is something to be said of.
func Statuses() []int { return slices.Sorted(maps.Keys(expected)) }

// Location is where a redirection of a status leads, from a registry at host.
func Location(status int, host string) string {
	switch status {
	case http.StatusMovedPermanently:
		return "https://elsewhere.example.com/v2/"
	case http.StatusFound:
		return "https://" + host + "/user/login"
	}
	return ""
}

// Want is what has to be said of a status when who answers for host. It is nothing
// where that passes for the answer of a registry.
func Want(who string, status int, host string) (want Said, ok bool) {
	want = expected[status]
	if e, found := exceptions[who][status]; found {
		want = e
	}
	if status == http.StatusOK {
		if !strings.Contains(All[who].Header.Get("Content-Type"), "html") {
			return Said{}, false // JSON and nothing are what registries answer
		}
		want = Said{"what answers at /v2/ is a page for browsers", "exempt /v2/ from the sign-in"}
	}
	set := settings[who]
	fill := strings.NewReplacer("WHO", set.who, "SIZE", set.size, "TIME", set.time, "ROUTE", set.route, "DENY", set.deny, "LOGIN", set.login, "git.example.com", host)
	return Said{fill.Replace(want.Cause), fill.Replace(want.Hint)}, true
}
