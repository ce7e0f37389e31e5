package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
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
		list, err := p.referrers(ctx, tag)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list.Manifests, func(d ocispec.Descriptor) bool { return d.Digest == own.Digest }) {
			return nil
		}
		list.Manifests = append(list.Manifests, own)
		if err = p.putList(ctx, list, tag); errors.Is(err, registry.ErrBlobUnknown) {
			// Gitea takes no index of which it lacks a child: one was deleted.
			list.Manifests = slices.DeleteFunc(list.Manifests, func(d ocispec.Descriptor) bool {
				there, err := p.exists(ctx, "manifests", d.Digest)
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
	if p.client.traits.Gitea() {
		return false
	}
	resp, err := p.conn.Get(ctx, "/v2/"+p.ref.Repository+"/referrers/"+subject.String())
	if err != nil {
		p.debug(ctx, "ask for what refers to a manifest", err)
		return false
	}
	defer response.Drain(resp)
	return resp.StatusCode == http.StatusOK && response.MediaType(resp.Header) == ocispec.MediaTypeImageIndex
}

// referrers reads the index under a tag; it is empty where there is none.
func (p *push) referrers(ctx context.Context, tag string) (ocispec.Index, error) {
	empty := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address("manifests", tag), nil)
	if err != nil {
		return empty, err
	}
	acceptManifests(req)
	resp, err := p.conn.Do(req)
	if err != nil {
		return empty, fmt.Errorf("get manifest %s: %w", tag, err)
	}
	defer response.Drain(resp)
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return empty, nil
	case resp.StatusCode != http.StatusOK:
		return empty, response.Error("get manifest "+tag, req, resp)
	}
	data, err := response.ReadWithin(resp.Body, maxManifest+1, response.Patience(maxManifest))
	if err != nil {
		return empty, fmt.Errorf("get manifest %s: %w", tag, err)
	}
	var list ocispec.Index
	if err := json.Unmarshal(data, &list); err != nil || list.SchemaVersion != 2 || list.MediaType != ocispec.MediaTypeImageIndex {
		return empty, fmt.Errorf("get manifest %s: %w: it is no OCI index", tag, registry.ErrManifestInvalid)
	}
	return list, nil
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
