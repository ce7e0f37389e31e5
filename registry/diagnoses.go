package registry

import (
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/docker-gitea/docker-gitea/registry/internal/fronts"
)

// diagnosis is a row of the table: what is seen, what it means, and what to
// do. Words in braces are filled in by failure.words.
type diagnosis struct {
	// seen describes for the documentation what fits.
	seen        string
	fits        func(failure) bool
	cause, hint string
}

// diagnoses is the table that docs/troubleshooting.md is made from. The first row
// that fits counts, so special cases stand before general ones.
var diagnoses = slices.Concat(wayDiagnoses, registryDiagnoses)

// wayDiagnoses are the failures on the way to the registry.
var wayDiagnoses = []diagnosis{
	// Where one is led away from the registry, whatever is there.
	{
		"a redirection to another name of the owner or the image", redirected(toOtherName),
		"{host} redirects to {to}: the owner or the image was renamed", "use the new name: {host}/{renamed}",
	},
	{
		"a redirection from http to https", redirected(toTLS),
		"http://{host} redirects to {to}: the server requires TLS", "leave out --plain-http and http://, and use {there}",
	},
	{
		"a redirection to another host", redirected(toRegistry),
		"{host} answers {answer} and redirects to {to}; no program sends its credential to another host",
		"use {there} in place of {host}; or on the server, have {host} pass /v2/ on to Gitea, not redirect it",
	},
	{
		"a redirection to a page, such as a sign-in", redirected(toPage),
		"{host} answers {answer} and redirects /v2/ to {to}: a sign-in page, another site, or the sign-in page of this network",
		"on the proxy, exempt /v2/ from the sign-in: Gitea asks for a credential there itself; in a network with a sign-in page of its own, sign in with a browser first",
	},

	// The way to the server.
	{
		"`--plain-http` or `http://`, and the server speaks TLS", is(ErrWantsTLS),
		"{host} speaks TLS on that port, and the request had none", "leave out --plain-http and http://",
	},
	{
		"TLS, and the server speaks plain HTTP", func(f failure) bool { return speaksPlainHTTP(f.error) },
		"{host} speaks plain HTTP on that port, not TLS", "use --plain-http if that is meant, or the port of https",
	},
	{
		"a signature by SHA-1 or MD5, or a key of less than 1024 bits", weakCertificate,
		"the certificate of {host}, or that of an authority which signed it, has a signature or a key that is too weak to prove anything ({certificate})",
		"on the server, make the certificate anew, with SHA-256 and a key of 2048 bits or more",
	},
	{
		"a chain of certificates that ends below the pinned authority", func(f failure) bool { return isUnfinished(f) && len(f.tls.Pinned) > 0 },
		"{host} does not send the certificate of {issuer}, which signed its own; so its chain does not reach the pinned authority (SHA-256 {pinned})",
		"on the server, append the certificate of that authority to the server's own, in the same file (fullchain.pem; CERT_FILE of Gitea, ssl_certificate of nginx); if a different authority is meant to sign: docker gitea untrust {host}, then docker gitea trust {host}",
	},
	{
		"a certificate other than the one that was pinned", func(f failure) bool { return f.tls != nil && len(f.tls.Pinned) > 0 && isAuthority(f) },
		"the certificate of {host} has changed: pinned is SHA-256 {pinned}, shown was {certificate}",
		"if the server's owner confirms the change: docker gitea untrust {host}, then docker gitea trust {host}; if not, somebody may be listening",
	},
	{
		"`x509: certificate signed by unknown authority`, and the server does not show which", isUnfinished,
		"{host} sends a certificate that {issuer} signed, but not that of {issuer}, which this machine does not know ({certificate})",
		"on the server, append the certificate of that authority to the server's own, in the same file (fullchain.pem; CERT_FILE of Gitea, ssl_certificate of nginx); if {issuer} is the root, docker gitea trust {host} FILE, with its certificate in FILE; docker gitea trust {host} pins what is shown, until it is renewed",
	},
	{
		"`x509: certificate signed by unknown authority`", isAuthority,
		"the certificate of {host} is signed by an authority that this machine does not know ({certificate})",
		"docker gitea trust {host} pins it for this host alone; or name the authority with --ca-file FILE; --insecure trusts anyone",
	},
	{
		"a certificate whose name stands in CN alone", lacksNames,
		"the certificate of {host} has its name, {cn}, only in the field CN, which current programs ignore",
		"on the server, make the certificate anew with the name as a subject alternative name: with openssl, -addext subjectAltName=DNS:NAME, or IP:ADDRESS for an address",
	},
	{
		"a certificate with an address among its names", func(f failure) bool { return f.address() != "" },
		"the certificate of {host} lists {ip} as a name and not as an address, so it does not count",
		"use a name that it is for; or on the server, make it anew with the address as one: with openssl, -addext subjectAltName=IP:{ip}",
	},
	{
		"`x509: certificate is valid for …, not …`", isHostname,
		"the certificate is for other names: {names}", "use one of these names; or on the server, make the certificate anew, for this one too",
	},
	{
		"`x509: certificate has expired or is not yet valid`", func(f failure) bool { return f.certificateFault(x509.Expired) },
		"the certificate is valid from {dates}, and this machine's clock says {now}", "on the server, renew the certificate; or set the clock of this machine (timedatectl set-ntp true)",
	},
	{
		"another fault of the certificate, or of one that signed it", func(f failure) bool { return f.tls != nil && f.cert != nil },
		"the certificate of {host} cannot be verified ({certificate})",
		"on the server, use one that the authorities' rules allow; docker gitea trust {host} shows what it has",
	},
	{
		"400, and a client certificate is missing or another is wanted", is(ErrWantsCertificate),
		"{host} requires a client certificate that it knows", givesCertificate,
	},
	{
		"another failure of the TLS handshake", isHandshake,
		"{host} and this machine do not agree on TLS: it may require a client certificate, or another service is on that port",
		"check the port; where a client certificate is wanted, " + givesCertificate,
	},
	{
		"407 from the proxy of this machine", func(f failure) bool { return f.proxy.Status == http.StatusProxyAuthRequired },
		"the proxy {proxy}, which {variable} names, requires a credential, or rejects the one that it got",
		"put it into the variable: {variable}=http://USER:PASSWORD@{proxy} - or go past the proxy with NO_PROXY={host}",
	},
	{
		"`HTTPS_PROXY` names what is no proxy, or one that speaks TLS itself", func(f failure) bool {
			return f.is(ErrNoProxy) || f.proxy.Proxy != "" && slices.Contains(notProxies, f.proxy.Status)
		},
		"{proxy}, which {variable} names, does not answer as a proxy does: another server is there, or the proxy speaks TLS itself",
		"correct {variable}: http://HOST:PORT of the proxy, with https:// for one that speaks TLS itself; or go past it with NO_PROXY={host}",
	},
	{
		"another answer of the proxy of this machine", func(f failure) bool { return f.proxy.Status != 0 },
		"the proxy {proxy}, which {variable} names, does not let through to {host} (it answers {status})",
		"ask its owner to let {host} through, or go past it with NO_PROXY={host}",
	},
	{
		"a proxy of this machine that cannot be reached", func(f failure) bool { return f.proxy.Proxy != "" },
		"the proxy {proxy}, which {variable} names, cannot be reached",
		"correct {variable}, or go past the proxy with NO_PROXY={host}",
	},
	{
		"`HTTPS_PROXY` or `HTTP_PROXY` makes no sense", func(f failure) bool { return f.proxy.Variable != "" },
		"the value of {variable} is not the address of a proxy",
		"set it to http://HOST:PORT, or unset it",
	},
	{
		"an unknown host below `localtest.me` or another name for this machine", func(f failure) bool { return f.dns != nil && strings.HasSuffix(f.dns.Name, "localtest.me") },
		"the name {name} stands for 127.0.0.1, but this machine's resolver does not say so: it is offline, or refuses answers that point to this machine",
		"add a line to /etc/hosts: 127.0.0.1 and the name",
	},
	{
		"a resolver that does not answer", func(f failure) bool { return f.dns != nil && !f.dns.IsNotFound },
		"this machine's resolver could not look up {name}", "check the network, and the resolver in /etc/resolv.conf",
	},
	{
		"an unknown host", func(f failure) bool { return f.dns != nil },
		"the name {name} is not known to this machine's resolver", "check the spelling, or add the name to /etc/hosts",
	},
	{
		"connection refused by this machine", func(f failure) bool { return f.refused(true) },
		"nothing listens on that port of this machine; inside a container, this machine is the container itself",
		"check that the server is up (of idpbuilder, the port is mostly 8443); in a container, use the network of the host (docker run --network host)",
	},
	{
		"connection refused by another machine", func(f failure) bool { return f.refused(false) },
		"nothing listens on that address and port", "check the port, and that the server is up",
	},
	{
		"no route to the host", func(f failure) bool { return f.is(syscall.EHOSTUNREACH) || f.is(syscall.ENETUNREACH) },
		"this machine has no route to that address", "check the network, a VPN, and HTTPS_PROXY if this network needs one",
	},
	{
		"silence in both directions, or an answer without an end", is(ErrStalled),
		"nothing moved in either direction for too long, or the answer comes a byte at a time", "try again; docker gitea check {host} shows whether the server is still there; behind a proxy, a push with --chunk-size 32MiB keeps requests short",
	},
	{
		"the limit of `--timeout`", isTimeout,
		"the time limit was reached", "allow more with --timeout; what arrived is not sent again",
	},
	{
		"a connection, or its TLS handshake, that does not come about in time", func(f failure) bool { return f.answer.Status == 0 && neverAnswered(f.error) },
		"{host} does not answer: the server hangs, or something on the way drops what is sent to it",
		"check the host and its port, a firewall or a VPN, and the server; docker gitea check {host} shows how far a request gets",
	},
	{
		"a connection that broke off, and again when tried again", func(f failure) bool { return f.answer.Status == 0 && isNetwork(f.error) },
		"the connection to {host} broke off each time: the server or a proxy went away, or the network did",
		"try again once the server is up; what arrived is not sent again; docker gitea check {host} says what is wrong on the way",
	},

	// Whether there is a registry.
	// What was not answered by the registry. No row below these is of another.
	{
		"a failure of the storage that the registry leads to", func(f failure) bool { return f.answer.By == ByStorage },
		"the registry of {host} redirects to its storage, which answers {answer}",
		"on the server, look at the clock and at the credential of the storage; in [storage] of app.ini, SERVE_DIRECT = false has Gitea pass blobs on itself",
	},
	{
		"a storage without TLS, to which the registry leads", is(ErrPlainStorage),
		"the registry of {host} redirects to its storage without TLS; nothing is read from there, since anyone on the way could change it",
		"on the server, in [storage] of app.ini: MINIO_USE_SSL = true, with a storage that speaks TLS; or SERVE_DIRECT = false, with which Gitea passes blobs on itself",
	},
	{
		"a redirection that is not followed", is(ErrRedirected),
		"the server redirects to where nothing is sent: to plain HTTP, or to no registry", "on the proxy, pass on the headers Host and X-Forwarded-Proto, from which a registry makes its addresses, and redirect nothing below /v2/ to http",
	},
	{
		"413 from something in front of the registry", func(f failure) bool { return f.is(ErrTooLarge) && f.answer.Code != "MANIFEST_INVALID" },
		"a request body was larger than {server} in front of {host} allows", "on the proxy: {size}",
	},
	{
		"429", is(ErrRateLimited),
		"too many requests for {server}", "try later; push with --jobs 1",
	},
	{
		"401 that is not of the registry", foreign(http.StatusUnauthorized),
		"{server} in front of {host}, or in its place, requires a login of its own, which cannot be sent together with Gitea's",
		"check the host; on the proxy, exempt /v2/, where Gitea asks for a login itself: {login}",
	},
	{
		"403 that is not of the registry", foreign(http.StatusForbidden),
		"{server} in front of {host}, or in its place, refuses the request before Gitea sees it", "check the host; on the proxy, let requests to /v2/ through: {deny}",
	},
	{
		"404 of Gitea, and not of its registry", func(f failure) bool { return f.answer.By == ByGitea && f.answer.Status == http.StatusNotFound },
		"{host} is a Gitea without a registry: packages are switched off", "on the server, in app.ini: ENABLED = true in [packages]; then restart Gitea",
	},
	{
		"404 that is not of the registry", foreign(http.StatusNotFound),
		"{server} in front of {host}, or in its place, has nothing at /v2/: it does not pass /v2/ on, or there is no Gitea behind it",
		"check the host and its port; on the proxy: {route}",
	},
	{
		"408, 499, 504 or 524", foreign(http.StatusRequestTimeout, fronts.StatusClientClosed, http.StatusGatewayTimeout, fronts.StatusCloudflareTimeout),
		"{server} in front of {host} ended a request {after}, because it took too long",
		"on the proxy: {time}; where it ends requests that send nothing, look on the server whether Gitea hangs",
	},
	{
		"502 or 503 that is not of the registry", foreign(http.StatusBadGateway, http.StatusServiceUnavailable, 520, 521, 522, 523),
		"{server} in front of {host} does not reach Gitea, or lost the connection to it (it answers {answer})",
		"check on the server that Gitea runs, and try again; on the proxy: {route}",
	},
	{
		"another failure that is not of the registry", func(f failure) bool { return f.is(ErrServer) && f.answer.By.Foreign() },
		"{server} in front of {host}, or in its place, failed (it answers {answer}), and nothing shows that Gitea saw the request",
		"try again; on the server, look at the log of the proxy, then of Gitea",
	},
	{
		"a page for browsers at `/v2/`", func(f failure) bool { return f.answer.By == ByPortal },
		"what answers at /v2/ is a page for browsers: a sign-in page or another site is in front of the registry, or this network has a sign-in page",
		"check the host; on the proxy, exempt /v2/ from the sign-in; in a network with a sign-in page of its own, sign in with a browser first",
	},
	{
		"another answer that is not of the registry", func(f failure) bool { return f.answer.By.Foreign() || f.is(ErrNotRegistry) },
		"{server} in front of {host}, or in its place, gave this answer", "check the host and its port; on the server, have /v2/ passed on to Gitea as it is",
	},
	{
		"the realm has http, and the registry https", func(f failure) bool { return f.is(ErrRealm) && strings.HasPrefix(f.answer.Message, "http:") },
		"the registry names {realm} as its token service, without TLS: the proxy does not tell Gitea that it speaks https. docker gitea asks {host} instead, docker and others fail",
		"on the proxy: proxy_set_header X-Forwarded-Proto $scheme; and on the server, ROOT_URL with https",
	},
	{
		"the realm is of another host or port", is(ErrRealm),
		"the registry names {realm} as its token service: ROOT_URL or the Host that the proxy passes on are off. docker gitea asks {host} instead, docker and others fail",
		"on the server, ROOT_URL = {web}/; on the proxy, proxy_set_header Host $http_host; (since Gitea 1.26 see also PUBLIC_URL_DETECTION)",
	},
	{
		"the clocks of this machine and the server differ", is(ErrClock),
		"tokens and certificates are valid for a time, and the two clocks differ", "set the clock (timedatectl set-ntp true), here or on the server",
	},
}

// givesCertificate is how a client certificate is given: docker-credential-gitea
// has no options for it.
const givesCertificate = "ask the server's owner for one; docker gitea takes it with --cert FILE --key FILE; docker-credential-gitea and docker, from client.cert and client.key in /etc/docker/certs.d/{host}/"

// notProxies are what web servers answer to those who take them for a proxy.
var notProxies = []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}

// foreign fits an answer with one of these statuses that is not the registry's.
func foreign(statuses ...int) func(failure) bool {
	return func(f failure) bool { return f.answer.By.Foreign() && slices.Contains(statuses, f.answer.Status) }
}

func is(kind error) func(failure) bool { return func(f failure) bool { return f.is(kind) } }

// ownerIn is the owner that was written to; "?" is none.
func ownerIn(f failure) string {
	_, path := f.place()
	owner, _, _ := strings.Cut(path, "/")
	return orElse(owner, "?")
}
