// Package response reads what comes back from a registry, or from something else in
// its place: who answered, what it proves, what it asks for, and which error it is.
// It makes no request, and decides nothing about another try.
//
// It takes an answer with its request, and gives an [*registry.Error], a digest or a time.
// It reads bodies, and touches nothing else. Begin with error.go.
//
//   - error.go: an answer that is no success, as a [*registry.Error]
//   - answerer.go: who gave it
//   - proof.go: what an answer has to hold to be believed
//   - challenge.go: what a 401 asks for
//   - read.go: the bodies; none is read for ever
package response

import (
	"bytes"
	"cmp"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// The error codes of the OCI distribution specification that we tell apart.
const (
	codeBlobUnknown         = "BLOB_UNKNOWN"
	codeBlobUploadInvalid   = "BLOB_UPLOAD_INVALID"
	codeBlobUploadUnknown   = "BLOB_UPLOAD_UNKNOWN"
	CodeDigestInvalid       = "DIGEST_INVALID"
	codeManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
	codeManifestInvalid     = "MANIFEST_INVALID"
	codeManifestUnknown     = "MANIFEST_UNKNOWN"
	codeNameInvalid         = "NAME_INVALID"
	codeSizeInvalid         = "SIZE_INVALID"
	codeTagInvalid          = "TAG_INVALID"
)

// HeaderVersion is on every answer of a registry itself, except for Gitea's
// texts.
const HeaderVersion = "Docker-Distribution-Api-Version"

// MaxErrorBody is how much is read of an error, in bytes.
const MaxErrorBody = 8 << 10

// Error makes an [*registry.Error] of an answer that is no success. It reads a
// bounded part of the body and leaves closing it to the caller. What another than
// the registry answered after it had led there tells of that alone: the client
// follows without its credential.
func Error(op string, req *http.Request, resp *http.Response) *registry.Error {
	body := ReadBriefly(resp.Body, MaxErrorBody)
	e := &registry.Error{
		Op: op, Method: req.Method, URL: printable.Bare(req.URL), Status: resp.StatusCode, RetryAfter: RetryAfter(resp.Header, time.Now()),
		LimitEnds: Wish(resp.Header, time.Now()),
	}
	e.Code, e.Message = parseErrorBody(resp.Header.Get("Content-Type"), withoutSent(body, resp.Request))
	e.By, e.Server = whoAnswered(resp, e.Code, body)
	if ledElsewhere(resp) { // whatever form it has: its text may be for nobody outside
		e.By, e.Code, e.Message = registry.ByStorage, "", ""
	}
	if e.By == registry.ByGitea && !endpoint.OfRegistry(req.URL) {
		e.By, e.Account = registry.ByAPI, registry.AccountOf(e.Status, "", e.Message)
	}
	if by := strayed(resp); by != nil && (e.By != registry.ByRegistry || resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden) { //nolint:bodyclose // an answer that led elsewhere, whose body was closed then
		return Redirection(op, by, resp.Request.URL)
	}
	if location, err := resp.Location(); isRedirect(e.Status) && err == nil {
		leads(e, location)
	}
	challenges := Challenges(resp.Header.Values("WWW-Authenticate"))
	e.Kind = classify(e, Denied(challenges), len(body) == 0)
	if resp.StatusCode == http.StatusBadRequest {
		e.Kind = cmp.Or(tlsFault(body), e.Kind)
	}
	return e
}

// Redirection is the error that a redirection is, which led to a place where it
// did not go on.
func Redirection(op string, by *http.Response, to *url.URL) *registry.Error {
	e := &registry.Error{Op: op, Method: by.Request.Method, URL: printable.Bare(by.Request.URL), Status: by.StatusCode}
	e.By, e.Server = whoAnswered(by, "", nil)
	leads(e, to)
	e.Kind = classify(e, false, false)
	return e
}

// leads notes where an answer leads.
func leads(e *registry.Error, to *url.URL) {
	e.Location, e.Message = printable.Clean(printable.Bare(to)), "to "+printable.URL(to)
}

// tlsFaults are the answers of a TLS server to a plain request, that of Go's
// server (which Gitea is), nginx and Apache; and nginx's to one without the
// client certificate that it wants.
var tlsFaults = map[string]error{
	"HTTP request to an HTTPS server":           registry.ErrWantsTLS,
	"plain HTTP request was sent to HTTPS port": registry.ErrWantsTLS,
	"speaking plain HTTP to an SSL-enabled":     registry.ErrWantsTLS,
	"No required SSL certificate was sent":      registry.ErrWantsCertificate,
	"The SSL certificate error":                 registry.ErrWantsCertificate,
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
func classify(e *registry.Error, denied, empty bool) error {
	switch {
	case e.By.Foreign():
		return ClassifyForeign(e)
	case e.By == registry.ByAPI:
		return classifyAPI(e)
	}
	switch e.Code {
	case codeBlobUnknown, codeManifestBlobUnknown:
		return registry.ErrBlobUnknown
	case codeBlobUploadUnknown:
		return registry.ErrUploadUnknown
	case codeBlobUploadInvalid:
		if e.Status == http.StatusNotFound {
			return nil // distribution's answer to a part that does not fit
		}
	case CodeDigestInvalid:
		return registry.ErrDigestMismatch
	case codeManifestUnknown:
		return registry.ErrManifestUnknown
	case codeNameInvalid, codeTagInvalid:
		return registry.ErrNameInvalid
	case codeManifestInvalid, codeSizeInvalid:
		if e.Message == "Tag is invalid" {
			return registry.ErrNameInvalid
		}
		if e.Status != http.StatusRequestEntityTooLarge {
			return registry.ErrManifestInvalid
		}
	}
	switch {
	case isRedirect(e.Status):
		return registry.ErrRedirected
	case e.Status == http.StatusUnauthorized && denied:
		return registry.ErrDenied
	case e.Status == http.StatusUnauthorized:
		return registry.ErrUnauthorized
	case e.Status == http.StatusForbidden && empty:
		return registry.ErrQuota // Gitea's answer to a full quota has no body
	case e.Status == http.StatusForbidden:
		return registry.ErrDenied
	case e.Status == http.StatusNotFound:
		return registry.ErrOwnerUnknown
	case e.Status == http.StatusRequestEntityTooLarge && e.Message == forgejoQuota:
		return registry.ErrQuota
	case e.Status == http.StatusRequestEntityTooLarge:
		return registry.ErrTooLarge
	case e.Status == http.StatusTooManyRequests:
		return registry.ErrRateLimited
	case e.Status == http.StatusNotImplemented:
		return registry.ErrManifestInvalid // schema version 1
	case e.Status >= http.StatusInternalServerError:
		return registry.ErrServer
	}
	return nil
}

// ClassifyForeign is classify of an answer that is not the registry's: it may
// tell of the way there, and never of what the registry has or allows.
func ClassifyForeign(e *registry.Error) error {
	switch to, err := url.Parse(e.Location); {
	case isRedirect(e.Status) && e.By != registry.ByPortal && err == nil && endpoint.OfRegistry(to):
		return registry.ErrRedirected
	case e.Status == http.StatusRequestEntityTooLarge:
		return registry.ErrTooLarge
	case e.Status == http.StatusTooManyRequests:
		return registry.ErrRateLimited
	case (e.Status >= http.StatusInternalServerError || registry.TemporaryStatus(e.Status)) && e.By != registry.ByPortal:
		return registry.ErrServer
	}
	return registry.ErrNotRegistry
}

// classifyAPI is classify of an answer of Gitea's API, which says nothing of
// images.
func classifyAPI(e *registry.Error) error {
	switch {
	case isRedirect(e.Status):
		return registry.ErrRedirected
	case e.Status == http.StatusUnauthorized, e.Account.Barred:
		return registry.ErrUnauthorized
	case e.Status == http.StatusTooManyRequests:
		return registry.ErrRateLimited
	case e.Status >= http.StatusInternalServerError:
		return registry.ErrServer
	}
	return nil
}

func isRedirect(status int) bool {
	return status >= http.StatusMultipleChoices && status < http.StatusBadRequest && status != http.StatusNotModified
}
