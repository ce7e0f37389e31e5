package registry

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/internal/fronts"
	"github.com/docker-gitea/docker-gitea/test/doctest"
)

var update = flag.Bool("update", false, "write the diagnoses into docs/troubleshooting.md")

// answered is the error of an answer, as the client makes it.
func answered(op string, status int, header http.Header, body string) *Error {
	req := &http.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: "git.example.com", Path: "/v2/acme/app/blobs/uploads/"}}
	if header == nil {
		header = http.Header{}
	}
	return responseError(op, req, &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: req})
}

func fromRegistry() http.Header { return http.Header{headerVersion: {"registry/2.0"}} }

func fromProxy(name string) http.Header { return http.Header{"Server": {name}} }

func coded(status int, code, message string) *Error {
	return answered("put manifest 1", status, fromRegistry(), fmt.Sprintf(`{"errors":[{"code":%q,"message":%q}]}`, code, message))
}

// denied401 is Gitea's answer to those who may not.
func denied401(identity Identity, account Account) error {
	e := answered("start upload", http.StatusUnauthorized, http.Header{"Www-Authenticate": {`Basic realm="Gitea Package API"`}, "Content-Type": {"text/plain"}}, "reqPackageAccess\n")
	e.Identity, e.Account = identity, account
	return e
}

func unauthorized(account Account) *Error {
	e := answered("get token", http.StatusUnauthorized, fromRegistry(), "")
	e.Account = account
	return e
}

// ofAPIAnswer is the refusal of a login with a password, of so many factors.
func ofAPIAnswer(message string, factors int) error {
	req := &http.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: "git.example.com", Path: "/api/v1/users/me/tokens"}}
	body := fmt.Sprintf(`{"message":%q,"url":"https://git.example.com/api/swagger"}`, message)
	e := AnswerError("make an access token", &http.Response{StatusCode: http.StatusUnauthorized, Body: io.NopCloser(strings.NewReader(body)), Request: req})
	e.Account.Factors = factors
	return e
}

