package registry

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// What went wrong. Test for these with errors.Is; the types below say where.
var (
	// ErrNameInvalid: a reference or tag breaks the server's rules.
	ErrNameInvalid = errors.New("invalid name")
	// ErrNoSource: a push has neither a source nor a daemon to take it from.
	ErrNoSource = errors.New("no image source")
	// ErrUnauthorized: there is no credential, or it is refused.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrDenied: the credential is good, but may not do this.
	ErrDenied = errors.New("denied")
	// ErrOwnerUnknown: the registry has no such user or organisation.
	ErrOwnerUnknown = errors.New("owner unknown")
	// ErrNotRegistry: what answers is no container registry, but a proxy, another
	// web server or a page for browsers.
	ErrNotRegistry = errors.New("not a container registry")
	// ErrBlobUnknown: a manifest names a blob that the registry lacks.
	ErrBlobUnknown = errors.New("blob unknown")
	// ErrManifestUnknown: the registry has no such manifest.
	ErrManifestUnknown = errors.New("manifest unknown")
	// ErrRepositoryUnknown: the registry has no such image.
	ErrRepositoryUnknown = errors.New("repository unknown")
	// ErrTagExists: a tag that was not to be moved stands at another image.
	ErrTagExists = errors.New("tag exists")
	// ErrUnsupported: the registry does not do this at all.
	ErrUnsupported = errors.New("not supported by the registry")
	// ErrManifestInvalid: the registry refuses the manifest.
	ErrManifestInvalid = errors.New("manifest invalid")
	// ErrUploadUnknown: the registry has lost an upload session.
	ErrUploadUnknown = errors.New("upload unknown")
	// ErrDigestMismatch: what the registry holds is not what was sent.
	ErrDigestMismatch = errors.New("digest mismatch")
	// ErrTooLarge: a request body is over a limit, mostly of a proxy.
	ErrTooLarge = errors.New("request body too large")
	// ErrQuota: the registry's limit on size or number is reached.
	ErrQuota = errors.New("quota exceeded")
	// ErrRateLimited: too many requests.
	ErrRateLimited = errors.New("rate limited")
	// ErrServer: the server failed.
	ErrServer = errors.New("server error")
	// ErrBusy: the server refuses a credential that it accepted before, or while it
	// reports that it is unhealthy: it has no time or no connection to look it up.
	ErrBusy = errors.New("server overloaded")
	// ErrStalled: nothing moved in either direction for too long.
	ErrStalled = errors.New("connection stalled")
	// ErrWantsTLS: the server speaks TLS, and was asked without.
	ErrWantsTLS = errors.New("server speaks TLS")
	// ErrWantsCertificate: the server wants a client certificate, or another.
	ErrWantsCertificate = errors.New("client certificate wanted")
	// ErrRealm: the registry names a token service that is not its own.
	ErrRealm = errors.New("token service elsewhere")
	// ErrClock: this machine's clock and the server's differ.
	ErrClock = errors.New("clocks differ")
	// ErrNoProxy: what the environment names as a proxy does not answer as one.
	ErrNoProxy = errors.New("it does not answer as a proxy")
	// ErrPlainStorage: a registry leads to its storage without TLS.
	ErrPlainStorage = errors.New("from https to its storage without TLS")
	// ErrRedirected: the server leads to another place that is not followed.
	ErrRedirected = errors.New("redirect not followed")
)

// TagError is a tag that stands at another image than it was to be set to, and was
// not to be moved. It is [ErrTagExists].
type TagError struct {
	Tag string
	// Present is where the tag stands. Wanted is the manifest that it was to be set
	// to or, where that is not known before the image is read, the image's ID.
	Present, Wanted digest.Digest
}

func (e *TagError) Error() string {
	return fmt.Sprintf("the tag %q exists: it is %s, and the image is %s", e.Tag, e.Present, e.Wanted)
}

// Is makes it [ErrTagExists].
func (e *TagError) Is(target error) bool { return target == ErrTagExists }

