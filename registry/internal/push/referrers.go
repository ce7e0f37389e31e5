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

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
)

// maxReferring is how often the list of what refers to a manifest is written:
// another client may write it at the same time, and the later one wins.
const maxReferring = 5

// refer makes a manifest known that refers to another (a signature, an SBOM),
// once it was put. A registry with the API for that says so in its answer. For
// any other the client keeps an index under a tag made of the subject's digest
// (OCI distribution specification, "Pushing Manifests with Subject", "Referrers
// Tag Schema").
func (p *push) refer(ctx context.Context, m image.Manifest, answer http.Header) error {
	subject, own := referring(m)
	if subject == "" || answer.Get("OCI-Subject") != "" || p.hasReferrers(ctx, subject) {
		return nil
	}
	tag := fmt.Sprintf("%.32s-%.64s", subject.Algorithm(), subject.Encoded())
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

// referring is what m refers to, and how it is described to who asks for that;
// empty where it refers to nothing.
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

// hasReferrers asks whether the registry tells what refers to a manifest; that
// Gitea has no such API is known.
func (p *push) hasReferrers(ctx context.Context, subject digest.Digest) bool {
	if p.env.Traits.Gitea() {
		return false
	}
	tells, err := p.repo().HasReferrers(ctx, subject)
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
