package registry

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
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

	"github.com/docker-gitea/docker-gitea/test/doctest"
)

var update = flag.Bool("update", false, "write the diagnoses into docs/troubleshooting.md")

// answered is the error of an answer, as the client makes it.
func answered(op string, status int, header http.Header, body string) *Error {
	req := &http.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: "git.example.com", Path: "/v2/acme/app/blobs/uploads/"}}
	if header == nil {
		header = http.Header{}
	}
	return responseError(op, req, &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))})
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

func unauthorized(account Account) error {
	e := answered("get token", http.StatusUnauthorized, fromRegistry(), "")
	e.Account = account
	return e
}

func ofKind(status int, kind error, message string) error {
	return &Error{Op: "ask registry", URL: "https://git.example.com/v2/", Status: status, Message: message, kind: kind}
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
	situations := map[string]error{
		"`--plain-http` or `http://`, and the server speaks TLS":                answered("ask registry", http.StatusBadRequest, nil, "Client sent an HTTP request to an HTTPS server.\n"),
		"TLS, and the server speaks plain HTTP":                                 tlsError(errors.New("http: server gave HTTP response to HTTPS client")),
		"a signature by SHA-1 or MD5, or a key of less than 1024 bits":          tlsError(errors.New("tls: invalid signature by the server certificate: crypto/rsa: 512-bit keys are insecure")),
		"400, and a client certificate is missing or another is wanted":         answered("ask registry", http.StatusBadRequest, fromProxy("nginx"), "<center>No required SSL certificate was sent</center>"),
		"another answer that is not of the registry":                            answered("ask registry", http.StatusMethodNotAllowed, fromProxy("nginx"), "<html>"),
		"a certificate other than the one that was pinned":                      tlsError(x509.UnknownAuthorityError{}, certificate),
		"`x509: certificate signed by unknown authority`":                       tlsError(x509.UnknownAuthorityError{}),
		"`x509: certificate is valid for …, not …`":                             tlsError(x509.HostnameError{Certificate: certificate, Host: "other.example.com"}),
		"another fault of the certificate, or of one that signed it":            tlsError(x509.CertificateInvalidError{Cert: certificate, Reason: x509.CANotAuthorizedForThisName}),
		"`x509: certificate has expired or is not yet valid`":                   tlsError(x509.CertificateInvalidError{Cert: certificate, Reason: x509.Expired}),
		"another failure of the TLS handshake":                                  &TLSError{Host: "git.example.com", Err: errors.New("remote error: tls: certificate required")},
		"an unknown host below `localtest.me` or another name for this machine": &net.DNSError{Name: "gitea.cnoe.localtest.me", IsNotFound: true},
		"407 from the proxy of this machine":                                    &ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Proxy: "proxy:3128", Status: 407},
		"another answer of the proxy of this machine":                           &ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Proxy: "proxy:3128", Status: 403},
		"a proxy of this machine that cannot be reached":                        &ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Proxy: "proxy:3128", Err: refused("192.0.2.1")},
		"`HTTPS_PROXY` or `HTTP_PROXY` makes no sense":                          &ProxyError{Host: "git.example.com", Variable: "HTTPS_PROXY", Err: errProxyAddress},
		"a resolver that does not answer":                                       &net.DNSError{Name: "git.example.com", IsTimeout: true},
		"an unknown host":                                                       &net.DNSError{Name: "git.example.con", IsNotFound: true},
		"connection refused by this machine":                                    refused("127.0.0.1"),
		"connection refused by another machine":                                 refused("192.0.2.1"),
		"no route to the host":                                                  os.NewSyscallError("connect", syscall.EHOSTUNREACH),
		"silence in both directions, or an answer without an end":               hostError{"git.example.com", fmt.Errorf("%w: %w", ErrStalled, os.ErrDeadlineExceeded)},
		"the limit of `--timeout`":                                              fmt.Errorf("%w after 1s", context.DeadlineExceeded),
		"a connection, or its TLS handshake, that does not come about in time":  hostError{"git.example.com", &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}},
		"a connection that broke off, and again when tried again":               hostError{"git.example.com", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}},
		"404 at `/v2/`, not from a registry":                                    ofKind(http.StatusNotFound, ErrNotRegistry, ""),
		"a page or a redirection at `/v2/`":                                     ofKind(http.StatusOK, ErrNotRegistry, ""),
		"the realm has http, and the registry https":                            ofKind(http.StatusUnauthorized, ErrRealm, "http://git.example.com/v2/token"),
		"the realm is of another host or port":                                  ofKind(http.StatusUnauthorized, ErrRealm, "https://gitea:3000/v2/token"),
		"the clocks of this machine and the server differ":                      fmt.Errorf("%w: the server's is 1h ahead", ErrClock),
		"401, and no credential was given":                                      denied401(Identity{Anonymous: true}, Account{}),
		"401, and the account has a security key":                               unauthorized(Account{Status: http.StatusUnauthorized, SecurityKey: true}),
		"401, and the account may not sign in":                                  denied401(user, Account{Status: http.StatusForbidden, Barred: true}),
		"401, and the API knows the token":                                      unauthorized(Account{Status: http.StatusForbidden}),
		"401, also from the API":                                                unauthorized(Account{Status: http.StatusUnauthorized}),
		"401":                                                                   unauthorized(Account{}),
		"403 from a proxy":                                                      answered("start upload", http.StatusForbidden, fromProxy("cloudflare"), "<html>"),
		"401 `reqPackageAccess`, anonymous in the registry's eyes":              denied401(Identity{UserID: ghostUser, Anonymous: true}, Account{}),
		"401 `reqPackageAccess`, with the token of a job":                       denied401(Identity{UserID: -2, Actions: true}, Account{}),
		"401 `reqPackageAccess`, and the token lacks the scope":                 denied401(Identity{UserID: 5, Scope: "read:package"}, Account{}),

		"403 `reqToken`": answered("start upload", http.StatusForbidden, text, "reqToken\n"),
		"401 `reqPackageAccess` under one's own name":            denied401(user, Account{Status: http.StatusOK, Name: "Acme"}),
		"401 `reqPackageAccess`":                                 denied401(user, Account{Status: http.StatusOK, Name: "alice"}),
		"404 `Not found.`":                                       answered("start upload", http.StatusNotFound, text, "Not found.\n"),
		"a redirection":                                          answered("start upload", http.StatusTemporaryRedirect, http.Header{"Location": {"/v2/new/app/blobs/uploads/"}}, ""),
		"400 `NAME_INVALID` or `Tag is invalid` from the server": coded(http.StatusBadRequest, codeNameInvalid, ""),
		"403 without a text, of a blob":                          answered("upload blob", http.StatusForbidden, fromRegistry(), ""),
		"403 without a text, of a manifest":                      answered("put manifest 1", http.StatusForbidden, fromRegistry(), ""),
		"413 of a manifest":                                      coded(http.StatusRequestEntityTooLarge, codeManifestInvalid, "Manifest exceeds maximum size"),
		"413 from Cloudflare":                                    answered("upload blob", http.StatusRequestEntityTooLarge, fromProxy("cloudflare"), ""),
		"413 from nginx":                                         answered("upload blob", http.StatusRequestEntityTooLarge, fromProxy("nginx/1.22"), ""),
		"413 from Caddy":                                         answered("upload blob", http.StatusRequestEntityTooLarge, fromProxy("Caddy"), ""),
		"413 from Apache":                                        answered("upload blob", http.StatusRequestEntityTooLarge, fromProxy("Apache/2.4.57 (Debian)"), ""),
		"413":                                                    answered("upload blob", http.StatusRequestEntityTooLarge, nil, ""),
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
		"502, 503 or 504 from a proxy":               answered("finish upload", http.StatusGatewayTimeout, fromProxy("nginx"), "<html>"),
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
		if d.Cause == "" || d.Hint == "" || strings.ContainsAny(placeholderless(d), "{}") {
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

// placeholderless is a diagnosis without the braces that nginx's own language
// has.
func placeholderless(d Diagnosis) string {
	return strings.ReplaceAll(d.Cause+d.Hint, "location /v2/ { proxy_pass …; }", "")
}

// The tables in docs/troubleshooting.md are made from the rows.
func TestDiagnosesAreDocumented(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("| seen | cause | what to do |\n|---|---|---|\n")
	placeholder := strings.NewReplacer("{ proxy_pass …; }", "{ proxy_pass …; }", "{", "*", "}", "*", "|", `\|`)
	for _, row := range diagnoses {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.seen, placeholder.Replace(row.cause), placeholder.Replace(row.hint))
	}
	doctest.Section(t, "../docs/troubleshooting.md", "diagnoses", b.String(), *update)
}
