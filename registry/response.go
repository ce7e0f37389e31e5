package registry

import (
	"bytes"
	"cmp"
	_ "crypto/sha512"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// The error codes of the OCI distribution specification that we tell apart.
const (
	codeBlobUnknown         = "BLOB_UNKNOWN"
	codeBlobUploadInvalid   = "BLOB_UPLOAD_INVALID"
	codeBlobUploadUnknown   = "BLOB_UPLOAD_UNKNOWN"
	codeDigestInvalid       = "DIGEST_INVALID"
	codeManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
	codeManifestInvalid     = "MANIFEST_INVALID"
	codeManifestUnknown     = "MANIFEST_UNKNOWN"
	codeNameInvalid         = "NAME_INVALID"
	codeSizeInvalid         = "SIZE_INVALID"
	codeTagInvalid          = "TAG_INVALID"
)

// headerVersion is on every answer of a registry itself, except for Gitea's
// texts.
const headerVersion = "Docker-Distribution-Api-Version"

const maxErrorBody = 8 << 10

// responseError makes an [*Error] of an answer that is no success. It reads a
// bounded part of the body and leaves closing it to the caller. What another than
// the registry answered after it had led there tells of that alone: the client
// follows without its credential.
func responseError(op string, req *http.Request, resp *http.Response) *Error {
	body := readBriefly(resp.Body, maxErrorBody)
	e := &Error{
		Op: op, Method: req.Method, URL: bareURL(req.URL), Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now()),
	}
	e.Code, e.Message = parseErrorBody(resp.Header.Get("Content-Type"), withoutSent(body, resp.Request))
	e.By, e.Server = whoAnswered(resp, e.Code, body)
	if e.By == ByGitea && !endpoint.OfRegistry(req.URL) {
		e.By, e.Account = ByAPI, AccountOf(e.Status, "", e.Message)
	}
	if by := strayed(resp); by != nil && (e.By != ByRegistry || resp.StatusCode == http.StatusUnauthorized) { //nolint:bodyclose // an answer that led elsewhere, whose body was closed then
		return redirection(op, by, resp.Request.URL)
	}
	if location, err := resp.Location(); isRedirect(e.Status) && err == nil {
		leads(e, location)
	}
	challenges := parseChallenges(resp.Header.Values("WWW-Authenticate"))
	e.Kind = classify(e, denied(challenges), len(body) == 0)
	if resp.StatusCode == http.StatusBadRequest {
		e.Kind = cmp.Or(tlsFault(body), e.Kind)
	}
	return e
}

// redirection is the error that a redirection is, which led to a place where it
// did not go on.
func redirection(op string, by *http.Response, to *url.URL) *Error {
	e := &Error{Op: op, Method: by.Request.Method, URL: bareURL(by.Request.URL), Status: by.StatusCode}
	e.By, e.Server = whoAnswered(by, "", nil)
	leads(e, to)
	e.Kind = classify(e, false, false)
	return e
}

// leads notes where an answer leads.
func leads(e *Error, to *url.URL) {
	e.Location, e.Message = printable.Clean(bareURL(to)), "to "+printable.URL(to)
}

// briefTime bounds the reading of what is not needed: who answers with an
// error may be unable to finish it.
const briefTime = 5 * time.Second

// mediaType is that of a message's body, without parameters.
func mediaType(header http.Header) string {
	kind, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.TrimSpace(kind)
}

// readBriefly reads what arrives soon of a body, at most n bytes.
func readBriefly(body io.ReadCloser, n int64) []byte {
	content, _ := readWithin(body, n, briefTime) // what did arrive is all the better
	return content
}

// patience is how long an answer of at most n bytes may take. Who sends a byte
// now and then, for ever, never stalls.
func patience(n int64) time.Duration {
	const leastRate = 32 << 10 // bytes a second
	return 30*time.Second + time.Duration(n/leastRate)*time.Second
}

// ReadAnswer reads the body of an answer to [Client.Ask], at most n bytes,
// which have to come within a time that fits their number. The caller closes it.
func ReadAnswer(resp *http.Response, n int64) ([]byte, error) {
	return readWithin(resp.Body, n, patience(n))
}

// readWithin reads a body of at most n bytes that has to end within limit.
func readWithin(body io.ReadCloser, n int64, limit time.Duration) ([]byte, error) {
	var late atomic.Bool
	timer := time.AfterFunc(limit, func() {
		late.Store(true)
		_ = body.Close()
	})
	defer timer.Stop()
	content, err := io.ReadAll(io.LimitReader(body, n))
	if err != nil && late.Load() {
		err = fmt.Errorf("%w: the answer takes longer than %v", ErrStalled, limit)
	}
	return content, err
}

