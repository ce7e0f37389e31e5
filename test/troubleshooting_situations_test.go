//go:build e2e

package test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
	"github.com/docker-gitea/docker-gitea/test/smalldisk"
)

// mute takes a request, and says nothing to it.
var mute = registrytest.ActionFunc(func(_ http.ResponseWriter, req *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, req.Body) // else the end of the connection is not seen
	<-req.Context().Done()
})

func (p *patient) onTheWay(t *testing.T) map[string]come {
	t.Helper()
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "file")
		samples.WriteFile(t, path, []byte(content))
		return path
	}
	noNames, deadResolver := file("hosts: files\n"), file("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
	return map[string]come{
		"`--plain-http` or `http://`, and the server speaks TLS": func(t *testing.T) string {
			return p.try(t, at(p.gitea.Server, admin), servers.AdminUser+"/app", "--plain-http")
		},
		// On this machine's own names plain HTTP is tried as well.
		"TLS, and the server speaks plain HTTP": func(t *testing.T) string {
			env := withProxy(nil, []string{"HTTPS_PROXY=http://PROXY"}, strings.TrimPrefix(startProxy(t, p.plain.Host, nil).URL, "http://"))
			return p.tryIn(t, address{host: hostBehind, auth: admin}, env, servers.AdminUser+"/app")
		},
		"an unknown host below `localtest.me` or another name for this machine": func(t *testing.T) string {
			return p.elsewhere(t, "mount --bind "+noNames+" /etc/nsswitch.conf", "gitea.localtest.me")
		},
		"an unknown host": func(t *testing.T) string {
			return p.elsewhere(t, "mount --bind "+noNames+" /etc/nsswitch.conf", "git.example.com")
		},
		"a resolver that does not answer": func(t *testing.T) string {
			return p.elsewhere(t, "mount --bind "+deadResolver+" /etc/resolv.conf", "git.example.com")
		},
		"connection refused by this machine":                              func(t *testing.T) string { return p.try(t, address{host: closedPort(t)}, "me/app") },
		"connection refused by this machine" + variant + "in a container": func(t *testing.T) string { return p.elsewhere(t, "true", p.plain.Host) },
		"connection refused by another machine":                           func(t *testing.T) string { return p.elsewhere(t, "ip addr add 192.0.2.1/32 dev lo", "192.0.2.1:3000") },
		"no route to the host":                                            func(t *testing.T) string { return p.elsewhere(t, "true", "192.0.2.1:3000") },
		"a connection, or its TLS handshake, that does not come about in time": func(t *testing.T) string {
			return p.try(t, address{host: deaf(t)}, "me/app", "--connect-timeout", "200ms")
		},
		"silence in both directions, or an answer without an end": func(t *testing.T) string {
			a := scripted(t, registrytest.Config{}, p.rule(mute))
			return p.try(t, a, "alice/app", "--stall-timeout", "300ms")
		},
		"silence in both directions, or an answer without an end" + variant + "of large requests": func(t *testing.T) string {
			if p.command != pushing {
				t.Skip("sends no large requests")
			}
			large := registrytest.Rule{Action: mute}
			large.Match = func(req *http.Request) bool { return req.ContentLength > 33<<20 }
			with := *p
			with.image = samples.Layout(t, 73, 40<<20)
			return with.try(t, scripted(t, registrytest.Config{}, large), "alice/app", "--stall-timeout", "3s")
		},
		"the limit of `--timeout`": func(t *testing.T) string {
			a := scripted(t, registrytest.Config{}, p.rule(registrytest.Hold{}))
			return p.try(t, a, "alice/app", "--timeout", "300ms")
		},
		"a connection that broke off, and again when tried again": func(t *testing.T) string {
			a := scripted(t, registrytest.Config{}, p.rule(registrytest.Cut{After: 1000}))
			return p.try(t, a, "alice/app")
		},
	}
}

// showing is a server that shows a chain of certificates, and an authority of
// its own.
func showing(t *testing.T, root *issued, h hostileChain, more func(*tls.Config)) address {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: h.chain, PrivateKey: h.key}}}
	if more != nil {
		more(srv.TLS)
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	samples.WriteFile(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}))
	return address{host: srv.Listener.Addr().String(), ca: ca}
}

