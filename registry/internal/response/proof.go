package response

import (
	"net/http"
	"path"
	"strings"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// OfRegistry is nil when the answer to /v2/ is that of a registry which
// lets the client in.
func OfRegistry(resp *http.Response) error {
	kind := MediaType(resp.Header)
	atHome := resp.Request.URL.Path == "/v2/"
	switch {
	case strayed(resp) != nil: //nolint:bodyclose // an answer that led elsewhere, whose body was closed then
		return Redirection("ask registry", strayed(resp), resp.Request.URL) //nolint:bodyclose // an answer that led elsewhere, whose body was closed then
	case resp.StatusCode == http.StatusOK && atHome && speaks(resp, kind):
		return nil
	case resp.StatusCode == http.StatusOK:
		e := Error("ask registry", resp.Request, resp)
		e.Kind = registry.ErrNotRegistry
		return e
	}
	return Error("ask registry", resp.Request, resp)
}

// speaks reports whether an answer to /v2/ is one that a registry gives. The
// specification asks for the status alone; registries send a header, an empty
// JSON object, or nothing.
func speaks(resp *http.Response, kind string) bool {
	return kind != "text/html" && (resp.Header.Get(HeaderVersion) != "" || kind == "application/json" || resp.ContentLength == 0)
}

// A sign-in page in front of a network, or a proxy that leads to another
// server, answers everything with 200 and a page. An answer counts when it
// proves itself:
//
//	what was asked                   what proves that it went well
//	HEAD of a blob or a manifest     the digest in the header; of a blob also that
//	                                 the registry led the way to its storage
//	the end of a blob's upload       the digest in Docker-Content-Digest or Location;
//	                                 else a HEAD that does, else the blob's bytes
//	other steps of an upload         nothing: its end does
//	PUT of a manifest                the digest in the header; else the bytes that
//	                                 the tag leads to afterwards
//	GET of a manifest or a blob      the bytes, or the manifest's own form
//	DELETE of a manifest             the header of a registry; else that a HEAD does
//	                                 not find it any more
//	GET of /v2/                      the header of a registry, or JSON, or no body
//	GET of a list                    a document with that list
//	GET of a token                   a token; whether it is good the next request tells

// Names reports whether an answer names d, in the one header that is for that,
// or as the last part of where the blob or manifest is (OCI distribution
// specification, end-4b, end-6, end-7).
func Names(resp *http.Response, d digest.Digest) bool {
	if d == "" {
		return false
	}
	if header := resp.Header.Get("Docker-Content-Digest"); header != "" {
		return header == d.String()
	}
	location, _, _ := strings.Cut(resp.Header.Get("Location"), "?")
	return resp.StatusCode == http.StatusCreated && path.Base(location) == d.String()
}

// LedByRegistry reports whether resp came by a redirection that was a
// registry's own: distribution leads to S3, GCS or Azure what it has found.
func LedByRegistry(resp *http.Response) bool {
	if resp.Request == nil || resp.Request.Response == nil {
		return false
	}
	by := resp.Request.Response
	return by.Header.Get(HeaderVersion) != ""
}

// ledElsewhere reports whether that redirection led to another origin.
func ledElsewhere(resp *http.Response) bool {
	if !LedByRegistry(resp) || resp.Request.Response.Request == nil {
		return false
	}
	from, to := resp.Request.Response.Request.URL, resp.Request.URL
	return from.Scheme != to.Scheme || endpoint.Canonical(from) != endpoint.Canonical(to)
}

// Unproven is the error that an answer is which says that all is well, but
// proves nothing.
func Unproven(op string, req *http.Request, resp *http.Response, what string) *registry.Error {
	e := &registry.Error{Op: op, Method: req.Method, URL: printable.Bare(req.URL), Status: resp.StatusCode, Message: what}
	if e.By, e.Server = whoAnswered(resp, "", nil); e.By.Foreign() {
		e.Kind = registry.ErrNotRegistry
	}
	return e
}
