package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// maxListing bounds one page of a list.
const maxListing = 8 << 20

// Repositories are the names of all repositories that the registry shows to
// the client, "owner/name". Registries may refuse to tell.
func (c *Client) Repositories(ctx context.Context) ([]string, error) {
	var all []string
	err := c.pages(ctx, "list repositories", "/v2/_catalog?n=100", "registry:catalog:*", func(body []byte) (int, error) {
		var page struct {
			Repositories []string `json:"repositories"`
		}
		err := readList(body, "repositories", &page)
		all = append(all, matching(page.Repositories, func(name string) bool { return registry.CheckRepository(name) == nil })...)
		return len(page.Repositories), err
	})
	return all, err
}

// Tags are the tags of a repository, as the registry sorts them.
//
// Errors: [registry.ErrRepositoryUnknown].
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	var all []string
	err := c.pages(ctx, "list tags", "/v2/"+repository+"/tags/list?n=100", pullScope(repository), func(body []byte) (int, error) {
		var page struct {
			Tags []string `json:"tags"`
		}
		err := readList(body, "tags", &page)
		all = append(all, matching(page.Tags, registry.ValidTag)...)
		return len(page.Tags), err
	})
	return all, err
}

// matching leaves out what a list of names has no business to hold: names end
// up in addresses, and on terminals.
func matching(names []string, valid func(string) bool) []string {
	return slices.DeleteFunc(names, func(name string) bool { return !valid(name) })
}

// Manifest reads the manifest or index that a tag or a digest of a repository
// is. Gitea counts it as a download.
//
// Errors: [registry.ErrManifestUnknown], [registry.ErrDigestMismatch].
func (c *Client) Manifest(ctx context.Context, repository, reference string) (image.Manifest, error) {
	resp, err := c.browse(ctx, "get manifest", http.MethodGet, "/v2/"+repository+"/manifests/"+reference, pullScope(repository))
	if err != nil {
		return image.Manifest{}, err
	}
	defer response.Drain(resp)
	data, err := response.ReadWithin(resp.Body, maxManifest+1, response.Patience(maxManifest))
	if err != nil {
		return image.Manifest{}, fmt.Errorf("get manifest: %w", err)
	}
	found, err := image.ParseManifest(response.MediaType(resp.Header), data)
	if err == nil && strings.Contains(reference, ":") && found.Descriptor.Digest.String() != reference {
		return image.Manifest{}, fmt.Errorf("get manifest %s: %w", reference, registry.ErrDigestMismatch)
	}
	return found, err
}

// ManifestDigest asks for the digest of what a tag or a digest of a repository
// is, and for no more.
//
// Errors: [registry.ErrManifestUnknown].
func (c *Client) ManifestDigest(ctx context.Context, repository, reference string) (digest.Digest, error) {
	resp, err := c.browse(ctx, "find manifest", http.MethodHead, "/v2/"+repository+"/manifests/"+reference, pullScope(repository))
	if err != nil {
		return "", err
	}
	defer response.Drain(resp)
	found, err := digest.Parse(resp.Header.Get("Docker-Content-Digest"))
	if err != nil {
		return "", fmt.Errorf("find manifest: the registry gives no digest: %w", err)
	}
	return found, nil
}

// DeleteManifest removes a tag, or by its digest a manifest with every tag that
// it has.
//
// Errors: [registry.ErrManifestUnknown], [registry.ErrDenied], [registry.ErrUnsupported].
func (c *Client) DeleteManifest(ctx context.Context, repository, reference string) error {
	resp, err := c.browse(ctx, "delete manifest", http.MethodDelete, "/v2/"+repository+"/manifests/"+reference,
		"repository:"+repository+":pull,delete")
	if err != nil {
		return err
	}
	response.Drain(resp)
	if resp.Header.Get(response.HeaderVersion) != "" {
		return nil
	}
	if _, err = c.ManifestDigest(ctx, repository, reference); errors.Is(err, registry.ErrManifestUnknown) {
		return nil
	}
	return cmp.Or(err, error(response.Unproven("delete manifest", resp.Request, resp, "the registry still has it")))
}

// maxConfig is more than any config of an image, in bytes.
const maxConfig = 8 << 20

// Config reads the config of an image: a small blob.
func (c *Client) Config(ctx context.Context, repository string, d digest.Digest) ([]byte, error) {
	resp, err := c.browse(ctx, "get config", http.MethodGet, "/v2/"+repository+"/blobs/"+d.String(), pullScope(repository))
	if err != nil {
		return nil, err
	}
	defer response.Drain(resp)
	data, err := response.ReadWithin(resp.Body, maxConfig, response.Patience(maxConfig))
	if err == nil && digest.FromBytes(data) != d {
		err = registry.ErrDigestMismatch
	}
	if err != nil {
		return nil, fmt.Errorf("get config %s: %w", d, err)
	}
	return data, nil
}

// Ask sends a request to another API of the registry's server, such as Gitea's
// own, with the client's credential: to what is known to be that API. address is
// the escaped path, with its query. The caller closes the body of the answer,
// whatever its status. Of a redirect to another origin the answer is the
// redirect: what others say of the registry is not believed.
func (c *Client) Ask(ctx context.Context, method, address string) (*http.Response, error) {
	s, req, err := c.question(ctx, method, address)
	if err != nil {
		return nil, err
	}
	return s.Direct(req, address, s.Within)
}

