package registry_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// answered is the error of an answer, as the client makes it.
func answered(op string, status int, header http.Header, body string) *registry.Error {
	req := &http.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: "git.example.com", Path: "/v2/acme/app/blobs/uploads/"}}
	if header == nil {
		header = http.Header{}
	}
	return response.Error(op, req, &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: req})
}

func fromRegistry() http.Header { return http.Header{response.HeaderVersion: {"registry/2.0"}} }

func fromProxy(name string) http.Header { return http.Header{"Server": {name}} }

func coded(status int, code, message string) *registry.Error {
	return answered("put manifest 1", status, fromRegistry(), fmt.Sprintf(`{"errors":[{"code":%q,"message":%q}]}`, code, message))
}

// denied401 is Gitea's answer to those who may not.
func denied401(identity registry.Identity, account registry.Account) error {
	e := answered("start upload", http.StatusUnauthorized, http.Header{"Www-Authenticate": {`Basic realm="Gitea Package API"`}, "Content-Type": {"text/plain"}}, "reqPackageAccess\n")
	e.Identity, e.Account = identity, account
	return e
}

func unauthorized(account registry.Account) *registry.Error {
	e := answered("get token", http.StatusUnauthorized, fromRegistry(), "")
	e.Account = account
	return e
}

// ofAPIAnswer is the refusal of a login with a password, of so many factors.
func ofAPIAnswer(message string, factors int) error {
	req := &http.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: "git.example.com", Path: "/api/v1/users/me/tokens"}}
	body := fmt.Sprintf(`{"message":%q,"url":"https://git.example.com/api/swagger"}`, message)
	e := response.Error("make an access token", req, &http.Response{StatusCode: http.StatusUnauthorized, Body: io.NopCloser(strings.NewReader(body)), Request: req})
	e.Account.Factors = factors
	return e
}

func ofKind(status int, kind error, message string) error {
	return &registry.Error{Op: "ask registry", URL: "https://git.example.com/v2/", Status: status, Message: message, Kind: kind}
}

func refused(ip string) error {
	return &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 443}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// Each row of the table has a situation that it is for, and no other row is