func (p *patient) certificates(t *testing.T) map[string]come {
	t.Helper()
	root := issue(t, nil, authority("root"))
	chains := hostileChains(t, root)
	chain := func(name string, more func(*tls.Config)) come {
		return func(t *testing.T) string { return p.try(t, showing(t, root, chains[name], more), "me/app") }
	}
	chains["none"] = shown("", issue(t, root, nil), root)
	chains["unfinished"] = shown("", issue(t, issue(t, root, authority("between")), nil))
	nameIn := func(change func(*x509.Certificate)) hostileChain {
		return shown("", issue(t, root, func(c *x509.Certificate) { c.IPAddresses = nil; change(c) }), root)
	}
	chains["CN alone"] = nameIn(func(c *x509.Certificate) { c.Subject.CommonName = "git.example.com" })
	chains["address as a name"] = nameIn(func(c *x509.Certificate) { c.DNSNames = []string{"127.0.0.1", "localhost"} })
	return map[string]come{
		"`x509: certificate signed by unknown authority`, and the server does not show which": chain("unfinished", nil),
		"a certificate whose name stands in CN alone":                                         chain("CN alone", nil),
		"a certificate with an address among its names":                                       chain("address as a name", nil),
		"a chain of certificates that ends below the pinned authority": func(t *testing.T) string {
			a := showing(t, root, chains["unfinished"], nil)
			home := t.TempDir()
			env := []string{"XDG_CONFIG_HOME=" + home}
			run(t, append(env, "HOME="+home), p.plugin, "trust", a.host, a.ca)
			return p.tryIn(t, address{host: a.host}, env, "me/app")
		},
		"a signature by SHA-1 or MD5, or a key of less than 1024 bits": chain("a signature of SHA-1", nil),
		"a certificate other than the one that was pinned": func(t *testing.T) string {
			g := own(t, servers.GiteaOptions{})
			home := t.TempDir()
			env := []string{"XDG_CONFIG_HOME=" + home}
			run(t, append(env, "HOME="+home), p.plugin, "trust", g.Host, g.CAFile)
			servers.Need(t, g.RenewCertificate(t.Context()))
			return p.tryIn(t, address{host: g.Host, auth: admin}, env, servers.AdminUser+"/app")
		},
		"`x509: certificate signed by unknown authority`": func(t *testing.T) string {
			return p.try(t, address{host: p.gitea.Host, auth: admin}, servers.AdminUser+"/app")
		},
		"`x509: certificate is valid for …, not …`": func(t *testing.T) string {
			g := own(t, servers.GiteaOptions{Names: []string{"localhost"}})
			return p.try(t, address{host: strings.Replace(g.Host, "localhost", "127.0.0.1", 1), ca: g.CAFile, auth: admin}, servers.AdminUser+"/app")
		},
		"`x509: certificate has expired or is not yet valid`":        chain("expired", nil),
		"another fault of the certificate, or of one that signed it": chain("outside of a constraint", nil),
		"another failure of the TLS handshake":                       chain("none", func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }),
		"400, and a client certificate is missing or another is wanted": func(t *testing.T) string {
			ca := showing(t, root, chains["none"], nil).ca
			n := behind(t, servers.NginxOptions{Upstream: p.gitea.URL, Server: "ssl_verify_client on; ssl_client_certificate " + ca + ";"})
			return p.try(t, at(n, admin), servers.AdminUser+"/app")
		},
	}
}

const noProxy = "`HTTPS_PROXY` names what is no proxy, or one that speaks TLS itself"

// talkingFirst is a server that says its name before it is asked anything.
func talkingFirst(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, l.Close) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.2\r\n")
			_, _ = io.CopyN(io.Discard, conn, 1)
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

func (p *patient) proxies() map[string]come {
	through := func(variable string, setUp func(*proxy)) come {
		return func(t *testing.T) string {
			env := withProxy(nil, []string{variable}, strings.TrimPrefix(startProxy(t, "", setUp).URL, "http://"))
			return p.tryIn(t, address{host: hostBehind}, env, "me/app")
		}
	}
	return map[string]come{
		"407 from the proxy of this machine": through("HTTPS_PROXY=http://PROXY", func(p *proxy) { p.credential = "me:secret" }),
		noProxy:                              through("HTTPS_PROXY=http://PROXY", func(p *proxy) { p.refuse = http.StatusMethodNotAllowed }),
		noProxy + variant + "a proxy that speaks TLS": func(t *testing.T) string {
			return p.tryIn(t, address{host: hostBehind}, []string{"HTTPS_PROXY=http://" + strings.Replace(p.gitea.Host, "localhost", "127.0.0.1", 1)}, "me/app")
		},
		noProxy + variant + "an ssh server": func(t *testing.T) string {
			return p.tryIn(t, address{host: hostBehind}, []string{"HTTPS_PROXY=http://" + talkingFirst(t)}, "me/app")
		},
		"another answer of the proxy of this machine":    through("HTTPS_PROXY=http://PROXY", func(p *proxy) { p.refuse = http.StatusForbidden }),
		"a proxy of this machine that cannot be reached": through("HTTPS_PROXY=http://127.0.0.1:1", nil),
		"`HTTPS_PROXY` or `HTTP_PROXY` makes no sense":   through("HTTPS_PROXY=http://[bad", nil),
	}
}

