package giteaapi

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// Version is one version of an image: a tag, or a manifest without one, which
// is called by its digest.
type Version struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Created time.Time `json:"created_at"`
	// Page is the address of its page, as the server believes it to be.
	Page string `json:"html_url"`
	// Repository is what the image is linked to, if that is anything that the
	// client may see.
	Repository *Repository `json:"repository"`
}

// Repository is a repository of code.
type Repository struct {
	FullName string `json:"full_name"`
}

// Linked is the name of the repository that the image is linked to, or empty.
func (v Version) Linked() string {
	if v.Repository == nil || !repositoryName.MatchString(v.Repository.FullName) {
		return ""
	}
	return v.Repository.FullName
}

// What names look like. They end up in addresses, commands and completions, and
// what is none is left out. Owners are written as they like, and repositories.
//
// Source: Gitea 1.26 modules/validation/helpers.go, models/repo/repo.go; OCI
// distribution specification, tags; image specification, digests.
var (
	ownerName      = regexp.MustCompile(`^[A-Za-z0-9](?:[._-]?[A-Za-z0-9_])*$`)
	repositoryName = regexp.MustCompile(`^[A-Za-z0-9](?:[._-]?[A-Za-z0-9_])*/[A-Za-z0-9._-]+$`)
	imageName      = regexp.MustCompile(`^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$`)
	versionName    = regexp.MustCompile(`^(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[A-Fa-f0-9]{32,})$`)
)

func (v Version) named() bool {
	return imageName.MatchString(v.Name) && versionName.MatchString(v.Version)
}

// pageSize is the most that a server gives at once, unless its settings say
// otherwise.
const pageSize = "50"

// Versions are the versions of the images of owner, the newest first; with a
// name only those of that image. None is no error: the server answers alike
// for an image that does not exist.
//
// (GET /packages/{owner}/container/{name} gives the same for one image from
// Gitea 1.24 on; the list is filtered here to suit older servers.)
func (c *Client) Versions(ctx context.Context, owner, name string) ([]Version, error) {
	query := url.Values{"type": {"container"}, "limit": {pageSize}}
	if name != "" {
		query.Set("q", name)
	}
	var all []Version
	// Pages are counted: the links to them have the path of ROOT_URL.
	for page, more := 1, true; more; page++ {
		query.Set("page", strconv.Itoa(page))
		var versions []Version
		var err error
		more, err = c.call(ctx, "list packages", http.MethodGet, "/packages/"+url.PathEscape(owner)+"?"+query.Encode(), &versions)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			if v.named() && (name == "" || v.Name == name) {
				all = append(all, v)
			}
		}
		more = more && len(versions) > 0
	}
	return all, nil
}

// Link links an image to a repository of the same owner. An image that is
// linked already is an [*Error] with status 400, whatever it is linked to.
//
// Source: Gitea 1.26 services/packages/package_update.go, LinkToRepository.
func (c *Client) Link(ctx context.Context, owner, name, repository string) error {
	_, err := c.call(ctx, "link the package", http.MethodPost, packagePath(owner, name)+"/-/link/"+url.PathEscape(repository), nil)
	return err
}

// Unlink takes the link of an image away. Without one it is an [*Error] with
// status 400.
func (c *Client) Unlink(ctx context.Context, owner, name string) error {
	_, err := c.call(ctx, "unlink the package", http.MethodPost, packagePath(owner, name)+"/-/unlink", nil)
	return err
}

// Owners are the names that the client may own packages under: its own and
// those of its organisations. What its token may not ask for is left out.
func (c *Client) Owners(ctx context.Context) ([]string, error) {
	var self struct {
		Login string `json:"login"`
	}
	if _, err := c.call(ctx, "ask who you are", http.MethodGet, "/user", &self); err != nil {
		return nil, err
	}
	owners := named(nil, self.Login)
	var organisations []struct {
		Username string `json:"username"`
	}
	if _, err := c.call(ctx, "list organisations", http.MethodGet, "/user/orgs?limit="+pageSize, &organisations); err != nil {
		return owners, nil //nolint:nilerr // a token may be good for the one and not for the other
	}
	for _, o := range organisations {
		owners = named(owners, o.Username)
	}
	return owners, nil
}

// named adds a name that an owner may have.
func named(owners []string, name string) []string {
	if !ownerName.MatchString(name) {
		return owners
	}
	return append(owners, name)
}

func packagePath(owner, name string) string {
	return "/packages/" + url.PathEscape(owner) + "/container/" + url.PathEscape(name)
}
