// Package fronts knows the software that stands in front of registries: by what
// its answers are recognised, and what its owner changes so that a push comes
// through. Whether an answer is of such software at all, package response decides.
//
// It takes the header and the body of an answer, or a name, and gives a [Front]; it
// imports nothing of the project. fronts.go is all of it.
package fronts

import (
	"net/http"
	"slices"
	"strings"
)

// Front is software that stands in front of registries, with how it is known and what
// its owner changes so that a push comes through.
type Front struct {
	// Name is how it is called; empty for the one that stands for all.
	Name string
	// servers are what its Server header begins with, in small letters; headers
	// are others that it alone sends; pages are what its own pages of errors hold,
	// and texts are those that are nothing else.
	servers, headers, pages, texts []string
	// The settings: of the largest body, of the longest time, of where requests
	// go, of who is let through, and of a login of its own.
	Size, Time, Route, Deny, Login string
}

// All are known by name. The last one stands for all others.
var All = []Front{
	{
		Name: "Cloudflare", servers: []string{"cloudflare"}, headers: []string{"Cf-Ray", "Cf-Mitigated"}, pages: []string{"error code: 5", "cf-error-details"},
		Size:  "Cloudflare allows 100 MB in most plans: use a name of the server that does not pass through it (DNS only)",
		Time:  "Cloudflare waits 100 seconds, longer in the plan Enterprise alone: use a name of the server that does not pass through it (DNS only)",
		Route: "in Cloudflare, a DNS record that leads to the server of Gitea",
		Deny:  "in Cloudflare, a rule that skips its checks for paths that begin with /v2/",
		Login: "in Cloudflare Access, a policy that bypasses /v2/",
	},
	{
		Name: "nginx", servers: []string{"nginx", "openresty", "tengine", "angie"}, pages: []string{"<hr><center>nginx", "<hr><center>openresty", "<hr><center>tengine", "<hr><center>Angie"},
		Size:  "client_max_body_size 0; (in an ingress of Kubernetes, the annotation proxy-body-size)",
		Time:  "proxy_read_timeout 600s; proxy_send_timeout 600s; client_body_timeout 600s; send_timeout 600s;",
		Route: "location /v2/ with the proxy_pass of Gitea, at the root of the host even when Gitea is under a path",
		Deny:  "in location /v2/, no deny, limit_except or return",
		Login: "in location /v2/, auth_basic off; and no auth_request",
	},
	{
		Name: "Caddy", servers: []string{"caddy"},
		Size:  "raise max_size of request_body",
		Time:  "raise read_body in the timeouts of servers, and the timeouts of the transport of reverse_proxy",
		Route: "reverse_proxy for /v2/* at the root of the host",
		Deny:  "no respond or abort that matches /v2/*",
		Login: "basic_auth and forward_auth with a matcher that leaves out /v2/*",
	},
	{
		Name: "haproxy", servers: []string{"haproxy"}, pages: []string{"<html><body><h1>"},
		Size:  "no http-request deny by the size of a body",
		Time:  "timeout client 10m, timeout server 10m, and no timeout http-request with option http-buffer-request",
		Route: "use_backend of Gitea if { path_beg /v2/ }, and a server in it that is up",
		Deny:  "http-request deny unless { path_beg /v2/ }",
		Login: "http-request auth unless { path_beg /v2/ }",
	},
	{
		Name: "Apache", servers: []string{"apache"}, pages: []string{"<address>Apache"},
		Size:  "LimitRequestBody 0",
		Time:  "ProxyTimeout 600, Timeout 600 and RequestReadTimeout body=0",
		Route: "ProxyPass /v2/ with the address of Gitea, at the root of the host",
		Deny:  "Require all granted in <Location /v2/>, and no rule of ModSecurity for it",
		Login: "Require all granted in <Location /v2/>",
	},
	{
		Name: "Envoy", servers: []string{"envoy", "istio-envoy"}, pages: []string{"upstream connect error or disconnect/reset", "no healthy upstream", "upstream request timeout", "RBAC: access denied"},
		Size:  "raise max_request_bytes of the buffer filter",
		Time:  "timeout: 0s on the route (it is 15 seconds by default), and stream_idle_timeout",
		Route: "a route with the prefix /v2/ to Gitea",
		Deny:  "in the policy of RBAC, allow /v2/",
		Login: "in ext_authz or jwt_authn, leave out /v2/",
	},
	{
		// Go's own proxies answer with the name of the status, alone.
		Name: "Traefik or another proxy written in Go", texts: []string{
			"404 page not found", "401 Unauthorized", "Forbidden", "Method Not Allowed", "Client Closed Request", "Request Timeout", "Request Entity Too Large",
			"Too Many Requests", "Internal Server Error", "Bad Gateway", "Service Unavailable", "no available server", "Gateway Timeout",
		},
		Size:  "of Traefik, raise maxRequestBodyBytes of the middleware buffering",
		Time:  "of Traefik, transport.respondingTimeouts.readTimeout: 0 of the entry point (it is 60 seconds by default), and responseHeaderTimeout",
		Route: "of Traefik, a router with PathPrefix(`/v2/`) to a service that is up",
		Deny:  "of Traefik, no ipAllowList or forwardAuth on the router of /v2/",
		Login: "of Traefik, no basicAuth or forwardAuth on the router of /v2/",
	},
	{
		Name: "Squid", servers: []string{"squid"}, headers: []string{"X-Squid-Error"},
		Size: "request_body_max_size 0", Time: "request_timeout and read_timeout", Route: "let the host through", Deny: "http_access allow for the host", Login: "http_access allow for the host, before proxy_auth",
	},
	{
		Size: "raise its limit on the size of a request body", Time: "raise its limits on the time of a request", Route: "pass /v2/ on to Gitea, at the root of the host even when Gitea is under a path",
		Deny: "let requests to /v2/ through", Login: "exempt /v2/ from it",
	},
}

// Of is the software that an answer is of, as far as its header or its
// page tells, or nil. What has a name in its header is no other.
func Of(header http.Header, body []byte) *Front {
	server, text := strings.ToLower(header.Get("Server")), strings.TrimSpace(string(body))
	i := slices.IndexFunc(All, func(p Front) bool {
		return slices.ContainsFunc(p.servers, func(name string) bool { return strings.HasPrefix(server, name) }) ||
			slices.ContainsFunc(p.headers, func(name string) bool { return header.Get(name) != "" }) ||
			server == "" && (slices.Contains(p.texts, text) || slices.ContainsFunc(p.pages, func(page string) bool { return strings.Contains(text, page) }))
	})
	if i < 0 {
		return nil
	}
	return &All[i]
}

// Named is the software with a name or a Server header, or else the one
// that stands for all.
func Named(name string) Front {
	for _, p := range All {
		if p.Name == name {
			return p
		}
	}
	if p := Of(http.Header{"Server": {name}}, nil); p != nil {
		return *p
	}
	return All[len(All)-1]
}

// What proxies answer to a request that took too long and has no name in
// net/http: nginx's word, which Traefik has taken over, and Cloudflare's.
const (
	StatusClientClosed      = 499
	StatusCloudflareTimeout = 524
)