// behindAs starts nginx, which calls itself host to what is behind it.
func behindAs(t *testing.T, host string, opts servers.NginxOptions) *servers.Server {
	t.Helper()
	n := behind(t, opts)
	config := filepath.Join(n.Dir, "nginx.conf")
	content, err := os.ReadFile(config)
	servers.Need(t, err)
	samples.WriteFile(t, config, bytes.ReplaceAll(content, []byte("Host $http_host;"), []byte("Host "+host+";")))
	servers.Need(t, n.Restart(t.Context()))
	return n
}

func (p *patient) noRegistry(t *testing.T) map[string]come {
	t.Helper()
	nginx := func(opts servers.NginxOptions) come {
		return func(t *testing.T) string {
			if opts.Upstream == "" {
				opts.Upstream = p.plain.URL
			}
			n := behind(t, opts)
			return p.try(t, at(n, admin), servers.AdminUser+"/app")
		}
	}
	return map[string]come{
		"404 of Gitea, and not of its registry": func(t *testing.T) string {
			g := own(t, servers.GiteaOptions{Settings: map[string]string{"packages.ENABLED": "false"}})
			return p.try(t, at(g.Server, admin), servers.AdminUser+"/app")
		},
		"a redirection to a page, such as a sign-in": nginx(servers.NginxOptions{Directives: "if ($http_user_agent ~ docker-.*gitea) { return 302 /sso/login; }"}),
		"a page for browsers at `/v2/`":              nginx(servers.NginxOptions{Directives: `if ($http_user_agent ~ docker-.*gitea) { return 200 "<html>sign in</html>"; } default_type text/html;`}),
		"a redirection from http to https": func(t *testing.T) string {
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				http.Redirect(w, req, strings.Replace(p.gitea.URL, "localhost", "127.0.0.1", 1)+req.RequestURI, http.StatusMovedPermanently)
			}))
			t.Cleanup(front.Close)
			return p.try(t, address{host: strings.TrimPrefix(front.URL, "http://"), auth: admin}, servers.AdminUser+"/app", "--plain-http")
		},
		"a redirection that is not followed": func(t *testing.T) string {
			a := scripted(t, registrytest.Config{}, registrytest.Rule{Method: http.MethodPost, Action: registrytest.Edit(func(h http.Header) {
				h.Set("Location", "http://elsewhere.invalid/v2/alice/app/blobs/uploads/1")
			})})
			return p.try(t, a, "alice/app", "--chunk-size", "100kB")
		},
		"a redirection that is not followed" + variant + "distribution": func(t *testing.T) string {
			s, err := servers.StartRegistry(t.Context(), servers.RegistryOptions{PlainHTTP: true})
			servers.Need(t, err)
			t.Cleanup(func() { stop(t, s.Stop) })
			n := behindAs(t, "git.internal", servers.NginxOptions{Upstream: s.URL, HideScheme: true, MaxBody: "0"})
			return p.try(t, at(n, client.AuthConfig{}), "me/app")
		},
		"a redirection that is not followed" + variant + "to plain HTTP": func(t *testing.T) string {
			n := behind(t, servers.NginxOptions{Upstream: p.plain.URL, Directives: "if (" + p.requests() + ") { return 308 http://$http_host$request_uri; }"})
			return p.try(t, at(n, admin), servers.AdminUser+"/redirected")
		},
		"a redirection to another host":                         nginx(servers.NginxOptions{Directives: "if ($http_user_agent ~ docker-.*gitea) { return 301 " + p.gitea.URL + "$request_uri; }"}),
		"404 that is not of the registry":                       nginx(servers.NginxOptions{Directives: "if ($http_user_agent ~ docker-.*gitea) { return 404; }"}),
		"404 that is not of the registry" + variant + "haproxy": p.behindHAProxy("http-request return status 404 default-errorfiles"),
		"401 that is not of the registry":                       nginx(servers.NginxOptions{Directives: "if ($http_user_agent ~ docker-.*gitea) { return 401; }"}),
		"403 that is not of the registry" + variant + "haproxy": p.behindHAProxy("http-request deny"),
		"the realm has http, and the registry https":            nginx(servers.NginxOptions{HideScheme: true}),
		"the realm is of another host or port": func(t *testing.T) string {
			g := own(t, servers.GiteaOptions{Settings: map[string]string{"server.PUBLIC_URL_DETECTION": "never", "server.ROOT_URL": "https://git.example.com/"}})
			return p.try(t, at(g.Server, admin), servers.AdminUser+"/app")
		},
		"the realm is of another host or port" + variant + "nginx": func(t *testing.T) string {
			n := behindAs(t, "git.example.com", servers.NginxOptions{Upstream: p.plain.URL})
			return p.try(t, at(n, admin), servers.AdminUser+"/app")
		},
		"the clocks of this machine and the server differ": func(t *testing.T) string {
			a := scripted(t, registrytest.Config{}, registrytest.Rule{Action: registrytest.ActionFunc(
				func(w http.ResponseWriter, req *http.Request, next http.Handler) {
					w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
					next.ServeHTTP(w, req)
				})})
			return p.try(t, a, "alice/app")
		},
	}
}