// tlsFaults are the answers of a TLS server to a plain request, that of Go's
// server (which Gitea is), nginx and Apache; and nginx's to one without the
// client certificate that it wants.
var tlsFaults = map[string]error{
	"HTTP request to an HTTPS server":           ErrWantsTLS,
	"plain HTTP request was sent to HTTPS port": ErrWantsTLS,
	"speaking plain HTTP to an SSL-enabled":     ErrWantsTLS,
	"No required SSL certificate was sent":      ErrWantsCertificate,
	"The SSL certificate error":                 ErrWantsCertificate,
}

func tlsFault(body []byte) error {
	for text, fault := range tlsFaults {
		if bytes.Contains(body, []byte(text)) {
			return fault
		}
	}
	return nil
}

// parseErrorBody reads {"errors":[{"code","message"}]}, or takes a line of
// plain text as the message. Of a page made for browsers it keeps nothing.
func parseErrorBody(contentType string, body []byte) (code, message string) {
	var wire struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
		Details string `json:"details"` // of token services
		Message string `json:"message"` // of Gitea's API
	}
	if json.Unmarshal(body, &wire) == nil {
		if len(wire.Errors) > 0 {
			return printable.Clean(wire.Errors[0].Code), printable.Clean(wire.Errors[0].Message)
		}
		return "", printable.Clean(cmp.Or(wire.Details, wire.Message))
	}
	if kind, _, _ := mime.ParseMediaType(contentType); kind == "text/plain" {
		line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		return "", printable.Clean(line)
	}
	return "", ""
}

// classify is the one place that knows what an answer means. (Gitea 1.26
// routers/api/packages/container; OCI distribution specification, "Error
// Codes".)
func classify(e *Error, denied, empty bool) error {
	switch {
	case e.By.foreign():
		return classifyForeign(e)
	case e.By == ByAPI:
		return classifyAPI(e)
	}
	switch e.Code {
	case codeBlobUnknown, codeManifestBlobUnknown:
		return ErrBlobUnknown
	case codeBlobUploadUnknown:
		return ErrUploadUnknown
	case codeBlobUploadInvalid:
		if e.Status == http.StatusNotFound {
			return nil // distribution's answer to a part that does not fit
		}
	case codeDigestInvalid:
		return ErrDigestMismatch
	case codeManifestUnknown:
		return ErrManifestUnknown
	case codeNameInvalid, codeTagInvalid:
		return ErrNameInvalid
	case codeManifestInvalid, codeSizeInvalid:
		if e.Message == "Tag is invalid" {
			return ErrNameInvalid
		}
		if e.Status != http.StatusRequestEntityTooLarge {
			return ErrManifestInvalid
		}
	}
	switch {
	case isRedirect(e.Status):
		return ErrRedirected
	case e.Status == http.StatusUnauthorized && denied:
		return ErrDenied
	case e.Status == http.StatusUnauthorized:
		return ErrUnauthorized
	case e.Status == http.StatusForbidden && empty:
		return ErrQuota // Gitea's answer to a full quota has no body
	case e.Status == http.StatusForbidden:
		return ErrDenied
	case e.Status == http.StatusNotFound:
		return ErrOwnerUnknown
	case e.Status == http.StatusRequestEntityTooLarge && e.Message == "quota exceeded":
		return ErrQuota // Forgejo
	case e.Status == http.StatusRequestEntityTooLarge:
		return ErrTooLarge
	case e.Status == http.StatusTooManyRequests:
		return ErrRateLimited
	case e.Status == http.StatusNotImplemented:
		return ErrManifestInvalid // schema version 1
	case e.Status >= http.StatusInternalServerError:
		return ErrServer
	}
	return nil
}

// classifyForeign is classify of an answer that is not the registry's: it may
// tell of the way there, and never of what the registry has or allows.
func classifyForeign(e *Error) error {
	switch to, err := url.Parse(e.Location); {
	case isRedirect(e.Status) && e.By != ByPortal && err == nil && endpoint.OfRegistry(to):
		return ErrRedirected
	case e.Status == http.StatusRequestEntityTooLarge:
		return ErrTooLarge
	case e.Status == http.StatusTooManyRequests:
		return ErrRateLimited
	case (e.Status >= http.StatusInternalServerError || TemporaryStatus(e.Status)) && e.By != ByPortal:
		return ErrServer
	}
	return ErrNotRegistry
}

// classifyAPI is classify of an answer of Gitea's API, which says nothing of
// images.
func classifyAPI(e *Error) error {
	switch {
	case isRedirect(e.Status):
		return ErrRedirected
	case e.Status == http.StatusUnauthorized, e.Account.Barred:
		return ErrUnauthorized
	case e.Status == http.StatusTooManyRequests:
		return ErrRateLimited
	case e.Status >= http.StatusInternalServerError:
		return ErrServer
	}
	return nil
}

func isRedirect(status int) bool {
	return status >= http.StatusMultipleChoices && status < http.StatusBadRequest && status != http.StatusNotModified
}

// bareURL is u without user information and query.
func bareURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
