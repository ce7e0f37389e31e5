package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// maxListing bounds one page of a list.
const maxListing = 8 << 20

// All are the names of all repositories that the registry shows. Registries may
// refuse to tell.
func All(ctx context.Context, conn *wire.Conn) ([]string, error) {
	var all []string
	err := pages(ctx, conn, "list repositories", "/v2/_catalog?n=100", func(body []byte) (int, error) {
		var page struct {
			Repositories []string `json:"repositories"`
		}
		err := readList(body, "repositories", &page)
		all = append(all, matching(page.Repositories, func(name string) bool { return registry.CheckRepository(name) == nil })...)
		return len(page.Repositories), err
	})
	return all, err
}

// tagsOfPage is how many tags to ask for at once. Registries that give fewer say so by a
// link.
const tagsOfPage = 1000

// Tags are the tags of the repository, as the registry sorts them.
func (r Repo) Tags(ctx context.Context) ([]string, error) {
	var all []string
	err := pages(ctx, r.Conn, "list tags", fmt.Sprintf("/v2/%s/tags/list?n=%d", r.Name, tagsOfPage), func(body []byte) (int, error) {
		var page struct {
			Tags []string `json:"tags"`
		}
		err := readList(body, "tags", &page)
		all = append(all, matching(page.Tags, registry.ValidTag)...)
		if len(page.Tags) < tagsOfPage && r.Conn.Traits().Gitea() {
			return 0, err // its link would lead to an empty page
		}
		return len(page.Tags), err
	})
	return all, err
}

// Referrers are the descriptors of the manifests that refer to a manifest. tells is
// false where the registry has no API for that (OCI distribution specification,
// "Listing Referrers"): it then answers 404, or with what is no such list. A refusal is
// no such answer: what refers to the manifest is not known then.
func (r Repo) Referrers(ctx context.Context, subject digest.Digest) (all []ocispec.Descriptor, tells bool, err error) {
	tells = true
	err = pages(ctx, r.Conn, "list what refers to "+subject.String(), "/v2/"+r.Name+"/referrers/"+subject.String(), func(body []byte) (int, error) {
		var page ocispec.Index
		err := readList(body, "manifests", &page)
		if tells = err == nil && page.SchemaVersion == 2; !tells {
			return 0, nil // another list, or none: a registry without the API
		}
		all = append(all, page.Manifests...)
		return len(page.Manifests), nil
	})
	answer, ok := err.(*registry.Error) //nolint:errorlint // of this request, and of no other that it took
	if ok && slices.Contains(noSuchAPI, answer.Status) {
		return nil, false, nil
	}
	return Digested(all), tells && err == nil, err
}

// noSuchAPI are what registries answer to a request for an API that they do not have. The
// specification has 404 alone; the others are of registries that read the path as another.
//
// Source: go-containerregistry pkg/v1/remote/referrers.go, fetchReferrers.
var noSuchAPI = []int{
	http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
	http.StatusUnsupportedMediaType, http.StatusNotImplemented,
}

// ReferrersTag is the tag under which a client lists what refers to a manifest, for a
// registry that does not ("Referrers Tag Schema" of the specification).
func ReferrersTag(subject digest.Digest) string {
	return fmt.Sprintf("%.32s-%.64s", subject.Algorithm(), subject.Encoded())
}

// Digested leaves out what a list of manifests has no business to hold.
func Digested(all []ocispec.Descriptor) []ocispec.Descriptor {
	return slices.DeleteFunc(all, func(d ocispec.Descriptor) bool { return d.Digest.Validate() != nil })
}

// matching leaves out what a list of names has no business to hold: names end
// up in addresses, and on terminals.
func matching(names []string, valid func(string) bool) []string {
	return slices.DeleteFunc(names, func(name string) bool { return !valid(name) })
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

// maxPages bounds a list whose next page is always there. Gitea's pages hold
// 100 names where nobody asks for more.
const maxPages = 1000

// pages reads a list page by page, as the Link header leads on. All pages together have
// the time of the largest answer. Gitea links to a next page even from the last one, so
// an empty page is the end too.
func pages(ctx context.Context, conn *wire.Conn, op, address string, read func(page []byte) (int, error)) error {
	end := time.Now().Add(response.Patience(maxListing))
	for range maxPages {
		resp, err := page(ctx, conn, op, address)
		if err != nil {
			return err
		}
		body, err := response.ReadWithin(resp.Body, maxListing, time.Until(end))
		response.Drain(resp)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		n, err := read(body)
		if err != nil {
			return fmt.Errorf("%s: malformed answer: %w", op, err)
		}
		next := NextPage(resp)
		if n == 0 || next == "" || next == address {
			return nil
		}
		if u, err := url.Parse(next); err != nil || !endpoint.OfRegistry(u) {
			return fmt.Errorf("%s: %w: the next page would be at %q", op, registry.ErrRedirected, printable.Clean(next))
		}
		address = next
	}
	return fmt.Errorf("%s: the list does not end after %d pages", op, maxPages)
}

// page asks for one page of a list.
func page(ctx context.Context, conn *wire.Conn, op, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, conn.Endpoint().URL(address), nil)
	if err != nil {
		return nil, err
	}
	resp, err := perform(conn.Do, op, req)
	if err != nil {
		return nil, err
	}
	return succeeded(op, req, resp)
}

var nextLink = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?next"?`) })

// NextPage is the path, with its query, of the page that the Link header of an
// answer calls the next (RFC 8288); empty where there is none. Whatever host
// the link names, it is of the registry's own: behind a proxy a server may not
// know its name.
func NextPage(resp *http.Response) string {
	for _, header := range resp.Header.Values("Link") {
		match := nextLink().FindStringSubmatch(header)
		if match == nil {
			continue
		}
		u, err := url.Parse(match[1])
		if err != nil {
			return ""
		}
		next := resp.Request.URL.ResolveReference(u)
		if next.Opaque != "" || !strings.HasPrefix(next.EscapedPath(), "/") {
			return "" // as it is, it would become a part of the host
		}
		return (&url.URL{Path: next.Path, RawPath: next.RawPath, RawQuery: next.RawQuery}).RequestURI()
	}
	return ""
}