// nobodyInParticular are the situations of who asks, and what they may do.
func (p *patient) nobodyInParticular(t *testing.T) map[string]come {
	t.Helper()
	g := p.gitea
	name, other := newUser(t, g), newUser(t, g)
	private, limited, barred, org := newUser(t, g), newUser(t, g), newUser(t, g), newUser(t, g)+"org"
	servers.Need(t, g.CreateOrg(t.Context(), org))
	edit(t, g, private, map[string]any{"visibility": "private"})
	edit(t, g, limited, map[string]any{"visibility": "limited"})
	token := func(user string, scopes ...string) client.AuthConfig {
		value, err := g.CreateToken(t.Context(), user, scopes...)
		servers.Need(t, err)
		return client.AuthConfig{Token: value}
	}
	barredToken := token(barred, "write:package", "read:user")
	edit(t, g, barred, map[string]any{"prohibit_login": true})
	p.barred = barred
	wrong := client.AuthConfig{Username: name, Password: "wrong"}
	if p.command == loggedIn { // of a password there are rows below
		wrong = client.AuthConfig{Token: "wrong"}
	}
	asking := func(auth client.AuthConfig, owner string) come {
		return func(t *testing.T) string { return p.try(t, at(g.Server, auth), owner+"/app") }
	}
	answering := func(answer registrytest.Answer) come {
		return func(t *testing.T) string {
			return p.try(t, scripted(t, registrytest.Config{}, p.rule(answer)), "alice/app")
		}
	}
	return map[string]come{
		"401, and no credential was given":                        asking(client.AuthConfig{}, name),
		"401, and the account has a security key":                 asking(securityKey(t, g), name),
		"401, and the account may not sign in":                    asking(barredToken, barred),
		"401, and the API knows the token":                        asking(token(name, "read:user"), name),
		"401, also from the API":                                  asking(wrong, name),
		"401 `reqPackageAccess`, and the token lacks the scope":   asking(token(name, "read:package"), name),
		"403 `reqToken`":                                          asking(token(name, "write:package", "public-only"), private),
		"403 `reqToken`" + variant + "limited":                    asking(token(name, "write:package", "public-only"), limited),
		"403 `reqToken`" + variant + "one's own, limited":         asking(token(limited, "write:package", "public-only"), limited),
		"401 `reqPackageAccess`":                                  asking(userAuth(name), other),
		"401 `reqPackageAccess`" + variant + "of an organisation": asking(userAuth(name), org),
		"404 `Not found.`": func(t *testing.T) string {
			return p.try(t, at(g.Server, userAuth(name)), fmt.Sprintf("nobody-%x/app", sha256.Sum256([]byte(t.Name())))[:20])
		},
		"a redirection to another name of the owner or the image": asking(userAuth(name), formerName(t, g)),
		"401": func(t *testing.T) string {
			return p.try(t, at(askingRegistry(t), client.AuthConfig{Username: servers.RegistryUser, Password: "wrong"}), "me/app", "--plain-http")
		},
		"403 that is not of the registry": func(t *testing.T) string {
			n := behind(t, servers.NginxOptions{Upstream: g.URL, Directives: "if (" + p.requests() + ") { return 403; }"})
			return p.try(t, at(n, userAuth(name)), name+"/app")
		},
		"401 `reqPackageAccess`, anonymous in the registry's eyes": func(t *testing.T) string {
			n := behind(t, servers.NginxOptions{Upstream: g.URL, Server: `location = /v2/token { proxy_pass ` + g.URL + `; proxy_set_header Host $http_host; proxy_set_header Authorization ""; }`})
			return p.try(t, at(n, userAuth(name)), name+"/app")
		},
		// Gitea 1.26 gives no token to a job; others did.
		"401 `reqPackageAccess`, with the token of a job": func(t *testing.T) string {
			a := scripted(t, registrytest.Config{Flavor: registrytest.Forgejo, ActionsToken: "job"})
			a.auth = client.AuthConfig{Token: "job"}
			return p.try(t, a, "alice/app")
		},
		// Gitea 1.26 tells of an inactive account by its API.
		"401 `reqPackageAccess` under one's own name": func(t *testing.T) string {
			a := scripted(t, registrytest.Config{Users: []registrytest.User{{Name: "alice", Password: "secret", Inactive: true}}}, registrytest.Rule{
				Path: "/api/v1/user", Action: registrytest.Answer{Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"login":"alice"}`},
			}, registrytest.Rule{
				Path: "/api/v1/version", Action: registrytest.Answer{Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"version":"1.27.3"}`},
			})
			return p.try(t, a, "alice/app")
		},
		// Gitea's rules are checked before anything is sent.
		"400 `NAME_INVALID` or `Tag is invalid` from the server": func(t *testing.T) string {
			answer := registrytest.EmptyError(http.StatusBadRequest)
			answer.Body = `{"errors":[{"code":"NAME_INVALID","message":""}]}`
			return p.try(t, scripted(t, registrytest.Config{Flavor: registrytest.Distribution}, registrytest.Rule{Path: "/a__b/", Action: answer}), "alice/a__b")
		},
		"429": func(t *testing.T) string {
			n := behind(t, servers.NginxOptions{Upstream: g.URL, Directives: "if (" + p.requests() + ") { return 429; }"})
			return p.try(t, at(n, userAuth(name)), name+"/app")
		},
		"another answer that is not of the registry": func(t *testing.T) string {
			n := behind(t, servers.NginxOptions{Upstream: g.URL, Directives: "if (" + p.requests() + ") { return 405; }"})
			return p.try(t, at(n, userAuth(name)), name+"/app")
		},
		"413 from something in front of the registry": answering(registrytest.Answer{Status: http.StatusRequestEntityTooLarge}),
	}
}