// taken for it.
func TestDiagnoses(t *testing.T) {
	t.Parallel()
	certificate := &x509.Certificate{DNSNames: []string{"git.example.com"}, Raw: []byte("a")}
	tlsError := func(err error, pinned ...*x509.Certificate) error {
		return fmt.Errorf("ask registry: %w", &registry.TLSError{Host: "git.example.com", Certificates: []*x509.Certificate{certificate}, Pinned: pinned, Err: err})
	}
	text := http.Header{"Content-Type": {"text/plain;charset=utf-8"}}
	user := registry.Identity{UserID: 5, Scope: "write:package"}
	leads := func(to string) error {
		return answered("start upload", http.StatusMovedPermanently, http.Header{"Location": {to}}, "")
	}
	leaf := &x509.Certificate{Raw: []byte("l"), RawSubject: []byte("leaf"), RawIssuer: []byte("intermediate")}
	unfinished := func(pinned ...*x509.Certificate) error {
		return &registry.TLSError{Host: "git.example.com", Certificates: []*x509.Certificate{leaf}, Pinned: pinned, Err: x509.UnknownAuthorityError{}}
	}
	named := func(host string, c *x509.Certificate) error {
		return &registry.TLSError{Host: "git.example.com", Certificates: []*x509.Certificate{c}, Err: x509.HostnameError{Certificate: c, Host: host}}
	}
	plainHTTP := answered("start upload", http.StatusMovedPermanently, http.Header{"Location": {"https://git.example.com/v2/acme/app/blobs/uploads/"}}, "")
	plainHTTP.URL = "http://git.example.com/v2/acme/app/blobs/uploads/"
	ofStorage := answered("get blob", http.StatusForbidden, http.Header{"Content-Type": {"application/xml"}}, "<Error>")
	ofStorage.By, ofStorage.Kind = registry.ByStorage, registry.ErrNotRegistry
	busy := unauthorized(registry.Account{})
	busy.Kind = registry.ErrBusy
	page := http.Header{"Content-Type": {"text/html"}}
	situations := map[string]error{
		"a redirection to another name of the owner or the image":                             leads("/v2/new/app/blobs/uploads/"),
		"a redirection from http to https":                                                    plainHTTP,
		"a redirection to another host":                                                       leads("https://gitea.example.com/v2/acme/app/blobs/uploads/"),
		"a redirection to a page, such as a sign-in":                                          leads("/user/login"),
		"a storage without TLS, to which the registry leads":                                  &registry.UnreachableError{Host: "git.example.com", Err: fmt.Errorf("%w: %w: http://s3.example.com", registry.ErrRedirected, registry.ErrPlainStorage)},
		"a redirection that is not followed":                                                  fmt.Errorf("%w: from https to http", registry.ErrRedirected),
		"413 from something in front of the registry":                                         answered("upload blob", http.StatusRequestEntityTooLarge, nil, ""),
		"401 that is not of the registry":                                                     answered("get token", http.StatusUnauthorized, http.Header{"Www-Authenticate": {`Basic realm="restricted"`}}, ""),
		"403 that is not of the registry":                                                     answered("start upload", http.StatusForbidden, fromProxy("cloudflare"), "<html>"),
		"404 of Gitea, and not of its registry":                                               answered("start upload", http.StatusNotFound, http.Header{"Content-Type": {"text/plain;charset=utf-8"}, "Set-Cookie": {"i_like_gitea=1"}}, "Not found.\n"),
		"404 that is not of the registry":                                                     answered("start upload", http.StatusNotFound, page, "<html>"),
		"408, 499, 504 or 524":                                                                answered("finish upload", http.StatusGatewayTimeout, fromProxy("nginx"), "<html>"),
		"502 or 503 that is not of the registry":                                              answered("finish upload", http.StatusServiceUnavailable, page, "<html><body><h1>503 Service Unavailable</h1>"),
		"another failure that is not of the registry":                                         answered("finish upload", http.StatusInternalServerError, nil, ""),
		"a page for browsers at `/v2/`":                                                       answered("ask registry", http.StatusOK, page, "<html>"),
		"a failure of the storage that the registry leads to":                                 ofStorage,
		"another answer that is not of the registry":                                          answered("ask registry", http.StatusMethodNotAllowed, fromProxy("nginx"), "<html>"),
		"401 of a server that took the credential before, or is unwell":                       busy,
		"401 or 403 of the registry that the image, or a layer, is read from":                 &registry.SourceError{Host: "git.example.com", Repository: "acme/app", Err: answered("get blob", http.StatusForbidden, http.Header{"Docker-Distribution-Api-Version": {"registry/2.0"}}, "")},
		"404 of the registry that the image, or a layer, is read from":                        &registry.MissingError{Err: &registry.SourceError{Host: "git.example.com", Repository: "acme/app", Err: answered("get blob", http.StatusNotFound, http.Header{"Docker-Distribution-Api-Version": {"registry/2.0"}}, "")}},
		"an image, or a layer, with other bytes than those of its digest":                     &registry.UploadError{Err: fmt.Errorf("%w: %w", registry.ErrSource, image.ErrDigest)},
		"a chain of certificates that ends below the pinned authority":                        unfinished(&x509.Certificate{Raw: []byte("r"), RawSubject: []byte("root"), IsCA: true}),
		"`x509: certificate signed by unknown authority`, and the server does not show which": unfinished(),
		"a certificate whose name stands in CN alone":                                         named("git.example.com", &x509.Certificate{Raw: []byte("c"), Subject: pkix.Name{CommonName: "git.example.com"}}),
		"a certificate with an address among its names":                                       named("192.0.2.1", &x509.Certificate{Raw: []byte("c"), DNSNames: []string{"192.0.2.1"}}),
		"`--plain-http` or `http://`, and the server speaks TLS":                              answered("ask registry", http.StatusBadRequest, nil, "Client sent an HTTP request to an HTTPS server.\n"),
		"TLS, and the server speaks plain HTTP":                                               tlsError(errors.New("http: server gave HTTP response to HTTPS client")),
		"a signature by SHA-1 or MD5, or a key of less than 1024 bits":                        tlsError(errors.New("tls: invalid signature by the server certificate: crypto/rsa: 512-bit keys are insecure")),
		"400, and a client certificate is missing or another is wanted":                       answered("ask registry", http.StatusBadRequest, fromProxy("nginx"), "<center>No required SSL certificate was sent</center>"),
		"a certificate other than the one that was pinned":                                    tlsError(x509.UnknownAuthorityError{}, certificate),
		"`x509: certificate signed by unknown authority`":                                     tlsError(x509.UnknownAuthorityError{}),
		"`x509: certificate is valid for …, not …`":                                           tlsError(x509.HostnameError{Certificate: certificate, Host: "other.example.com"}),
		"another fault of the certificate, or of one that signed it":                          tlsError(x509.CertificateInvalidError{Cert: certificate, Reason: x509.CANotAuthorizedForThisName}),
		"`x509: certificate has expired or is not yet valid`":                                 tlsError(x509.CertificateInvalidError{Cert: certificate, Reason: x509.Expired}),
		"another failure of the TLS handshake":                                                &registry.TLSError{Host: "git.example.com", Err: errors.New("remote error: tls: certificate required")},
		"an unknown host below `localtest.me` or another name for this machine":               &net.DNSError{Name: "gitea.cnoe.localtest.me", IsNotFound: true},
		"407 from the proxy of this machine":                                                  &registry.ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Proxy: "proxy:3128", Status: 407},
		"`HTTPS_PROXY` names what is no proxy, or one that speaks TLS itself":                 &registry.ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Proxy: "proxy:3128", Status: 405},
		"another answer of the proxy of this machine":                                         &registry.ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Proxy: "proxy:3128", Status: 403},
		"a proxy of this machine that cannot be reached":                                      &registry.ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Proxy: "proxy:3128", Err: refused("192.0.2.1")},
		"`HTTPS_PROXY` or `HTTP_PROXY` makes no sense":                                        &registry.ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Err: errors.New("its value is not the address of a proxy")},
		"a resolver that does not answer":                                                     &net.DNSError{Name: "git.example.com", IsTimeout: true},
		"an unknown host":                                                                     &net.DNSError{Name: "git.example.con", IsNotFound: true},
		"connection refused by this machine":                                                  refused("127.0.0.1"),
		"connection refused by another machine":                                               refused("192.0.2.1"),
		"no route to the host":                                                                os.NewSyscallError("connect", syscall.EHOSTUNREACH),
		"silence in both directions, or an answer without an end":                             &registry.UnreachableError{Host: "git.example.com", Err: fmt.Errorf("%w: %w", registry.ErrStalled, os.ErrDeadlineExceeded)},
		"the limit of `--timeout`":                                                            fmt.Errorf("%w after 1s", context.DeadlineExceeded),
		"a connection, or its TLS handshake, that does not come about in time":                &registry.UnreachableError{Host: "git.example.com", Err: &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}},
		"a connection that broke off, and again when tried again":                             &registry.UnreachableError{Host: "git.example.com", Err: &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}},
		"the realm has http, and the registry https":                                          ofKind(http.StatusUnauthorized, registry.ErrRealm, "http://git.example.com/v2/token"),
		"the realm is of another host or port":                                                ofKind(http.StatusUnauthorized, registry.ErrRealm, "https://gitea:3000/v2/token"),
		"the clocks of this machine and the server differ":                                    fmt.Errorf("%w: the server's is 1h ahead", registry.ErrClock),
		"401, and no credential was given":                                                    denied401(registry.Identity{Anonymous: true}, registry.Account{}),
		"401, and the account has a security key":                                             unauthorized(registry.Account{Status: http.StatusUnauthorized, SecurityKey: true}),
		"401, and the account may not sign in":                                                denied401(user, registry.Account{Status: http.StatusForbidden, Barred: true}),
		"401 to a login with a password alone":                                                ofAPIAnswer("", 1),
		"401 to a login with a password and a one-time code":                                  ofAPIAnswer("", 2),
		"401, and the API knows the token":                                                    unauthorized(registry.Account{Status: http.StatusForbidden}),
		"401, also from the API":                                                              unauthorized(registry.Account{Status: http.StatusUnauthorized}),
		"401":                                                                                 unauthorized(registry.Account{}),
		"401 `reqPackageAccess`, anonymous in the registry's eyes":                            denied401(registry.Identity{UserID: -1, Anonymous: true}, registry.Account{}),
		"401 `reqPackageAccess`, with the token of a job":                                     denied401(registry.Identity{UserID: -2, Actions: true}, registry.Account{}),
		"401 `reqPackageAccess`, and the token lacks the scope":                               denied401(registry.Identity{UserID: 5, Scope: "read:package"}, registry.Account{}),

		"403 `reqToken`": answered("start upload", http.StatusForbidden, text, "reqToken\n"),
		"401 `reqPackageAccess` under one's own name":                  denied401(user, registry.Account{Status: http.StatusOK, Name: "Acme"}),
		"401 `reqPackageAccess`":                                       denied401(user, registry.Account{Status: http.StatusOK, Name: "alice"}),
		"404 `Not found.`":                                             answered("start upload", http.StatusNotFound, text, "Not found.\n"),
		"400 `NAME_INVALID` or `Tag is invalid` from the server":       coded(http.StatusBadRequest, "NAME_INVALID", ""),
		"403 without a text, of a blob, or 413 `enforcePackagesQuota`": answered("upload blob", http.StatusForbidden, fromRegistry(), ""),
		"403 without a text, of a manifest":                            answered("put manifest 1", http.StatusForbidden, fromRegistry(), ""),
		"413 of a manifest":                                            coded(http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", "Manifest exceeds maximum size"),
		"429":                                                          answered("upload blob", http.StatusTooManyRequests, nil, ""),
		"404 `BLOB_UNKNOWN` of a manifest":                             coded(http.StatusNotFound, "BLOB_UNKNOWN", ""),
		"layers that the source lacks":                                 &registry.MissingError{Digests: []digest.Digest{digest.FromString("layer")}},
		"layers that a manifest names by a URL":                        &registry.MissingError{Digests: []digest.Digest{digest.FromString("layer")}, Foreign: true, Err: &registry.SourceError{Host: "mcr.example.com", Err: registry.ErrBlobUnknown}},
		"layers that a file or directory lacks":                        &registry.MissingError{Digests: []digest.Digest{digest.FromString("layer")}, File: true},
		"400 `DIGEST_INVALID` of another digest than SHA-256": &registry.UploadError{
			Digest: digest.SHA512.FromString("layer"), Err: coded(http.StatusBadRequest, "DIGEST_INVALID", ""),
		},
		"404 `MANIFEST_BLOB_UNKNOWN` of an index":    coded(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", ""),
		"400 `SIZE_INVALID`":                         coded(http.StatusBadRequest, "SIZE_INVALID", ""),
		"501 `UNSUPPORTED`":                          coded(http.StatusNotImplemented, "UNSUPPORTED", "Schema version is not supported"),
		"400 `MANIFEST_INVALID`":                     coded(http.StatusBadRequest, "MANIFEST_INVALID", ""),
		"400 `DIGEST_INVALID`":                       coded(http.StatusBadRequest, "DIGEST_INVALID", ""),
		"404 `BLOB_UPLOAD_UNKNOWN`, again and again": coded(http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", ""),
		"400, 404 or 416 `BLOB_UPLOAD_INVALID`":      coded(http.StatusNotFound, "BLOB_UPLOAD_INVALID", ""),
		"404 `MANIFEST_UNKNOWN`":                     coded(http.StatusNotFound, "MANIFEST_UNKNOWN", ""),
		"500 without a text":                         answered("finish upload", http.StatusInternalServerError, fromRegistry(), ""),
		"no space left on this machine":              &os.PathError{Op: "write", Path: "spool", Err: syscall.ENOSPC},
		"nothing to push":                            registry.ErrNoSource,
	}
	for _, row := range registry.Rows() {
		err := situations[row.Seen]
		if err == nil {
			t.Errorf("no situation for %q", row.Seen)
			continue
		}
		delete(situations, row.Seen)
		wrapped := fmt.Errorf("push git.example.com/acme/app:1: %w", err)
		for _, first := range registry.Rows() {
			if first.Fits(wrapped) {
				if first.Seen != row.Seen {
					t.Errorf("%q is taken for %q", row.Seen, first.Seen)
				}
				break
			}
		}
		d := registry.Diagnose(err)
		if d.Cause == "" || d.Hint == "" || strings.ContainsAny(withoutMatchers(d), "{}") {
			t.Errorf("%q: got %+v", row.Seen, d)
		}
		if answer, ok := errors.AsType[*registry.Error](err); ok {
			answer.URL = strings.Replace(answer.URL, "https:", "http:", 1)
			if hint := registry.Diagnose(err).Hint; strings.Contains(hint, "https://git.example.com") {
				t.Errorf("%q: of plain HTTP: %s", row.Seen, hint)
			}
		}
		if strings.Contains(d.Cause+d.Hint, "HOST") && !strings.Contains(row.Hint, "HOST") {
			t.Errorf("%q does not know the host: %+v", row.Seen, d)
		}
	}
	for seen := range situations {
		t.Errorf("no row for %q", seen)
	}
	if d := registry.Diagnose(errors.New("something else")); d != (registry.Diagnosis{}) {
		t.Errorf("got %+v for an unknown error", d)
	}
}

// withoutMatchers is a diagnosis without the braces of haproxy's own language.
func withoutMatchers(d registry.Diagnosis) string {
	return strings.ReplaceAll(d.Cause+d.Hint, "{ path_beg /v2/ }", "")
}

// A check does not send people to a check.
func TestChecksDoNotNameThemselves(t *testing.T) {
	t.Parallel()
	err := &registry.UnreachableError{Host: "git.example.com", Err: registry.ErrStalled}
	const itself = "docker gitea check git.example.com"
	if hint := registry.Diagnose(err).Hint; !strings.Contains(hint, itself) {
		t.Errorf("got %q", hint)
	}
	if hint := registry.Failed("registry", err).Hint; strings.Contains(hint, itself) || !strings.Contains(hint, "try again; behind a proxy") {
		t.Errorf("a check says %q", hint)
	}
}

// The API tells more than the registry, which answers 401 to all of these.
func TestAccountsThatMayNotSignIn(t *testing.T) {
	t.Parallel()
	for message, barred := range map[string]bool{
		"This account is not activated.": true,
		"This account is prohibited from signing in, please contact your site administrator.": true,
		// Forgejo 13 options/locale_next/locale_en-US.json, error.must_enable_2fa.
		"This Forgejo instance requires users to enable two-factor authentication before they can access their accounts. Enable it at: https://git.example.com/user/settings/security": true,
		"token does not have at least one of required scope(s): [read:user]": false,
	} {
		if got := registry.AccountOf(http.StatusForbidden, "", message).Barred; got != barred {
			t.Errorf("%q: barred is %v", message, got)
		}
	}
}

// Forgejo's quota is the same for blobs and manifests, in the words of no registry.
func TestFullQuotaOfForgejo(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"start upload", "put manifest 1"} {
		err := answered(op, http.StatusRequestEntityTooLarge, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, "enforcePackagesQuota\n")
		if cause := registry.Diagnose(err).Cause; !errors.Is(err, registry.ErrQuota) || registry.Temporary(err) || !strings.Contains(cause, "the quota that Forgejo gives acme") {
			t.Errorf("%s: got %v, because %s", op, err, cause)
		}
	}
}
