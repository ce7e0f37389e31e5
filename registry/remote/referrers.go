package remote

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/push"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
)

// Referrers describes the manifests that refer to a manifest of a repository: its
// signatures, SBOMs and the like. If the registry has no API for that (Gitea has
// none) and byTag is set, Referrers reads the list that clients keep under a tag
// made of the digest.
func (c *Client) Referrers(ctx context.Context, repository string, d digest.Digest, byTag bool) ([]ocispec.Descriptor, error) {
	r, ctx, err := c.look(ctx, repository, pull(repository))
	if err != nil {
		return nil, err
	}
	if c.mayTell() {
		found, tells, err := r.Referrers(ctx, d)
		if err != nil || tells {
			return found, told(ctx, r, err)
		}
		c.untold.Store(true)
	}
	if !byTag {
		return nil, nil
	}
	list, err := r.Index(ctx, repo.ReferrersTag(d))
	return repo.Digested(list.Manifests), told(ctx, r, err)
}

// mayTell reports whether the registry may have the API, because it is not
// known to lack it.
func (c *Client) mayTell() bool { return !c.traits.Gitea() && !c.untold.Load() }

// ReferrersOptions are the options of [Client.CopyReferrers].
type ReferrersOptions struct {
	// ByTag looks for tags made of a digest as well: for the list of a registry that
	// has no API, and for what cosign calls its signatures, attestations and SBOMs.
	ByTag bool
	// NoClobber moves no tag; see [registry.PushOptions.NoClobber].
	NoClobber bool
	// Verify looks at what is there already, and sends what the registry has lost of it;
	// see [registry.PushOptions.Verify].
	Verify bool
}

// CopyReferrers copies to a repository what refers to an image of another repository, and
// what refers to that in turn. It reports how many manifests it put there. It leaves alone
// what is there already, unless opts say to verify it. For a registry without the API, it
// keeps the list under the tag of each subject (see [Client.Referrers]).
//
// subjects are the digests of the image and of the manifests that it names. Without them
// the Reference of from is the digest of the image. CopyReferrers then reads the image, if
// there is something to ask.
//
// Errors: those of [Client.Source] and [Client.Push].
func (c *Client) CopyReferrers(ctx context.Context, repository string, from Member, subjects []digest.Digest, opts ReferrersOptions) (copied int, err error) {
	from.Client = cmp.Or(from.Client, c)
	ref, err := c.named(c.home(repository)+":latest", registry.PushOptions{})
	if err != nil || from.Client.Host() == c.Host() && from.Repository == ref.Repository {
		return 0, err
	}
	if len(subjects) == 0 {
		subjects, err = from.subjects(ctx, opts.ByTag)
	}
	if err != nil || len(subjects) == 0 {
		return 0, err
	}
	copied, err = push.Refer(ctx, c.pushes(), ref, push.Origin{Registry: from.Client, Repository: from.Repository},
		push.Referring{Subjects: subjects, ByTag: opts.ByTag, Verify: opts.Verify})
	if err != nil || !opts.ByTag {
		return copied, err
	}
	tagged, err := c.copyTags(ctx, ref.Repository, from, subjects, opts)
	return copied + tagged, err
}

// subjects are the digests of the image of m and of what it names, and nil if
// nothing can tell what refers to them.
func (m Member) subjects(ctx context.Context, byTag bool) ([]digest.Digest, error) {
	if !byTag {
		// The first answer shows whether the registry tells.
		if _, err := m.Client.Referrers(ctx, m.Repository, digest.Digest(m.Reference), false); err != nil || !m.Client.mayTell() {
			return nil, err
		}
	}
	source, err := m.Client.Source(ctx, m.Repository, m.Reference, nil)
	if err != nil {
		return nil, err
	}
	return source.Manifests(), source.Close()
}

// copyTags copies the tags with which cosign names what refers to subjects ("Signature
// Specification"), and reports how many it set.
func (c *Client) copyTags(ctx context.Context, repository string, from Member, subjects []digest.Digest, opts ReferrersOptions) (copied int, err error) {
	var set atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(registry.DefaultJobs)
	for _, subject := range subjects {
		for _, suffix := range []string{".sig", ".att", ".sbom"} {
			tag := Member{Client: from.Client, Repository: from.Repository, Reference: repo.ReferrersTag(subject) + suffix}
			group.Go(func() error {
				done, err := c.copyTag(ctx, repository, tag, opts)
				if done {
					set.Add(1)
				}
				return err
			})
		}
	}
	err = group.Wait()
	return int(set.Load()), err
}

// copyTag copies a tag under its own name, if there is one and it is not the same.
func (c *Client) copyTag(ctx context.Context, repository string, from Member, opts ReferrersOptions) (copied bool, err error) {
	wanted, err := from.Client.ManifestDigest(ctx, from.Repository, from.Reference)
	if errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrRepositoryUnknown) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	there, err := c.ManifestDigest(ctx, repository, from.Reference)
	same := err == nil && there == wanted
	if same && !opts.Verify {
		return false, nil
	}
	err = c.Copy(ctx, c.home(repository)+":"+from.Reference, from, registry.PushOptions{NoClobber: opts.NoClobber, Verify: opts.Verify})
	return err == nil && !same, err
}
