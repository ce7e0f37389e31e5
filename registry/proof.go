package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	digest "github.com/opencontainers/go-digest"
)

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

// named reports whether an answer names d, in the one header that is for that,
// or as the last part of where the blob or manifest is (OCI distribution
// specification, end-4b, end-6, end-7).
func named(resp *http.Response, d digest.Digest) bool {
	if d == "" {
		return false
	}
	if header := resp.Header.Get("Docker-Content-Digest"); header != "" {
		return header == d.String()
	}
	location, _, _ := strings.Cut(resp.Header.Get("Location"), "?")
	return resp.StatusCode == http.StatusCreated && path.Base(location) == d.String()
}

// ledByRegistry reports whether resp came by a redirection that was a
// registry's own: distribution leads to S3, GCS or Azure what it has found.
func ledByRegistry(resp *http.Response) bool {
	if resp.Request == nil || resp.Request.Response == nil {
		return false
	}
	by := resp.Request.Response
	return by.Header.Get(headerVersion) != ""
}

// unproven is the error that an answer is which says that all is well, but
// proves nothing.
func unproven(op string, req *http.Request, resp *http.Response, what string) *Error {
	e := &Error{Op: op, Method: req.Method, URL: bareURL(req.URL), Status: resp.StatusCode, Message: what}
	if e.By, e.Server = whoAnswered(resp, "", nil); e.By.foreign() {
		e.Kind = ErrNotRegistry
	}
	return e
}

// verify asks whether the blob of an upload is there. Before anything was sent
// an answer that proves nothing is as good as none; afterwards the bytes decide.
func (t *transfer) verify(ctx context.Context, u upload) outcome {
	client := &http.Client{Transport: t.push.stack.auth, CheckRedirect: checkRedirect}
	o := t.find(ctx, client, http.MethodHead, u)
	if u.looking || o.named || o.status == 0 || o.status == http.StatusNotFound || TemporaryStatus(o.status) {
		return o
	}
	return t.find(ctx, client, http.MethodGet, u)
}

// find makes one request for the blob of an upload.
func (t *transfer) find(ctx context.Context, client *http.Client, method string, u upload) outcome {
	req, err := http.NewRequestWithContext(ctx, method, t.push.address("blobs", u.digest.String()), nil)
	if err != nil {
		return outcome{err: err, held: -1, size: -1}
	}
	resp, err := client.Do(req)
	if err != nil {
		return t.known(outcome{err: fmt.Errorf("%s: %w", u.step, unwrapURL(err)), held: -1})
	}
	defer drain(resp)
	o := outcome{status: resp.StatusCode, held: -1}
	switch {
	case resp.StatusCode != http.StatusOK:
		o.err = responseError(u.step.String(), req, resp)
	case method == http.MethodHead:
		o.named = named(resp, u.digest) || ledByRegistry(resp)
	default:
		verifier := u.digest.Verifier()
		_, err := io.Copy(verifier, io.LimitReader(resp.Body, u.size+1))
		if o.named = err == nil && verifier.Verified(); err != nil {
			o = outcome{err: fmt.Errorf("%s: %w", u.step, err), held: -1}
		}
	}
	return t.known(o)
}

// holds reports whether what a tag leads to is data, to the byte.
func (p *push) holds(ctx context.Context, reference string, data []byte) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address("manifests", reference), nil)
	if err != nil {
		return false, err
	}
	acceptManifests(req)
	resp, err := p.stack.http.Do(req)
	if err != nil {
		return false, fmt.Errorf("get manifest: %w", unwrapURL(err))
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusOK {
		return false, nil
	}
	got, err := readWithin(resp.Body, maxManifest+1, patience(maxManifest))
	if err != nil {
		return false, fmt.Errorf("get manifest: %w", err)
	}
	return string(got) == string(data), nil
}

// readList reads a page of a list into one, which must have the list's field:
// any server may answer with some JSON.
func readList(body []byte, field string, page any) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return err
	}
	if _, ok := fields[field]; !ok {
		return errors.New("it has no " + field)
	}
	return json.Unmarshal(body, page)
}