// Error is an answer of the server that is no success.
type Error struct {
	// Op is what was being done: "start upload", "put manifest".
	Op string
	// Method and URL are the request's; the URL has no query.
	Method string
	URL    string
	// Status is the HTTP status code.
	Status int
	// Code and Message are the first error of the response body, if it has
	// one (OCI distribution specification, "Error codes"). They come from the
	// server: the message is shortened and free of control characters.
	Code    string
	Message string
	// By is who gave the answer, and Server the name of that, as its header or its
	// page has it; it may be empty.
	By     Answerer
	Server string
	// Location is where a redirection leads, without its query.
	Location string
	// After is how long the request had taken by then, where it had a body.
	After time.Duration
	// RetryAfter is the server's wish, zero where it has none.
	RetryAfter time.Duration
	// LimitEnds is the same, however long: of a 429 it is when the limit ends.
	LimitEnds time.Duration
	// Identity is whom the registry took the client for, where the answer
	// refuses something to it.
	Identity Identity
	// Account is what the server's own API says of a credential that its
	// registry refuses.
	Account Account
	// Origin is where the credential came from that is refused.
	Origin Origin
	// Kind is what the answer means: one of the errors above, or nil.
	Kind error
}

// Error reads "put manifest: 403 Forbidden: DENIED: quota exceeded".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d", e.Status)
	}
	if text := http.StatusText(e.Status); text != "" {
		b.WriteString(" " + text)
	}
	for _, part := range []string{e.Code, e.Message} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	if e.By.Foreign() {
		fmt.Fprintf(&b, " (answered by %s, not by the registry)", orElse(e.Server, "something else"))
	}
	if e.Kind == ErrRateLimited && e.LimitEnds > 0 { //nolint:errorlint // as below
		fmt.Fprintf(&b, " (the limit ends in %v)", e.LimitEnds.Round(time.Second))
	}
	if e.Kind == ErrDenied && e.Origin != (Origin{}) && !e.Identity.Anonymous { //nolint:errorlint // it is a kind, and wraps nothing
		b.WriteString(" (with " + e.Origin.phrase() + ")")
	}
	return b.String()
}

// Who is the user that the registry took the client for, in words.
func (e *Error) Who() string {
	switch {
	case e.Account.Name != "":
		return e.Account.Name
	case e.Identity.UserID > 0:
		return "user number " + strconv.FormatInt(e.Identity.UserID, 10)
	}
	return "you"
}

// Is reports what the answer means.
func (e *Error) Is(target error) bool {
	return target == e.Kind || target == ErrRedirected && redirects(e.Status)
}

// NameError is a reference or tag that the server would refuse.
type NameError struct {
	// Input is what was given and Fault why it is refused.
	Input string
	Fault string
	// Suggestion is the corrected name, empty where there is none.
	Suggestion string
}

// Error gives the fault and the corrected name.
func (e *NameError) Error() string {
	message := fmt.Sprintf("invalid name %q: %s", printable.Clip(e.Input), e.Fault)
	if e.Suggestion != "" {
		message += fmt.Sprintf(" (did you mean %q?)", printable.Clip(e.Suggestion))
	}
	return message
}

// Is makes every NameError an [ErrNameInvalid].
func (e *NameError) Is(target error) bool { return target == ErrNameInvalid }

// UploadError is a blob that could not be sent.
type UploadError struct {
	// Name is the blob's place in its source; Digest is empty while unknown.
	Name   string
	Digest digest.Digest
	// Size is the number of bytes of the blob, 0 while unknown.
	Size int64
	// Attempts counts the tries.
	Attempts int
	// Err is the last cause.
	Err error
}

// Error reads "blob sha256:ab12cd…: …".
func (e *UploadError) Error() string {
	name := e.Name
	if e.Digest != "" {
		name = e.Digest.String()
	}
	if e.Attempts > 1 {
		return fmt.Sprintf("blob %s: %v (tried %d times)", name, e.Err, e.Attempts)
	}
	return fmt.Sprintf("blob %s: %v", name, e.Err)
}

// Unwrap gives the cause.
func (e *UploadError) Unwrap() error { return e.Err }