// logins are the situations of docker-credential-gitea alone.
func (p *patient) logins(t *testing.T) map[string]come {
	t.Helper()
	if p.command != loggedIn {
		return nil
	}
	somebody := newPerson(t, p.gitea)
	somebody.enrol(t)
	logIn := func(t *testing.T, lines ...string) string {
		return p.try(t, at(p.gitea.Server, client.AuthConfig{Username: somebody.name, Password: strings.Join(lines, "\n")}), "")
	}
	return map[string]come{
		"401 to a login with a password alone": func(t *testing.T) string { return logIn(t, servers.AdminPassword) },
		"401 to a login with a password alone" + variant + "wrong": func(t *testing.T) string {
			return p.try(t, at(p.gitea.Server, client.AuthConfig{Username: servers.AdminUser, Password: "wrong"}), "")
		},
		"401 to a login with a password and a one-time code": func(t *testing.T) string {
			// On a busy machine a code may be over before it arrives.
			for range 5 {
				code := somebody.code(t, 1)
				if out := logIn(t, servers.AdminPassword, code); strings.Contains(out, "logged in to ") {
					return logIn(t, servers.AdminPassword, code)
				}
			}
			t.Error("no code lets in")
			return ""
		},
	}
}

func (p *patient) limits(t *testing.T) map[string]come {
	t.Helper()
	limited := func(setting, value string, before int) come {
		return func(t *testing.T) string {
			g := own(t, servers.GiteaOptions{Settings: map[string]string{"packages." + setting: value}})
			name := newUser(t, g)
			for range before {
				earlier := *p
				earlier.image = samples.Layout(t, 74, 2<<20)
				earlier.try(t, at(g.Server, userAuth(name)), name+"/earlier")
			}
			return p.try(t, at(g.Server, userAuth(name)), name+"/app")
		}
	}
	small := func(server string) come {
		return func(t *testing.T) string {
			return p.try(t, scripted(t, registrytest.Config{Proxy: &registrytest.Proxy{MaxBody: 1000, Server: server}}), "alice/app")
		}
	}
	return map[string]come{
		"403 without a text, of a blob, or 413 `enforcePackagesQuota`":                               limited("LIMIT_SIZE_CONTAINER", "1 MiB", 0),
		"403 without a text, of a blob, or 413 `enforcePackagesQuota`" + variant + "of all packages": limited("LIMIT_TOTAL_OWNER_SIZE", "3 MiB", 1),
		"403 without a text, of a manifest":                                                          limited("LIMIT_TOTAL_OWNER_COUNT", "0", 0),
		"403 without a text, of a manifest" + variant + "of the second package":                      limited("LIMIT_TOTAL_OWNER_COUNT", "5", 1),
		"413 from something in front of the registry" + variant + "nginx": func(t *testing.T) string {
			n := behind(t, servers.NginxOptions{Upstream: p.gitea.URL, MaxBody: "1k"})
			return p.try(t, at(n, admin), servers.AdminUser+"/app")
		},
		"413 from something in front of the registry" + variant + "Cloudflare": small("cloudflare"),
		"413 from something in front of the registry" + variant + "Apache":     small("Apache/2.4.57 (Debian)"),
		"413 of a manifest": p.refusedIndex(http.StatusRequestEntityTooLarge, "MANIFEST_INVALID"),
	}
}

