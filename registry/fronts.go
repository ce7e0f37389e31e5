package registry

import (
	"net/http"
	"slices"
	"strings"
)

// front is software that stands in front of registries, with how it is known and what
// its owner changes so that a push comes through.
type front struct {
	name string
	// servers are what its Server header begins with, in small letters; headers
	// are others that it alone sends; pages are what its own pages of errors hold,
	// and texts are those that are nothing else.
	servers, headers, pages, texts []string
	// The settings: of the largest body, of the longest time, of where requests
	// go, of who is let through, and of a login of its own.
	size, time, route, deny, login string
}

// fronts are known by name. The last one stands for all others.
var fronts = []front{
	{
		name: "Cloudflare", servers: []string{"cloudflare"}, headers: []string{"Cf-Ray", "Cf-Mitigated"}, pages: []string{"error code: 5", "cf-error-details"},
		size:  "Cloudflare allows 100 MB in most plans: use a name of the server that does not pass through it (DNS only)",
		time:  "Cloudflare waits 100 seconds, longer in the plan Enterprise alone: use a name of the server that does not pass through it (DNS only)",
		route: "in Cloudflare, a DNS record that leads to the server of Gitea",
		deny:  "in Cloudflare, a rule that skips its checks for paths that begin with /v2/",
		login: "in Cloudflare Access, a policy that bypasses /v2/",
	},
	{
		name: "nginx", servers: []string{"nginx", "openresty", "tengine", "angie"}, pages: []string{"<hr><center>nginx", "<hr><center>openresty", "<hr><center>tengine", "<hr><center>Angie"},
		size:  "client_max_body_size 0; (in an ingress of Kubernetes, the annotation proxy-body-size)",
		time:  "proxy_read_timeout 600s; proxy_send_timeout 600s; client_body_timeout 600s; send_timeout 600s;",
		route: "location /v2/ with the proxy_pass of Gitea, at the root of the host even when Gitea is under a path",
		deny:  "in location /v2/, no deny, limit_except or return",
		login: "in location /v2/, auth_basic off; and no auth_request",
	},
	{
		name: "Caddy", servers: []string{"caddy"},
		size:  "raise max_size of request_body",
		time:  "raise read_body in the timeouts of servers, and the timeouts of the transport of reverse_proxy",
		route: "reverse_proxy for /v2/* at the root of the host",
		deny:  "no respond or abort that matches /v2/*",
		login: "basic_auth and forward_auth with a matcher that leaves out /v2/*",
	},
	{
		name: "haproxy", servers: []string{"haproxy"}, pages: []string{"<html><body><h1>"},
		size:  "no http-request deny by the size of a body",
		time:  "timeout client 10m, timeout server 10m, and no timeout http-request with option http-buffer-request",
		route: "use_backend of Gitea if { path_beg /v2/ }, and a server in it that is up",
		deny:  "http-request deny unless { path_beg /v2/ }",
		login: "http-request auth unless { path_beg /v2/ }",
	},
	{
		name: "Apache", servers: []string{"apache"}, pages: []string{"<address>Apache"},
		size:  "LimitRequestBody 0",
		time:  "ProxyTimeout 600, Timeout 600 and RequestReadTimeout body=0",
		route: "ProxyPass /v2/ with the address of Gitea, at the root of the host",
		deny:  "Require all granted in <Location /v2/>, and no rule of ModSecurity for it",
		login: "Require all granted in <Location /v2/>",
	},
	{
		name: "Envoy", servers: []string{"envoy", "istio-envoy"}, pages: []string{"upstream connect error or disconnect/reset", "no healthy upstream", "upstream request timeout", "RBAC: access denied"},
		size:  "raise max_request_bytes of the buffer filter",
		time:  "timeout: 0s on the route (it is 15 seconds by default), and stream_idle_timeout",
		route: "a route with the prefix /v2/ to Gitea",
		deny:  "in the policy of RBAC, allow /v2/",
		login: "in ext_authz or jwt_authn, leave out /v2/",
	},
	{
		// Go's own proxies answer with the name of the status, alone.
		name: "Traefik or another proxy written in Go", texts: []string{
			"404 page not found", "401 Unauthorized", "Forbidden", "Method Not Allowed", "Client Closed Request", "Request Timeout", "Request Entity Too Large",
			"Too Many Requests", "Internal Server Error", "Bad Gateway", "Service Unavailable", "no available server", "Gateway Timeout",
		},
		size:  "of Traefik, raise maxRequestBodyBytes of the middleware buffering",
		time:  "of Traefik, transport.respondingTimeouts.readTimeout: 0 of the entry point (it is 60 seconds by default), and responseHeaderTimeout",
		route: "of Traefik, a router with PathPrefix(`/v2/`) to a service that is up",
		deny:  "of Traefik, no ipAllowList or forwardAuth on the router of /v2/",
		login: "of Traefik, no basicAuth or forwardAuth on the router of /v2/",
	},
	{
		name: "Squid", servers: []string{"squid"}, headers: []string{"X-Squid-Error"},
		size: "request_body_max_size 0", time: "request_timeout and read_timeout", route: "let the host through", deny: "http_access allow for the host", login: "http_access allow for the host, before proxy_auth",
	},
	{
		size: "raise its limit on the size of a request body", time: "raise its limits on the time of a request", route: "pass /v2/ on to Gitea, at the root of the host even when Gitea is under a path",
		deny: "let requests to /v2/ through", login: "exempt /v2/ from it",
	},
}

// frontOf is the software that an answer is of, as far as its header or its
// page tells, or nil. What has a name in its header is no other.
func frontOf(header http.Header, body []byte) *front {
	server, text := strings.ToLower(header.Get("Server")), strings.TrimSpace(string(body))
	i := slices.IndexFunc(fronts, func(p front) bool {
		return slices.ContainsFunc(p.servers, func(name string) bool { return strings.HasPrefix(server, name) }) ||
			slices.ContainsFunc(p.headers, func(name string) bool { return header.Get(name) != "" }) ||
			server == "" && (slices.Contains(p.texts, text) || slices.ContainsFunc(p.pages, func(page string) bool { return strings.Contains(text, page) }))
	})
	if i < 0 {
		return nil
	}
	return &fronts[i]
}

// frontNamed is the software with a name or a Server header, or else the one
// that stands for all.
func frontNamed(name string) front {
	for _, p := range fronts {
		if p.name == name {
			return p
		}
	}
	if p := frontOf(http.Header{"Server": {name}}, nil); p != nil {
		return *p
	}
	return fronts[len(fronts)-1]
}
