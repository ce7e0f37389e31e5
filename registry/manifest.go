package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// maxManifest bounds what is read of a manifest; Gitea's own limit is 10 MiB.
const maxManifest = 10 << 20

// putManifests sends the children of an index, each before what names it, and
// then the root under every tag.
func (p *push) putManifests(ctx context.Context, img *image.Image) error {
	if p.opts.DryRun {
		return nil
	}
	for _, child := range img.Children {
		if err := p.putManifest(ctx, child, child.Descriptor.Digest.String()); err != nil {
			return err
		}
	}
	return p.putTags(ctx, img.Root, p.tags)
}

// putTags points tags at root.
func (p *push) putTags(ctx context.Context, root image.Manifest, tags []string) error {
	for _, tag := range tags {
		if err := p.putManifest(ctx, root, tag); err != nil {
			return err
		}
		if err := p.client.opts.Cache.keepTagged(p.tagged(tag), root.Descriptor.Digest); err != nil {
			p.debug(ctx, "remember tag", err)
		}
	}
	if notice := p.stack.auth.takeNotice(); notice != "" {
		p.note("%s", notice)
	}
	return nil
}

// putManifest sends a manifest. Blobs that the registry no longer has, because
// its cleaning was quicker or a mount was of a package that has gone since, are
// sent again, and the manifest once more.
func (p *push) putManifest(ctx context.Context, m image.Manifest, reference string) error {
	err := p.putOnce(ctx, m, reference)
	if errors.Is(err, ErrDigestMismatch) {
		// Once, a body may have been mangled on the way; and distribution gives
		// this answer while it writes the same manifest for another push.
		p.retries.Add(1)
		if err := pause(ctx, p.client.opts.Backoff(1)); err != nil {
			return err
		}
		err = p.putOnce(ctx, m, reference)
	}
	switch {
	case !errors.Is(err, ErrBlobUnknown):
		return err
	case isIndex(m.Descriptor.MediaType):
		return fmt.Errorf("%w%s", err, p.lacking(ctx, m))
	}
	p.note("the registry lacks blobs that it had; sending them again")
	for _, d := range m.References {
		if repairErr := p.sendAgain(ctx, d); repairErr != nil {
			return fmt.Errorf("%w: %w", err, repairErr)
		}
	}
	return p.putOnce(ctx, m, reference)
}

// sendAgain sends a blob of a manifest if the registry lacks it.
func (p *push) sendAgain(ctx context.Context, d ocispec.Descriptor) error {
	if exists, err := p.exists(ctx, "blobs", d.Digest); err != nil || exists {
		return err
	}
	p.mu.Lock()
	p.blobs = slices.DeleteFunc(p.blobs, func(b BlobResult) bool { return b.Digest == d.Digest })
	var blob *image.Blob
	for name, sent := range p.sent {
		if sent.Digest == d.Digest && p.lasting[name] != nil {
			blob = p.lasting[name]
		}
	}
	p.mu.Unlock()
	if blob == nil {
		return p.sendRest(ctx, &image.Image{Missing: []ocispec.Descriptor{d}})
	}
	return p.sendBlob(ctx, blob, func() {})
}

// putOnce sends a manifest and compares the digest that the registry gives
// it: Gitea does not compare a reference by digest with the body.
func (p *push) putOnce(ctx context.Context, m image.Manifest, reference string) error {
	op := "put manifest " + reference
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, p.address("manifests", reference), bytes.NewReader(m.Data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", m.Descriptor.MediaType)
	resp, err := p.stack.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", op, unwrapURL(err))
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusOK {
		return responseError(op, req, resp)
	}
	got := digest.Digest(resp.Header.Get("Docker-Content-Digest"))
	if got != "" && got != m.Descriptor.Digest {
		return fmt.Errorf("%s: %w: sent %s, the registry has %s", op, ErrDigestMismatch, m.Descriptor.Digest, clean(got.String()))
	}
	return nil
}

// lacking names the manifests of an index that the registry says it has not,
// since Gitea does not.
func (p *push) lacking(ctx context.Context, m image.Manifest) string {
	var names []string
	for _, d := range m.References {
		if exists, err := p.exists(ctx, "manifests", d.Digest); err == nil && !exists {
			names = append(names, d.Digest.String())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": it lacks " + strings.Join(names, ", ")
}

// getManifest reads a manifest of the repository.
func (p *push) getManifest(ctx context.Context, d digest.Digest) (image.Manifest, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address("manifests", d.String()), nil)
	if err != nil {
		return image.Manifest{}, err
	}
	acceptManifests(req)
	resp, err := p.stack.http.Do(req)
	if err != nil {
		return image.Manifest{}, fmt.Errorf("get manifest: %w", unwrapURL(err))
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusOK {
		return image.Manifest{}, responseError("get manifest", req, resp)
	}
	data, err := readWithin(resp.Body, maxManifest+1, patience(maxManifest))
	if err != nil {
		return image.Manifest{}, fmt.Errorf("get manifest: %w", err)
	}
	if digest.FromBytes(data) != d {
		return image.Manifest{}, fmt.Errorf("get manifest %s: %w", d, ErrDigestMismatch)
	}
	return image.ParseManifest(resp.Header.Get("Content-Type"), data)
}

// acceptManifests names the media types that we understand; text/html among
// them would make Gitea answer with pages.
func acceptManifests(req *http.Request) {
	req.Header.Set("Accept", strings.Join([]string{
		"application/vnd.oci.image.manifest.v1+json",
		"application/vnd.oci.image.index.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.distribution.manifest.list.v2+json",
		"*/*",
	}, ", "))
}
