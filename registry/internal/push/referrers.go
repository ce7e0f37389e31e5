package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
)

// maxReferring is how often the list of what refers to a manifest is written:
// another client may write it at the same time, and the later one wins.
const maxReferring = 5

// refer makes known that a manifest refers to another (a signature, an SBOM),
// once the manifest was put. A registry with the API for that says so in its
// answer. For any other the client keeps an index under a tag made of the
// subject's digest (OCI distribution specification, "Pushing Manifests with
// Subject", "Referrers Tag Schema"). A push to that very tag brings the index
// itself.
func (p *push) refer(ctx context.Context, m image.Manifest, answer http.Header) error {
	subject, own := referring(m)
	if subject == "" || answer.Get("OCI-Subject") != "" {
		return nil
	}
	tag := repo.ReferrersTag(subject)
	if slices.Contains(p.tags, tag) || p.hasReferrers(ctx, subject) {
		return nil
	}
	for range maxReferring {
		list, err := p.repo().Index(ctx, tag)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list.Manifests, func(d ocispec.Descriptor) bool { return d.Digest == own.Digest }) {
			return nil
		}
		list.Manifests = append(list.Manifests, own)
		if err = p.putList(ctx, list, tag); errors.Is(err, registry.ErrBlobUnknown) {
			// Gitea refuses an index if it lacks a child: one was deleted.
			list.Manifests = slices.DeleteFunc(list.Manifests, func(d ocispec.Descriptor) bool {
				there, err := p.repo().Exists(ctx, repo.Manifests, d.Digest)
				return err == nil && !there
			})
			err = p.putList(ctx, list, tag)
		}
		if err != nil {
			return fmt.Errorf("list what refers to %s: %w", subject, err)
		}
	}
	return fmt.Errorf("list what refers to %s: another client keeps replacing the tag %s", subject, tag)
}

// referring is the digest of what m refers to, and the descriptor of m in the
// list of what refers to that; both are empty if m refers to nothing.
func referring(m image.Manifest) (subject digest.Digest, own ocispec.Descriptor) {
	var document struct {
		Subject      *ocispec.Descriptor `json:"subject"`
		ArtifactType string              `json:"artifactType"`
		Config       struct {
			MediaType string `json:"mediaType"`
		} `json:"config"`
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal(m.Data, &document) != nil || document.Subject == nil || document.Subject.Digest.Validate() != nil {
		return "", own
	}
	own = ocispec.Descriptor{MediaType: m.Descriptor.MediaType, Digest: m.Descriptor.Digest, Size: m.Descriptor.Size, ArtifactType: document.ArtifactType, Annotations: document.Annotations}
	if own.ArtifactType == "" {
		own.ArtifactType = document.Config.MediaType
	}
	return document.Subject.Digest, own
}

// hasReferrers asks whether the registry tells what refers to a manifest. It
// does not ask Gitea, which has no API for that.
func (p *push) hasReferrers(ctx context.Context, subject digest.Digest) bool {
	if p.env.Traits.Gitea() {
		return false
	}
	_, tells, err := p.repo().Referrers(ctx, subject)
	if err != nil {
		p.debug(ctx, "ask for what refers to a manifest", err)
	}
	return tells
}

func (p *push) putList(ctx context.Context, list ocispec.Index, tag string) error {
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	m, err := image.ParseManifest(ocispec.MediaTypeImageIndex, data)
	if err != nil {
		return err
	}
	return p.putOnce(ctx, m, tag)
}

// maxReferrers bounds how many manifests that refer to an image are copied.
const maxReferrers = 1000

// Referring is what is to be copied of what refers to an image.
type Referring struct {
	// Subjects are the digests of the image and of the manifests that it names.
	Subjects []digest.Digest
	// ByTag is as in [Registry]; Verify looks at those that are there.
	ByTag, Verify bool
}

// Refer copies what refers to the subjects, and what refers to that, and reports how
// many manifests it put.
func Refer(ctx context.Context, env Env, ref registry.Reference, from Origin, wanted Referring) (copied int, err error) {
	ref.Tag = ""
	p := newPush(env, ref, registry.PushOptions{Verify: wanted.Verify})
	p.tags = nil
	_, err = p.arrange(ctx, "copy what refers to images of", func(ctx context.Context, p *push) (image.Manifest, error) {
		copied, err = p.bringReferring(ctx, from, wanted.Subjects, wanted.ByTag)
		return image.Manifest{}, err
	})
	return copied, err
}

func (p *push) bringReferring(ctx context.Context, from Origin, subjects []digest.Digest, byTag bool) (copied int, err error) {
	known := map[digest.Digest]bool{}
	for level := subjects; len(level) > 0; {
		found, err := from.referring(ctx, level, byTag)
		if err != nil {
			return copied, err
		}
		level = nil
		for _, d := range found {
			if known[d.Digest] || slices.Contains(subjects, d.Digest) {
				continue
			}
			if known[d.Digest] = true; len(known) > maxReferrers {
				return copied, fmt.Errorf("more than %d manifests of %s/%s refer to one image", maxReferrers, from.Registry.Host(), from.Repository)
			}
			level = append(level, d.Digest)
			put, err := p.bringOne(ctx, from, d.Digest)
			if err != nil {
				return copied, err
			}
			if put {
				copied++
			}
		}
	}
	return copied, nil
}

// referring are the descriptors of what refers to any of subjects.
func (o Origin) referring(ctx context.Context, subjects []digest.Digest, byTag bool) ([]ocispec.Descriptor, error) {
	found := make([][]ocispec.Descriptor, len(subjects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(registry.DefaultJobs)
	for i, subject := range subjects {
		group.Go(func() (err error) {
			found[i], err = o.Registry.Referrers(ctx, o.Repository, subject, byTag)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(found...), err
}

// bringOne puts a manifest by its digest, unless it is there. A list may name one
// that was deleted.
func (p *push) bringOne(ctx context.Context, from Origin, d digest.Digest) (put bool, err error) {
	exists, err := p.repo().Exists(ctx, repo.Manifests, d)
	if exists && p.verifies() {
		err = p.whole(ctx, image.Manifest{Descriptor: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d}})
		exists = !isIncomplete(err)
	}
	if exists || err != nil && !isIncomplete(err) {
		return false, err
	}
	m, err := from.Registry.Manifest(ctx, from.Repository, d.String())
	if errors.Is(err, registry.ErrManifestUnknown) {
		p.debug(ctx, "read what refers to an image", err)
		return false, nil
	}
	if err == nil {
		err = p.bring(ctx, entry{from: from, manifest: m})
	}
	return err == nil, err
}