// behindHAProxy asks what is behind an haproxy, which says its name in no
// header.
func (p *patient) behindHAProxy(directives string) come {
	return func(t *testing.T) string {
		t.Helper()
		h, err := servers.StartHAProxy(t.Context(), servers.HAProxyOptions{Upstream: p.gitea.URL, Directives: directives})
		servers.Need(t, err)
		t.Cleanup(func() { stop(t, h.Stop) })
		return p.try(t, at(h, admin), servers.AdminUser+"/app")
	}
}

// traefikAnswers is a push to a registry before which a proxy written in Go
// answers uploads with a status, and with its name.
func (p *patient) traefikAnswers(status int, text string) come {
	return func(t *testing.T) string {
		t.Helper()
		answer := registrytest.Answer{Status: status, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, Body: text}
		return p.try(t, scripted(t, registrytest.Config{}, p.rule(answer)), "alice/app")
	}
}

// refused has the registry answer some requests with a code: those with one body, and
// none with another.
func (p *patient) refused(path string, status int, code string) come {
	return func(t *testing.T) string {
		t.Helper()
		answer := registrytest.EmptyError(status)
		answer.Body = fmt.Sprintf(`{"errors":[{"code":%q,"message":""}]}`, code)
		var first atomic.Int64 // the length of what is refused
		same := func(req *http.Request) bool {
			return first.CompareAndSwap(0, req.ContentLength) || first.Load() == req.ContentLength
		}
		return p.try(t, scripted(t, registrytest.Config{}, registrytest.Rule{Method: http.MethodPut, Path: path, Match: same, Action: answer}), "alice/app")
	}
}

// refusedIndex is refused for the index of an image of two platforms.
func (p *patient) refusedIndex(status int, code string) come {
	return func(t *testing.T) string {
		t.Helper()
		l := samples.NewLayout(t)
		l.Top(l.JSON(ocispec.MediaTypeImageIndex, samples.Index(l.Image(l.Layer(75, 1000), "linux", "amd64"), l.Image(l.Layer(76, 1000), "linux", "arm64"))))
		with := *p
		with.image = l.Dir
		return with.refused("/manifests/1$", status, code)(t)
	}
}

