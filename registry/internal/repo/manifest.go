package repo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// Manifest reads the manifest of a tag or a digest, and compares it with the digest
// that was asked for, or that the registry says it has.
func (r Repo) Manifest(ctx context.Context, reference string) (image.Manifest, error) {
	resp, err := r.success(ctx, question{op: "get manifest", method: http.MethodGet, kind: Manifests, name: reference})
	if err != nil {
		return image.Manifest{}, err
	}
	data, err := readManifest(resp)
	if err == nil {
		err = compare(data, resp, reference)
	}
	if err != nil {
		return image.Manifest{}, err
	}
	return image.ParseManifest(response.MediaType(resp.Header), data)
}

// compare compares a manifest with the digest that was asked for, or that the registry
// says it has.
func compare(data []byte, resp *http.Response, reference string) error {
	want := resp.Header.Get("Docker-Content-Digest")
	if strings.Contains(reference, ":") {
		want = reference
	}
	if want != "" && digest.FromBytes(data).String() != want {
		return fmt.Errorf("get manifest %s: %w", reference, registry.ErrDigestMismatch)
	}
	return nil
}

// readManifest reads the body of an answer with a manifest, and closes it.
func readManifest(resp *http.Response) ([]byte, error) {
	defer response.Drain(resp)
	data, err := response.ReadWithin(resp.Body, response.MaxManifest+1, response.Patience(response.MaxManifest))
	if err != nil {
		return nil, fmt.Errorf("get manifest: %w", err)
	}
	return data, nil
}

// Index reads the OCI index under a tag; it is empty where there is none.
func (r Repo) Index(ctx context.Context, tag string) (ocispec.Index, error) {
	list := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	op := "get manifest " + tag
	resp, req, err := r.answer(ctx, question{op: op, method: http.MethodGet, kind: Manifests, name: tag})
	if err != nil {
		return list, err
	}
	if resp.StatusCode != http.StatusOK {
		defer response.Drain(resp)
		if resp.StatusCode == http.StatusNotFound {
			return list, nil
		}
		return list, response.Error(op, req, resp)
	}
	data, err := readManifest(resp)
	if err == nil {
		err = compare(data, resp, tag)
	}
	if err != nil {
		return list, err
	}
	var found ocispec.Index
	if err := json.Unmarshal(data, &found); err != nil || found.SchemaVersion != 2 || found.MediaType != ocispec.MediaTypeImageIndex {
		return list, fmt.Errorf("%s: %w: it is no OCI index", op, registry.ErrManifestInvalid)
	}
	return found, nil
}

// Digest asks for the digest of what a tag or a digest is.
func (r Repo) Digest(ctx context.Context, reference string) (digest.Digest, error) {
	resp, err := r.success(ctx, question{op: "find manifest", method: http.MethodHead, kind: Manifests, name: reference})
	if err != nil {
		return "", Meaning(err)
	}
	defer response.Drain(resp)
	found, err := digest.Parse(resp.Header.Get("Docker-Content-Digest"))
	if err != nil {
		return "", fmt.Errorf("find manifest: the registry gives no digest: %w", err)
	}
	return found, nil
}

// Put sends a manifest and compares the digest that the registry gives it: Gitea
// does not compare a reference by digest with the body. It returns the header of
// the answer.
func (r Repo) Put(ctx context.Context, m image.Manifest, reference string) (http.Header, error) {
	op := "put manifest " + reference
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.address(Manifests, reference), bytes.NewReader(m.Data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", m.Descriptor.MediaType)
	resp, err := perform(r.Conn.Do, op, req)
	if err != nil {
		return nil, err
	}
	defer response.Drain(resp)
	switch resp.StatusCode {
	case http.StatusCreated, http.StatusOK, http.StatusAccepted, http.StatusNoContent:
	default:
		return nil, response.Error(op, req, resp)
	}
	switch got := digest.Digest(resp.Header.Get("Docker-Content-Digest")); got {
	case m.Descriptor.Digest:
		return resp.Header, nil
	case "":
		held, err := r.holds(ctx, reference, m.Data)
		if err == nil && !held {
			err = response.Unproven(op, req, resp, "the answer names no digest, and the registry does not have the manifest")
		}
		return resp.Header, err
	default:
		return nil, fmt.Errorf("%s: %w: sent %s, the registry has %s", op, registry.ErrDigestMismatch, m.Descriptor.Digest, printable.Clean(got.String()))
	}
}

// holds reports whether what a tag leads to is data, to the byte.
func (r Repo) holds(ctx context.Context, reference string, data []byte) (bool, error) {
	resp, _, err := r.answer(ctx, question{op: "get manifest", method: http.MethodGet, kind: Manifests, name: reference})
	if err != nil {
		return false, err
	}
	if resp.StatusCode != http.StatusOK {
		response.Drain(resp)
		return false, nil
	}
	got, err := readManifest(resp)
	return err == nil && string(got) == string(data), err
}

// Delete removes a tag, or by its digest a manifest with every tag that it has.
func (r Repo) Delete(ctx context.Context, reference string) error {
	resp, err := r.success(ctx, question{op: "delete manifest", method: http.MethodDelete, kind: Manifests, name: reference})
	if err != nil {
		return err
	}
	response.Drain(resp)
	if resp.Header.Get(response.HeaderVersion) != "" {
		return nil
	}
	if _, err = r.Digest(ctx, reference); errors.Is(err, registry.ErrManifestUnknown) {
		return nil
	}
	return cmp.Or(err, error(response.Unproven("delete manifest", resp.Request, resp, "the registry still has it")))
}

func isManifest(path string) bool { return strings.Contains(path, "/"+Manifests+"/") }

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