func ofKind(status int, kind error, message string) error {
	return &Error{Op: "ask registry", URL: "https://git.example.com/v2/", Status: status, Message: message, Kind: kind}
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
		return fmt.Errorf("ask registry: %w", &TLSError{Host: "git.example.com", Certificates: []*x509.Certificate{certificate}, Pinned: pinned, Err: err})
	}
	text := http.Header{"Content-Type": {"text/plain;charset=utf-8"}}
	user := Identity{UserID: 5, Scope: "write:package"}
	leads := func(to string) error {
		return answered("start upload", http.StatusMovedPermanently, http.Header{"Location": {to}}, "")
	}
	leaf := &x509.Certificate{Raw: []byte("l"), RawSubject: []byte("leaf"), RawIssuer: []byte("intermediate")}
	unfinished := func(pinned ...*x509.Certificate) error {
		return &TLSError{Host: "git.example.com", Certificates: []*x509.Certificate{leaf}, Pinned: pinned, Err: x509.UnknownAuthorityError{}}
	}
	named := func(host string, c *x509.Certificate) error {
		return &TLSError{Host: "git.example.com", Certificates: []*x509.Certificate{c}, Err: x509.HostnameError{Certificate: c, Host: host}}
	}
	plainHTTP := answered("start upload", http.StatusMovedPermanently, http.Header{"Location": {"https://git.example.com/v2/acme/app/blobs/uploads/"}}, "")
	plainHTTP.URL = "http://git.example.com/v2/acme/app/blobs/uploads/"
	ofStorage := answered("get blob", http.StatusForbidden, http.Header{"Content-Type": {"application/xml"}}, "<Error>")
	ofStorage.By, ofStorage.Kind = ByStorage, ErrNotRegistry
	busy := unauthorized(Account{})
	busy.Kind = ErrBusy
	page := http.Header{"Content-Type": {"text/html"}}
	situations := map[string]error{
		"a redirection to another name of the owner or the image":                             leads("/v2/new/app/blobs/uploads/"),
		"a redirection from http to https":                                                    plainHTTP,
		"a redirection to another host":                                                       leads("https://gitea.example.com/v2/acme/app/blobs/uploads/"),
		"a redirection to a page, such as a sign-in":                                          leads("/user/login"),
		"a redirection that is not followed":                                                  fmt.Errorf("%w: from https to http", ErrRedirected),
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
		"401 or 403 of the registry that the image, or a layer, is read from":                 &SourceError{"git.example.com", "acme/app", answered("get blob", http.StatusForbidden, http.Header{"Docker-Distribution-Api-Version": {"registry/2.0"}}, "")},
		"404 of the registry that the image, or a layer, is read from":                        &MissingError{Err: &SourceError{"git.example.com", "acme/app", answered("get blob", http.StatusNotFound, http.Header{"Docker-Distribution-Api-Version": {"registry/2.0"}}, "")}},
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
		"another failure of the TLS handshake":                                                &TLSError{Host: "git.example.com", Err: errors.New("remote error: tls: certificate required")},
		"an unknown host below `localtest.me` or another name for this machine":               &net.DNSError{Name: "gitea.cnoe.localtest.me", IsNotFound: true},
		"407 from the proxy of this machine":                                                  &ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Proxy: "proxy:3128", Status: 407},
		"another answer of the proxy of this machine":                                         &ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Proxy: "proxy:3128", Status: 403},
		"a proxy of this machine that cannot be reached":                                      &ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Proxy: "proxy:3128", Err: refused("192.0.2.1")},
		"`HTTPS_PROXY` or `HTTP_PROXY` makes no sense":                                        &ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Err: errors.New("its value is no address of a proxy")},
		"a resolver that does not answer":                                                     &net.DNSError{Name: "git.example.com", IsTimeout: true},
		"an unknown host":                                                                     &net.DNSError{Name: "git.example.con", IsNotFound: true},
		"connection refused by this machine":                                                  refused("127.0.0.1"),
		"connection refused by another machine":                                               refused("192.0.2.1"),
		"no route to the host":                                                                os.NewSyscallError("connect", syscall.EHOSTUNREACH),
		"silence in both directions, or an answer without an end":                             &UnreachableError{"git.example.com", fmt.Errorf("%w: %w", ErrStalled, os.ErrDeadlineExceeded)},
		"the limit of `--timeout`":                                                            fmt.Errorf("%w after 1s", context.DeadlineExceeded),
		"a connection, or its TLS handshake, that does not come about in time":                &UnreachableError{"git.example.com", &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}},
		"a connection that broke off, and again when tried again":                             &UnreachableError{"git.example.com", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}},
		"the realm has http, and the registry https":                                          ofKind(http.StatusUnauthorized, ErrRealm, "http://git.example.com/v2/token"),
		"the realm is of another host or port":                                                ofKind(http.StatusUnauthorized, ErrRealm, "https://gitea:3000/v2/token"),
		"the clocks of this machine and the server differ":                                    fmt.Errorf("%w: the server's is 1h ahead", ErrClock),
		"401, and no credential was given":                                                    denied401(Identity{Anonymous: true}, Account{}),
		"401, and the account has a security key":                                             unauthorized(Account{Status: http.StatusUnauthorized, SecurityKey: true}),
		"401, and the account may not sign in":                                                denied401(user, Account{Status: http.StatusForbidden, Barred: true}),
		"401 to a login with a password alone":                                                ofAPIAnswer("", 1),
		"401 to a login with a password and a one-time code":                                  ofAPIAnswer("", 2),
		"401, and the API knows the token":                                                    unauthorized(Account{Status: http.StatusForbidden}),
		"401, also from the API":                                                              unauthorized(Account{Status: http.StatusUnauthorized}),
		"401":                                                                                 unauthorized(Account{}),
		"401 `reqPackageAccess`, anonymous in the registry's eyes":                            denied401(Identity{UserID: ghostUser, Anonymous: true}, Account{}),
		"401 `reqPackageAccess`, with the token of a job":                                     denied401(Identity{UserID: -2, Actions: true}, Account{}),
		"401 `reqPackageAccess`, and the token lacks the scope":                               denied401(Identity{UserID: 5, Scope: "read:package"}, Account{}),

		"403 `reqToken`": answered("start upload", http.StatusForbidden, text, "reqToken\n"),
		"401 `reqPackageAccess` under one's own name":            denied401(user, Account{Status: http.StatusOK, Name: "Acme"}),
		"401 `reqPackageAccess`":                                 denied401(user, Account{Status: http.StatusOK, Name: "alice"}),
		"404 `Not found.`":                                       answered("start upload", http.StatusNotFound, text, "Not found.\n"),
		"400 `NAME_INVALID` or `Tag is invalid` from the server": coded(http.StatusBadRequest, codeNameInvalid, ""),
		"403 without a text, of a blob":                          answered("upload blob", http.StatusForbidden, fromRegistry(), ""),
		"403 without a text, of a manifest":                      answered("put manifest 1", http.StatusForbidden, fromRegistry(), ""),
		"413 of a manifest":                                      coded(http.StatusRequestEntityTooLarge, codeManifestInvalid, "Manifest exceeds maximum size"),
		"429":                                                    answered("upload blob", http.StatusTooManyRequests, nil, ""),
		"404 `BLOB_UNKNOWN` of a manifest":                       coded(http.StatusNotFound, codeBlobUnknown, ""),
		"layers that the source lacks":                           &MissingError{Digests: []digest.Digest{digest.FromString("layer")}},
		"layers that a file or directory lacks":                  &MissingError{Digests: []digest.Digest{digest.FromString("layer")}, File: true},
		"400 `DIGEST_INVALID` of another digest than SHA-256": &UploadError{
			Digest: digest.SHA512.FromString("layer"), Err: coded(http.StatusBadRequest, codeDigestInvalid, ""),
		},
		"404 `MANIFEST_BLOB_UNKNOWN` of an index":    coded(http.StatusNotFound, codeManifestBlobUnknown, ""),
		"400 `SIZE_INVALID`":                         coded(http.StatusBadRequest, codeSizeInvalid, ""),
		"501 `UNSUPPORTED`":                          coded(http.StatusNotImplemented, "UNSUPPORTED", "Schema version is not supported"),
		"400 `MANIFEST_INVALID`":                     coded(http.StatusBadRequest, codeManifestInvalid, ""),
		"400 `DIGEST_INVALID`":                       coded(http.StatusBadRequest, codeDigestInvalid, ""),
		"404 `BLOB_UPLOAD_UNKNOWN`, again and again": coded(http.StatusNotFound, codeBlobUploadUnknown, ""),
		"400, 404 or 416 `BLOB_UPLOAD_INVALID`":      coded(http.StatusNotFound, codeBlobUploadInvalid, ""),
		"404 `MANIFEST_UNKNOWN`":                     coded(http.StatusNotFound, codeManifestUnknown, ""),
		"500 without a text":                         answered("finish upload", http.StatusInternalServerError, fromRegistry(), ""),
		"no space left on this machine":              &os.PathError{Op: "write", Path: "spool", Err: syscall.ENOSPC},
		"nothing to push":                            ErrNoSource,
	}
	for _, row := range diagnoses {
		err := situations[row.seen]
		if err == nil {
			t.Errorf("no situation for %q", row.seen)
			continue
		}
		delete(situations, row.seen)
		f := takeApart(fmt.Errorf("push git.example.com/acme/app:1: %w", err))
		for _, first := range diagnoses {
			if first.fits(f) {
				if first.seen != row.seen {
					t.Errorf("%q is taken for %q", row.seen, first.seen)
				}
				break
			}
		}
		d := Diagnose(err)
		if d.Cause == "" || d.Hint == "" || strings.ContainsAny(withoutMatchers(d), "{}") {
			t.Errorf("%q: got %+v", row.seen, d)
		}
		if strings.Contains(d.Cause+d.Hint, "HOST") && !strings.Contains(row.hint, "HOST") {
			t.Errorf("%q does not know the host: %+v", row.seen, d)
		}
	}
	for seen := range situations {
		t.Errorf("no row for %q", seen)
	}
	if d := Diagnose(errors.New("something else")); d != (Diagnosis{}) {
		t.Errorf("got %+v for an unknown error", d)
	}
}