func (p *patient) manifests() map[string]come {
	return map[string]come{
		"404 `BLOB_UNKNOWN` of a manifest": p.refused("/manifests/", http.StatusNotFound, "BLOB_UNKNOWN"),
		"404 `MANIFEST_UNKNOWN`":           p.refused("/manifests/", http.StatusNotFound, "MANIFEST_UNKNOWN"),
		"400 `SIZE_INVALID`":               p.refused("/manifests/", http.StatusBadRequest, "SIZE_INVALID"),
		"501 `UNSUPPORTED`":                p.refused("/manifests/", http.StatusNotImplemented, "UNSUPPORTED"),
		// Of an index, only what the source holds is sent.
		"404 `MANIFEST_BLOB_UNKNOWN` of an index": p.refusedIndex(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN"),
		"400 `DIGEST_INVALID` of another digest than SHA-256": func(t *testing.T) string {
			return p.pushLayout(t, func(l samples.LayoutWriter) ocispec.Descriptor {
				layer := l.Layer(65, 1000)
				content, err := os.ReadFile(l.Path(layer.Digest))
				servers.Need(t, err)
				layer.Digest = digest.SHA512.FromBytes(content)
				servers.Need(t, os.MkdirAll(filepath.Dir(l.Path(layer.Digest)), 0o700))
				servers.Need(t, os.WriteFile(l.Path(layer.Digest), content, 0o600))
				return l.Image(layer, "linux", "amd64")
			})
		},
		"layers that a manifest names by a URL": func(t *testing.T) string {
			return p.pushLayout(t, func(l samples.LayoutWriter) ocispec.Descriptor {
				layer := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromString("elsewhere"), Size: 9, URLs: []string{"https://mcr.example.com/layer"}}
				return l.JSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
					Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
					Config: l.JSON(ocispec.MediaTypeImageConfig, ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}}}),
					Layers: []ocispec.Descriptor{layer},
				})
			})
		},
		"layers that a file or directory lacks": func(t *testing.T) string {
			return p.pushLayout(t, func(l samples.LayoutWriter) ocispec.Descriptor {
				layer := l.Layer(63, 1000)
				image := l.Image(layer, "linux", "amd64")
				servers.Need(t, os.Remove(l.Path(layer.Digest)))
				return image
			})
		},
		"an image, or a layer, with other bytes than those of its digest": func(t *testing.T) string {
			return p.pushLayout(t, func(l samples.LayoutWriter) ocispec.Descriptor {
				layer := l.Layer(65, 1000)
				image := l.Image(layer, "linux", "amd64")
				samples.WriteFile(t, l.Path(layer.Digest), make([]byte, layer.Size))
				return image
			})
		},
		"400 `SIZE_INVALID`" + variant + "an artifact without a config": func(t *testing.T) string {
			return p.pushLayout(t, func(l samples.LayoutWriter) ocispec.Descriptor {
				return l.JSON(ocispec.MediaTypeImageManifest, map[string]any{
					"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "artifactType": "application/x", "layers": []ocispec.Descriptor{l.Layer(64, 1000)},
				})
			})
		},
		"400 `MANIFEST_INVALID`": func(t *testing.T) string {
			return p.pushLayout(t, func(l samples.LayoutWriter) ocispec.Descriptor {
				inner := l.JSON(ocispec.MediaTypeImageIndex, samples.Index(l.Image(l.Layer(64, 1000), "linux", "amd64")))
				return l.JSON(ocispec.MediaTypeImageIndex, samples.Index(inner))
			})
		},
	}
}

// pushLayout pushes a layout to Gitea whose top make makes.
func (p *patient) pushLayout(t *testing.T, make func(samples.LayoutWriter) ocispec.Descriptor) string {
	t.Helper()
	l := samples.NewLayout(t)
	l.Top(make(l))
	with := *p
	with.image = l.Dir
	return with.try(t, at(p.gitea.Server, admin), servers.AdminUser+"/app")
}

// meddle stands in front of Gitea, and changes requests.
func (p *patient) meddle(t *testing.T, change func(out *http.Request)) address {
	t.Helper()
	return behindHandler(t, inFrontOf(t, p.gitea, change))
}

// inFrontOf passes requests on to Gitea, changed.
func inFrontOf(t *testing.T, g *servers.Gitea, change func(out *http.Request)) http.Handler {
	t.Helper()
	target, err := url.Parse(g.URL)
	servers.Need(t, err)
	return &httputil.ReverseProxy{
		Transport: g.Client().Transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			change(r.Out)
		},
	}
}

// behindHandler is where h answers.
func behindHandler(t *testing.T, h http.Handler) address {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return address{host: strings.TrimPrefix(srv.URL, "http://"), auth: admin}
}

// mangled is a body in which something changes each byte that is zero.
type mangled struct{ io.ReadCloser }

func (m mangled) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	copy(p[:n], bytes.ReplaceAll(p[:n], []byte{0}, []byte{1}))
	return n, err
}

var uploadSession = regexp.MustCompile(`(/blobs/uploads/)[a-z0-9]+$`)

// busy is a registry that does not find a credential.
var busy = registrytest.Answer{
	Status: http.StatusUnauthorized, Header: http.Header{"Content-Type": {"application/json"}, "Docker-Distribution-Api-Version": {"registry/2.0"}},
	Body: `{"errors":[{"code":"UNAUTHORIZED","message":""}]}`,
}

