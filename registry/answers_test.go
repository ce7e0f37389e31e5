package registry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// answerer is one that may answer in the place of a registry, with how it does.
type answerer struct {
	header http.Header
	page   func(status int) string
}

func html(server, format string) answerer {
	return answerer{header(server, "text/html"), func(status int) string {
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

// answerers are those who may answer in the place of a registry.
var answerers = map[string]answerer{
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

// passerby answers every request in the same way.
type passerby struct {
	answerer
	status   int
	location string
}

func (s passerby) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = req.Body.Close()
	}
	h := s.header.Clone()
	if s.location != "" {
		h.Set("Location", s.location)
	}
	if s.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="restricted"`)
	}
	body := s.page(s.status)
	if req.Method == http.MethodHead {
		body = ""
	}
	return &http.Response{
		StatusCode: s.status, Status: fmt.Sprint(s.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}, nil
}

// commands are what people do at a registry.
func commands(t *testing.T) map[string]func(context.Context, *registry.Client) error {
	t.Helper()
	dir := writeLayout(t, []byte("layer"))
	return map[string]func(context.Context, *registry.Client) error{
		"push": func(_ context.Context, c *registry.Client) error {
			return push(t, c, dir, registry.PushOptions{Retries: -1}) //nolint:contextcheck // it has that of the test
		},
		"check": func(ctx context.Context, c *registry.Client) error {
			for _, check := range c.Check(ctx, "alice/app") {
				if check.Outcome == registry.OutcomeFailed {
					return check.Err
				}
			}
			return nil
		},
		"health": func(ctx context.Context, c *registry.Client) error { return c.Health(ctx) },
		"login":  func(ctx context.Context, c *registry.Client) error { return c.Authenticate(ctx, secretAuth) },
		"ls":     func(ctx context.Context, c *registry.Client) error { _, err := c.Repositories(ctx); return err },
		"tags":   func(ctx context.Context, c *registry.Client) error { _, err := c.Tags(ctx, "alice/app"); return err },
		"inspect": func(ctx context.Context, c *registry.Client) error {
			_, err := c.Manifest(ctx, "alice/app", "1")
			return err
		},
		"rm": func(ctx context.Context, c *registry.Client) error { return c.DeleteManifest(ctx, "alice/app", "1") },
	}
}

// said is what a cause and a hint have to hold. A command, and where the
// credential came from, change nothing of it: nobody has looked at that.
type said struct{ cause, hint string }

// expected is what is said of each status, whoever answered: the name and the
// setting that go into it are in named.
var expected = map[int]said{
	200: {"", ""}, // below, by who answered
	301: {"answers 301 and leads to https://elsewhere.example.com/v2/", "use elsewhere.example.com in place of git.example.com"},
	302: {"answers 302 and leads from /v2/ to https://git.example.com/user/login", "on the proxy, exempt /v2/ from the sign-in"},
	401: {"WHO in front of git.example.com, or in its place, wants a login of its own", "LOGIN"},
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
var exceptions = map[string]map[int]said{
	"Traefik":          {524: {"something in front of git.example.com ended a request", "its limits on the time"}}, // it is Cloudflare's alone
	"Gitea's web side": {404: {"there is a Gitea at git.example.com, and no registry in it: packages are switched off", "ENABLED = true in [packages]"}},
}

// comesFrom is where a credential may have come from.
var comesFrom = map[string]registry.AuthConfig{
	"none":     {},
	"variable": {Token: canary, Origin: registry.Origin{Kind: registry.OriginVariable, Name: "DOCKER_GITEA_TOKEN"}},
	"docker":   {Username: "alice", Password: canary, Origin: registry.Origin{Kind: registry.OriginDocker, Name: "git.example.com", File: "/home/alice/.docker/config.json"}},
	"helper":   {Username: "alice", Password: canary, Origin: registry.Origin{Kind: registry.OriginHelper, Name: "docker-credential-gitea"}},
	"option":   {Username: "alice", Password: canary, Origin: registry.Origin{Kind: registry.OriginOption, Name: "--password-stdin"}},
}

// misled is what must never be said of another's answer: what only the registry
// can say, and what changes nothing.
var misled = regexp.MustCompile(`docker login|docker-credential-gitea|personal access token|the registry (refuses|failed|has|does)|no user or organisation|may not push|DOCKER_GITEA_TOKEN|SQLITE|MAX_OPEN|out of breath`)

// TestWhoAnswered has everybody answer every status to every command, with a
// credential from everywhere.
func TestWhoAnswered(t *testing.T) {
	t.Parallel()
	commands := commands(t)
	for who, answerer := range answerers {
		for status, want := range expected {
			if e, found := exceptions[who][status]; found {
				want = e
			}
			switch {
			case status == http.StatusOK && !strings.Contains(answerer.header.Get("Content-Type"), "html"):
				continue // JSON and nothing are what registries answer, and TestPortal has the rest
			case status == http.StatusOK:
				want = said{"what answers at /v2/ is a page for browsers", "exempt /v2/ from the sign-in"}
			}
			s := passerby{answerer: answerer, status: status}
			switch status {
			case http.StatusMovedPermanently:
				s.location = "https://elsewhere.example.com/v2/"
			case http.StatusFound:
				s.location = "https://git.example.com/user/login"
			}
			set := settings[who]
			fill := strings.NewReplacer("WHO", set.who, "SIZE", set.size, "TIME", set.time, "ROUTE", set.route, "DENY", set.deny, "LOGIN", set.login)
			for origin, auth := range comesFrom {
				for command, do := range commands {
					c, err := registry.New(registry.RegistryConfig{URL: "https://git.example.com", Auth: auth}, &registry.Options{
						Transport: s, Retries: -1, Backoff: func(int) time.Duration { return 0 },
					})
					if err != nil {
						t.Fatal(err)
					}
					cell := fmt.Sprintf("%s, %d, %s, credential from %s", who, status, command, origin)
					err = do(t.Context(), c)
					if err == nil {
						t.Errorf("%s: no error", cell)
						continue
					}
					d := registry.Diagnose(err)
					if !strings.Contains(d.Cause, fill.Replace(want.cause)) || !strings.Contains(d.Hint, fill.Replace(want.hint)) {
						t.Errorf("%s: got %v\n%+v, want\n%s\n%s", cell, err, d, fill.Replace(want.cause), fill.Replace(want.hint))
					}
					if word := misled.FindString(d.Cause + " " + d.Hint); word != "" {
						t.Errorf("%s: says %q in %+v", cell, word, d)
					}
				}
			}
		}
	}
}
