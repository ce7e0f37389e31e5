package remote

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// ReadAnswer reads the body of an answer to [Client.Ask], at most n bytes,
// which have to come within a time that fits their number. The caller closes it.
func ReadAnswer(resp *http.Response, n int64) ([]byte, error) {
	return response.ReadWithin(resp.Body, n, response.Patience(n))
}

// NextPage is the path, with its query, of the next page, by the Link header of
// an answer to [Client.Ask]; empty if there is none. It is on the registry's
// host, whatever host the link names.
func NextPage(resp *http.Response) string { return repo.NextPage(resp) }

// Ask sends a request, with the client's credential, to another API of the
// registry's server, such as Gitea's own. The caller has to know that this API
// is there. address is the escaped path, with its query. The caller closes the
// body of the answer, whatever its status. A redirect to another origin is
// itself the answer: what others say of the registry is not believed.
func (c *Client) Ask(ctx context.Context, method, address string) (*http.Response, error) {
	s, req, err := c.question(ctx, method, address)
	if err != nil {
		return nil, err
	}
	return s.Direct(req, address, s.Within)
}

// Look is a GET like that of Ask, but without the credential: anybody's program
// may be at address.
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
// tells. Forgejo's registry names its token service below that path. Gitea's
// names it at the root of the host, wherever the pages are. ok is false if the
// registry is neither's: then no API on this host belongs to it.
func (c *Client) Root(ctx context.Context) (root string, ok bool, err error) {
	s, err := c.conn(ctx, false, nil)
	if err != nil {
		return "", false, err
	}
	resp, err := s.PingBare(ctx, wire.Stay)
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
// host. It must be a path, because it is used on the registry's host: "@other"
// is none.
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

// Origin is "https://HOST" or "http://HOST". If it is not known which, Origin
// finds out first.
func (c *Client) Origin(ctx context.Context) (string, error) {
	s, err := c.conn(ctx, false, nil)
	if err != nil {
		return "", err
	}
	return s.Endpoint().URL(""), nil
}
