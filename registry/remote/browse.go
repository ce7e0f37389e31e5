package remote

import (
	"context"
	"io"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Repositories are the names of all repositories that the registry shows to
// the client, "owner/name". Registries may refuse to tell.
func (c *Client) Repositories(ctx context.Context) ([]string, error) {
	r, ctx, err := c.look(ctx, "", "registry:catalog:*")
	if err != nil {
		return nil, err
	}
	all, err := repo.All(ctx, r.Conn)
	return all, told(ctx, r, err)
}

// Tags are the tags of a repository, as the registry sorts them.
//
// Errors: [registry.ErrRepositoryUnknown].
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	r, ctx, err := c.look(ctx, repository, pull(repository))
	if err != nil {
		return nil, err
	}
	all, err := r.Tags(ctx)
	return all, told(ctx, r, err)
}

// Manifest reads the manifest or index that a tag or a digest of a repository
// leads to. Gitea counts it as a download.
//
// Errors: [registry.ErrManifestUnknown], [registry.ErrDigestMismatch].
func (c *Client) Manifest(ctx context.Context, repository, reference string) (image.Manifest, error) {
	r, ctx, err := c.look(ctx, repository, pull(repository))
	if err != nil {
		return image.Manifest{}, err
	}
	m, err := r.Manifest(ctx, reference)
	return m, told(ctx, r, err)
}

// ManifestDigest asks only for the digest of the manifest or index that a tag
// or a digest of a repository leads to.
//
// Errors: [registry.ErrManifestUnknown].
func (c *Client) ManifestDigest(ctx context.Context, repository, reference string) (digest.Digest, error) {
	r, ctx, err := c.look(ctx, repository, pull(repository))
	if err != nil {
		return "", err
	}
	d, err := r.Digest(ctx, reference)
	return d, told(ctx, r, err)
}

// Delete removes a tag, or, given a digest, a manifest with every tag that it
// has.
//
// Errors: [registry.ErrManifestUnknown], [registry.ErrDenied], [registry.ErrUnsupported].
func (c *Client) Delete(ctx context.Context, repository, reference string) error {
	r, ctx, err := c.look(ctx, repository, "repository:"+repository+":pull,delete")
	if err != nil {
		return err
	}
	return told(ctx, r, r.Delete(ctx, reference))
}

// Config reads the config of an image: a small blob.
func (c *Client) Config(ctx context.Context, repository string, d digest.Digest) ([]byte, error) {
	r, ctx, err := c.look(ctx, repository, pull(repository))
	if err != nil {
		return nil, err
	}
	data, err := r.Config(ctx, d)
	return data, told(ctx, r, err)
}

// Blob opens a blob of a repository; the caller closes it, and compares what it
// reads with the digest. If the connection breaks off, reading goes on from
// there.
//
// Errors: a [*registry.SourceError], also of what is read; in it [registry.ErrBlobUnknown].
func (c *Client) Blob(ctx context.Context, repository string, d digest.Digest) (io.ReadCloser, error) {
	r, ctx, err := c.look(ctx, repository, pull(repository))
	if err == nil {
		var body io.ReadCloser
		if body, err = r.Blob(ctx, d); err == nil {
			return body, nil
		}
		err = told(ctx, r, err)
	}
	return nil, &registry.SourceError{Host: c.Host(), Repository: repository, Err: err}
}

func pull(repository string) string { return "repository:" + repository + ":pull" }

// look is a repository for requests with a scope of their own, and their context.
func (c *Client) look(ctx context.Context, repository, scope string) (repo.Repo, context.Context, error) {
	conn, err := c.conn(ctx, false, wire.Introduce)
	if err != nil {
		return repo.Repo{}, ctx, err
	}
	own := wire.NewInfo(scope, c.retries(0))
	own.Requests = wire.InfoOf(ctx).Requests // a push that looks counts this too
	return repo.Repo{Conn: conn, Name: repository}, wire.WithInfo(ctx, own), nil
}

// told is what an error means to somebody who only looked.
func told(ctx context.Context, r repo.Repo, err error) error {
	err = repo.Meaning(err)
	if answer, ok := err.(*registry.Error); ok { //nolint:errorlint // of this request, and of no other that it took
		return r.Conn.Identify(ctx, answer)
	}
	return err
}