func (p *patient) failingServers() map[string]come {
	return map[string]come{
		"400 `DIGEST_INVALID`": func(t *testing.T) string {
			a := p.meddle(t, func(out *http.Request) {
				if out.Method == http.MethodPost {
					out.Body = mangled{out.Body}
				}
			})
			return p.try(t, a, servers.AdminUser+"/mangled")
		},
		"404 `BLOB_UPLOAD_UNKNOWN`, again and again": func(t *testing.T) string {
			a := p.meddle(t, func(out *http.Request) { out.URL.Path = uploadSession.ReplaceAllString(out.URL.Path, "${1}unknown") })
			return p.try(t, a, servers.AdminUser+"/lost", "--chunk-size", "100kB")
		},
		"400, 404 or 416 `BLOB_UPLOAD_INVALID`": func(t *testing.T) string {
			// Gitea reads a part that it refuses to the end only where the
			// connection is kept: else nginx may still send, and answer 502.
			n := behind(t, servers.NginxOptions{Upstream: p.gitea.URL, MaxBody: "0", Directives: `proxy_set_header Content-Range ""; proxy_set_header Connection "";`})
			return p.try(t, at(n, admin), servers.AdminUser+"/parts", "--chunk-size", "100kB")
		},
		"502 or 503 that is not of the registry": func(t *testing.T) string {
			n := behind(t, servers.NginxOptions{Upstream: "http://" + closedPort(t)})
			return p.try(t, at(n, admin), servers.AdminUser+"/app")
		},
		"502 or 503 that is not of the registry" + variant + "haproxy": func(t *testing.T) string {
			h, err := servers.StartHAProxy(t.Context(), servers.HAProxyOptions{Upstream: "http://" + closedPort(t)})
			servers.Need(t, err)
			t.Cleanup(func() { stop(t, h.Stop) })
			return p.try(t, at(h, admin), servers.AdminUser+"/app")
		},
		"502 or 503 that is not of the registry" + variant + "Traefik": p.traefikAnswers(http.StatusBadGateway, "Bad Gateway"),
		"408, 499, 504 or 524" + variant + "Traefik":                   p.traefikAnswers(499, "Client Closed Request"),
		"another failure that is not of the registry":                  p.traefikAnswers(http.StatusInternalServerError, "Internal Server Error"),
		"401 of a server that took the credential before, or is unwell": func(t *testing.T) string {
			return p.try(t, scripted(t, registrytest.Config{}, registrytest.Rule{Method: http.MethodPut, Path: "/manifests/", Action: busy}), "alice/app")
		},
		"401 of a server that took the credential before, or is unwell" + variant + "for a while": func(t *testing.T) string {
			return p.try(t, scripted(t, registrytest.Config{}, registrytest.Rule{Method: http.MethodPut, Path: "/manifests/", Times: 3, Action: busy}), "alice/app")
		},
		"500 without a text" + variant + "for a while": func(t *testing.T) string {
			return p.try(t, scripted(t, registrytest.Config{}, p.rule(registrytest.EmptyError(http.StatusInternalServerError))), "alice/app")
		},
		"500 without a text": func(t *testing.T) string {
			g := own(t, servers.GiteaOptions{})
			table := map[command]string{pushing: "package_blob", checking: "package_blob_upload", loggedIn: "access_token"}[p.command]
			_, err := g.SQL(t.Context(), "DROP TABLE "+table)
			servers.Need(t, err)
			return p.try(t, at(g.Server, admin), servers.AdminUser+"/app")
		},
	}
}

func (p *patient) thisMachine() map[string]come {
	return map[string]come{
		"no space left on this machine": func(t *testing.T) string {
			program, _ := smalldisk.Wrap(t, p.plugin)
			cmd := exec.CommandContext(t.Context(), program, "gitea", "push", "--plain-http", "--progress", "quiet", "-", p.plain.Host+"/"+servers.AdminUser+"/app:1")
			cmd.Env, _ = p.plain.Env(t.TempDir(), admin.Username, admin.Password)
			cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir())
			cmd.Stdin = bytes.NewReader(samples.DockerArchive(t, 66, 5<<20))
			out, _ := cmd.CombinedOutput() // the text tells how it ended
			return string(out)
		},
		// The program always has a daemon to ask; other programs may have none.
		"nothing to push": func(t *testing.T) string {
			d := client.Diagnose(newClient(t, p.gitea.Server, admin, nil).Push(t.Context(), servers.AdminUser+"/app:1", client.PushOptions{}))
			return "cause: " + d.Cause + "\nhint: " + d.Hint
		},
	}
}