// withoutMatchers is a diagnosis without the braces of haproxy's own language.
func withoutMatchers(d Diagnosis) string {
	return strings.ReplaceAll(d.Cause+d.Hint, "{ path_beg /v2/ }", "")
}

// The tables in docs/troubleshooting.md are made from the rows.
func TestDiagnosesAreDocumented(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("| seen | cause | what to do |\n|---|---|---|\n")
	placeholder := strings.NewReplacer("{", "*", "}", "*", "|", `\|`)
	for _, row := range diagnoses {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.seen, placeholder.Replace(row.cause), placeholder.Replace(row.hint))
	}
	doctest.Section(t, "../docs/troubleshooting.md", "diagnoses", b.String(), *update)
	b.Reset()
	b.WriteString("| in front of Gitea | *size* | *time* | *route* | *deny* | *login* |\n|---|---|---|---|---|---|\n")
	for _, p := range fronts.All {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", orElse(p.Name, "anything else"), p.Size, p.Time, p.Route, p.Deny, p.Login)
	}
	doctest.Section(t, "../docs/troubleshooting.md", "fronts", b.String(), *update)
}

// A host that drops what is sent to it is not the time limit of the push.
func TestConnectTimeoutIsNoTimeLimit(t *testing.T) {
	t.Parallel()
	transport, err := NewTransport(RegistryConfig{URL: "https://127.0.0.1:1"}, &Options{ConnectTimeout: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1:1/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&meter{base: transport, log: slog.New(slog.DiscardHandler)}).RoundTrip(req)
	if err == nil {
		drain(resp)
		t.Fatal("connected in a nanosecond")
	}
	if d := Diagnose(err); !strings.Contains(d.Cause, "does not answer") || errors.Is(err, context.DeadlineExceeded) || !Temporary(err) {
		t.Errorf("got %v: %+v", err, d)
	}
}