// MissingError is an image with layers that its source does not hold, that the
// registry does not have, and that could not be fetched.
type MissingError struct {
	Digests []digest.Digest
	// File says that nobody knew where the image came from: its source is a
	// file or a directory.
	File bool
	// Foreign says that a manifest names one of them by a URL, which was not asked.
	Foreign bool
	// Err is why they could not be fetched, nil where nobody knew from where.
	// It is of another registry than the push, and therefore not unwrapped.
	Err error
}

// Error names the layers.
func (e *MissingError) Error() string {
	var names []string
	for _, d := range e.Digests {
		names = append(names, d.String())
	}
	message := "neither the source nor the registry has " + strings.Join(names, ", ")
	if e.Err != nil {
		message += "; fetching failed: " + printable.Clean(e.Err.Error())
	}
	return message
}

// Is makes every MissingError an [ErrBlobUnknown].
func (e *MissingError) Is(target error) bool { return target == ErrBlobUnknown }

// source is why they could not be fetched, nil where nobody was asked.
func (e *MissingError) source() *SourceError {
	source, _ := errors.AsType[*SourceError](e.Err)
	return source
}

// SourceError is a failure to read a blob from a registry, which may be another
// one than that of the push.
type SourceError struct {
	Host, Repository string
	// Err is the cause, such as an [*Error].
	Err error
}

// Error reads "git.example.com/me/app: get blob: 404 Not Found".
func (e *SourceError) Error() string { return e.Host + "/" + e.Repository + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// TLSError is a server certificate that is not accepted, or a client
// certificate that cannot be used.
type TLSError struct {
	Host string
	// Certificates are what the server showed, leaf first; it may be empty.
	Certificates []*x509.Certificate
	// Pinned are the certificates that were pinned for the host, if any.
	Pinned []*x509.Certificate
	// Err is the cause, such as [x509.UnknownAuthorityError].
	Err error
}

// Error reads "git.example.com: tls: …". What it quotes of a certificate cannot
// steer a terminal.
func (e *TLSError) Error() string { return e.Host + ": " + printable.Clean(e.Err.Error()) }

// Unwrap gives the cause.
func (e *TLSError) Unwrap() error { return e.Err }

// PlainHTTP reports that the answer to a TLS handshake was plain HTTP.
func (e *TLSError) PlainHTTP() bool { return speaksPlainHTTP(e.Err) }

// UnreachableError is a failure on the way to a host. Host says which one; the text may
// not.
type UnreachableError struct {
	// Host is the one that was asked.
	Host string
	// Err is the cause.
	Err error
}

// Error is the text of the cause, in which net/http quotes what a server sent.
func (e *UnreachableError) Error() string { return printable.Clean(e.Err.Error()) }

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Printable keeps what others wrote from steering a terminal (CWE-150): it is
// one line, without control characters and direction marks.
func Printable(s string) string { return printable.Line(s) }

// ProxyError is a failure of the proxy that the environment of this machine
// names for requests: the registry was not reached. It tells no credential.
type ProxyError struct {
	// Host is the registry's.
	Host string
	// Variable is "HTTPS_PROXY" or "HTTP_PROXY", after the request's scheme;
	// the same in lower case counts as well.
	Variable string
	// Proxy is the proxy's host and port; empty where the variable has none.
	Proxy string
	// Status is the proxy's answer, 0 without one.
	Status int
	// Err is the cause, nil where the proxy answered.
	Err error
}

// Error reads "proxy proxy.example.com:3128 of HTTPS_PROXY: 403 Forbidden".
func (e *ProxyError) Error() string {
	switch {
	case e.Proxy == "":
		return fmt.Sprintf("proxy of %s: %v", e.Variable, e.Err)
	case e.Status != 0:
		return fmt.Sprintf("proxy %s of %s: %d %s", e.Proxy, e.Variable, e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("proxy %s of %s: %v", e.Proxy, e.Variable, e.Err)
}

// Unwrap gives the cause.
func (e *ProxyError) Unwrap() error { return e.Err }
