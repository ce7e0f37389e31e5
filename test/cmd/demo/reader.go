package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// reader pulls an image with net/http alone and believes nothing: each digest
// is compared with the bytes.
type reader struct {
	target
	client     *http.Client
	repository string
}

// item is a piece of an image that was read.
type item struct {
	kind, digest string
	size         int
}

// descriptor is the part of an OCI descriptor that a reader needs.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

const manifestTypes = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"

func newReader(t target) (*reader, error) {
	pem, err := os.ReadFile(t.caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	repository, _, _ := strings.Cut(t.imageTag, ":")
	return &reader{target: t, client: &http.Client{Transport: transport}, repository: repository}, nil
}

// image reads the manifest of the tag and all that it names.
func (r *reader) image(ctx context.Context) ([]item, error) {
	_, tag, _ := strings.Cut(r.imageTag, ":")
	return r.manifest(ctx, descriptor{Digest: tag}, nil)
}

// manifest adds a manifest and what it names to items.
func (r *reader) manifest(ctx context.Context, d descriptor, items []item) ([]item, error) {
	data, digest, err := r.get(ctx, "manifests", d)
	if err != nil {
		return nil, err
	}
	items = append(items, item{"manifest", digest, len(data)})
	var doc struct {
		Config    *descriptor  `json:"config"`
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", digest, err)
	}
	for _, child := range doc.Manifests {
		if items, err = r.manifest(ctx, child, items); err != nil {
			return nil, err
		}
	}
	if doc.Config == nil {
		return items, nil
	}
	for i, blob := range append([]descriptor{*doc.Config}, doc.Layers...) {
		data, digest, err := r.get(ctx, "blobs", blob)
		if err != nil {
			return nil, err
		}
		items = append(items, item{[]string{"config", "layer"}[min(i, 1)], digest, len(data)})
	}
	return items, nil
}

// get reads a manifest or a blob and compares it with its digest and size.
func (r *reader) get(ctx context.Context, kind string, d descriptor) (data []byte, digest string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/v2/%s/%s/%s", r.host, r.repository, kind, d.Digest), nil)
	if err != nil {
		return nil, "", err
	}
	req.SetBasicAuth(r.user, r.password)
	req.Header.Set("Accept", manifestTypes)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, "", fmt.Errorf("%s %s: %s", kind, d.Digest, resp.Status)
	}
	if data, err = io.ReadAll(resp.Body); err != nil {
		return nil, "", err
	}
	digest = "sha256:" + sum(data)
	if claimed := resp.Header.Get("Docker-Content-Digest"); claimed != digest {
		return nil, "", fmt.Errorf("%s %s: the registry says %s, the bytes are %s", kind, d.Digest, claimed, digest)
	}
	if d.MediaType != "" && (d.Digest != digest || d.Size != len(data)) {
		return nil, "", fmt.Errorf("%s %s: %d bytes with digest %s, want %d bytes", kind, d.Digest, len(data), digest, d.Size)
	}
	return data, digest, nil
}