// Look is a GET by Ask without the credential, of what may be anybody's.
func (c *Client) Look(ctx context.Context, address string) (*http.Response, error) {
	s, req, err := c.question(ctx, http.MethodGet, address)
	if err != nil {
		return nil, err
	}
	return s.Bare(req, s.Within)
}

// question is a request to a path of the registry's host.
func (c *Client) question(ctx context.Context, method, address string) (*wire.Conn, *http.Request, error) {
	s, err := c.conn(ctx, false, nil)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.Endpoint().URL(address), nil)
	if err != nil {
		return nil, nil, err
	}
	if !s.Owns(req.URL) || req.URL.User != nil {
		return nil, nil, fmt.Errorf("ask %s: %q is no path", c.Host(), printable.Clean(address))
	}
	req.Header.Set("Accept", "application/json")
	return s, req, nil
}

// Root is the path that the pages of Gitea are under, as far as its registry
// tells: Forgejo's names its token service below it, Gitea's at the root of the
// host wherever the pages are. ok is false where the registry is neither's, so
// that no API on this host is its.
func (c *Client) Root(ctx context.Context) (root string, ok bool, err error) {
	s, err := c.conn(ctx, false, nil)
	if err != nil {
		return "", false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint().URL("/v2/"), nil)
	if err != nil {
		return "", false, err
	}
	resp, err := s.Bare(req, wire.Stay)
	if err != nil {
		return "", false, err
	}
	defer response.Drain(resp)
	for _, c := range response.Challenges(resp.Header.Values("WWW-Authenticate")) {
		if c.ByGitea() {
			root, ok = cmp.Or(root, rootOf(c.Params["realm"])), true
		}
	}
	return root, ok, nil
}

// rootOf is the path before that of the token service in a realm, on whatever
// host. As a path of the registry's host it must be one: "@other" is none.
func rootOf(realm string) string {
	u, err := url.Parse(realm)
	if err != nil {
		return ""
	}
	root, ok := strings.CutSuffix(u.EscapedPath(), "/v2/token")
	if !ok || root == "" || path.Clean(root) != root || !strings.HasPrefix(root, "/") {
		return ""
	}
	return root
}

// Origin is "https://HOST" or "http://HOST", which of them is found out first
// if need be.
func (c *Client) Origin(ctx context.Context) (string, error) {
	s, err := c.conn(ctx, false, nil)
	if err != nil {
		return "", err
	}
	return s.Endpoint().URL(""), nil
}

func pullScope(repository string) string { return "repository:" + repository + ":pull" }

// browse sends a request without a body. The caller closes the body of a
// successful answer; any other is an [*registry.Error].
func (c *Client) browse(ctx context.Context, op, method, path, scope string) (*http.Response, error) {
	return c.browseWith(ctx, op, method, path, scope, nil)
}

// browseWith is browse with headers.
func (c *Client) browseWith(ctx context.Context, op, method, path, scope string, header http.Header) (*http.Response, error) {
	s, err := c.conn(ctx, false, wire.Introduce)
	if err != nil {
		return nil, err
	}
	own := wire.NewInfo(scope, c.retries(0))
	own.Requests = wire.InfoOf(ctx).Requests // a push that looks counts this too
	ctx = wire.WithInfo(ctx, own)
	req, err := http.NewRequestWithContext(ctx, method, s.Endpoint().URL(path), nil)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	if strings.Contains(path, "/manifests/") {
		acceptManifests(req)
	}
	resp, err := s.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	page := resp.Header.Get(response.HeaderVersion) == "" && response.ProvesPortal(resp)
	if resp.StatusCode/100 == 2 && !page {
		resp.Request = req // whatever transport it came by
		return resp, nil
	}
	defer response.Drain(resp)
	answer := response.Error(op, req, resp)
	answer.Kind = browsingKind(answer, path)
	return nil, s.Identify(ctx, answer)
}

// browsingKind makes more of an answer than [response.classify] can, which is to judge
// pushes alone.
func browsingKind(e *registry.Error, path string) error {
	switch {
	case e.Status == http.StatusMethodNotAllowed, e.Code == "UNSUPPORTED",
		e.Method == http.MethodDelete && e.Code == response.CodeDigestInvalid: // distribution 2.8, of a tag
		return registry.ErrUnsupported
	case e.Status != http.StatusNotFound:
		return e.Kind
	case e.Code == "NAME_UNKNOWN":
		return registry.ErrRepositoryUnknown
	case e.Method == http.MethodHead && strings.Contains(path, "/manifests/"):
		return registry.ErrManifestUnknown // the answer has no body
	}
	return e.Kind
}

// maxPages bounds a list whose next page is always there. Gitea's pages hold
// 100 names where nobody asks for more.
const maxPages = 1000

// pages reads a list page by page, as the Link header leads on, all of which
// have the time of the largest. Gitea links to
// a next page even from the last one, so that an empty page is the end too.
func (c *Client) pages(ctx context.Context, op, address, scope string, read func(page []byte) (int, error)) error {
	end := time.Now().Add(response.Patience(maxListing))
	for range maxPages {
		resp, err := c.browse(ctx, op, http.MethodGet, address, scope)
		if err != nil {
			return err
		}
		page, err := response.ReadWithin(resp.Body, maxListing, time.Until(end))
		response.Drain(resp)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		n, err := read(page)
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

// ReadAnswer reads the body of an answer to [Client.Ask], at most n bytes,
// which have to come within a time that fits their number. The caller closes it.
func ReadAnswer(resp *http.Response, n int64) ([]byte, error) {
	return response.ReadWithin(resp.Body, n, response.Patience(n))
}
