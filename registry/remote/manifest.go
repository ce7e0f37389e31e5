package remote

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

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
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

// putTags points tags at root, and sends what turns out to be lacking.
func (p *push) putTags(ctx context.Context, root image.Manifest, tags []string) error {
	return p.setTags(ctx, root, tags, p.putManifest)
}

// setTags points tags at root by putting it there.
func (p *push) setTags(ctx context.Context, root image.Manifest, tags []string, put func(context.Context, image.Manifest, string) error) error {
	for _, tag := range tags {
		if err := put(ctx, root, tag); err != nil {
			return err
		}
		if err := p.client.opts.Cache.keepTagged(p.tagged(tag), root.Descriptor.Digest); err != nil {
			p.debug(ctx, "remember tag", err)
		}
	}
	if notice := p.conn.Notice(); notice != "" {
		p.note("%s", notice)
	}
	return nil
}

// manifestStep is what the sending of a manifest does next.
type manifestStep int

const (
	// manifestPut sends it.
	manifestPut manifestStep = iota
	// manifestRepair sends blobs again that the registry no longer has.
	manifestRepair
	manifestDone
	manifestFailed
)

// delivery is the state of a manifest on its way into the registry: a value
// like [upload]. What is wrong with the connection or the server is none of its
// business, the retrier's is.
type delivery struct {
	step manifestStep
	// index: it names manifests, which are there by now, and no blobs.
	index bool
	// repaired: its blobs were sent again.
	repaired bool
	// mismatches counts the answers that it is not what it should be; more than
	// retries end the delivery.
	mismatches, retries int
	// err is the last failure.
	err error
}

// next decides what follows the outcome of d.step.
func (d delivery) next(err error) delivery {
	d.err = err
	switch {
	case err == nil && d.step == manifestRepair:
		d.repaired, d.step = true, manifestPut
	case err == nil:
		d.step = manifestDone
	case d.step == manifestPut && errors.Is(err, registry.ErrDigestMismatch) && d.mismatches < d.retries:
		// A body may have been mangled on the way. And distribution 2.8 empties
		// its links before it writes them: who comes at that moment is told that
		// a digest is wrong, which is that of what another push sends as well
		// (registry/storage/driver/filesystem).
		d.mismatches++
	case d.step == manifestPut && errors.Is(err, registry.ErrBlobUnknown) && !d.index && !d.repaired:
		// Its cleaning was quicker, or a mount was of a package that has gone.
		d.step = manifestRepair
	default:
		d.step = manifestFailed
	}
	return d
}

// putManifest sends a manifest, as often as that makes sense.
func (p *push) putManifest(ctx context.Context, m image.Manifest, reference string) error {
	d := delivery{index: image.IsIndex(m.Descriptor.MediaType), retries: p.info.Retries}
	for {
		switch d.step {
		case manifestPut:
			if d.mismatches > 0 {
				p.retries.Add(1)
				if err := wire.Pause(ctx, p.client.opts.Backoff(d.mismatches)); err != nil {
					return err
				}
			}
			d = d.next(p.putFitting(ctx, m, reference))
		case manifestRepair:
			d = d.next(p.repair(ctx, m, d.err))
		case manifestDone:
			return nil
		case manifestFailed:
			if d.index && errors.Is(d.err, registry.ErrBlobUnknown) {
				return fmt.Errorf("%w%s", d.err, p.lacking(ctx, m))
			}
			return d.err
		}
	}
}

// errOtherForm ends the delivery of a manifest of which a layer was compressed
// again and has become another blob. The manifest has to be made anew.
var errOtherForm = errors.New("a layer was compressed again, and has another digest now")

// repair sends what the registry lacks of a manifest's blobs, as it says with
// cause.
func (p *push) repair(ctx context.Context, m image.Manifest, cause error) error {
	p.note("the registry lacks blobs that it had; sending them again")
	var other error
	for _, d := range m.References {
		err := p.sendAgain(ctx, d)
		switch {
		case errors.Is(err, errOtherForm):
			other = err // the rest may be lacking too
		case err != nil:
			return fmt.Errorf("%w: %w", cause, err)
		}
	}
	return other
}

// sendAgain sends a blob of a manifest if the registry lacks it. A layer whose
// digest the cache had, from a daemon's compressor or from an earlier version of
// ours, becomes another blob: errOtherForm.
func (p *push) sendAgain(ctx context.Context, d ocispec.Descriptor) error {
	if exists, err := p.exists(ctx, "blobs", d.Digest); err != nil || exists {
		return err
	}
	p.mu.Lock()
	p.blobs = slices.DeleteFunc(p.blobs, func(b registry.BlobResult) bool { return b.Digest == d.Digest })
	var blob *image.Blob
	for name, sent := range p.sent {
		if sent.Digest == d.Digest && p.lasting[name] != nil {
			blob = p.lasting[name]
		}
	}
	p.mu.Unlock()
	switch {
	case blob == nil:
		return p.sendRest(ctx, &image.Image{Missing: []ocispec.Descriptor{d}})
	case !blob.Compress:
		return p.sendBlob(ctx, blob, func() {})
	}
	if err := p.sendSpooled(ctx, blob, blob.Open, func() {}); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent[blob.Name].Digest != d.Digest {
		return errOtherForm
	}
	return nil
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
	resp, err := p.conn.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	defer response.Drain(resp)
	switch resp.StatusCode {
	case http.StatusCreated, http.StatusOK, http.StatusAccepted, http.StatusNoContent:
	default:
		return response.Error(op, req, resp)
	}
	switch got := digest.Digest(resp.Header.Get("Docker-Content-Digest")); got {
	case m.Descriptor.Digest:
		return p.refer(ctx, m, resp.Header)
	case "":
		held, err := p.holds(ctx, reference, m.Data)
		if err == nil && !held {
			err = response.Unproven(op, req, resp, "the answer names no digest, and the registry does not have the manifest")
		}
		if err != nil {
			return err
		}
		return p.refer(ctx, m, resp.Header)
	default:
		return fmt.Errorf("%s: %w: sent %s, the registry has %s", op, registry.ErrDigestMismatch, m.Descriptor.Digest, printable.Clean(got.String()))
	}
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

// getManifest reads the manifest of a digest.
func (p *push) getManifest(ctx context.Context, d digest.Digest) (image.Manifest, error) {
	return p.readManifest(ctx, d.String())
}

// readManifest reads the manifest of a tag or a digest, and compares it with
// the digest that was asked for, or that the registry says it has.
func (p *push) readManifest(ctx context.Context, reference string) (image.Manifest, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address("manifests", reference), nil)
	if err != nil {
		return image.Manifest{}, err
	}
	acceptManifests(req)
	resp, err := p.conn.Do(req)
	if err != nil {
		return image.Manifest{}, fmt.Errorf("get manifest: %w", err)
	}
	defer response.Drain(resp)
	if resp.StatusCode != http.StatusOK {
		return image.Manifest{}, response.Error("get manifest", req, resp)
	}
	data, err := response.ReadWithin(resp.Body, maxManifest+1, response.Patience(maxManifest))
	if err != nil {
		return image.Manifest{}, fmt.Errorf("get manifest: %w", err)
	}
	want := digest.Digest(resp.Header.Get("Docker-Content-Digest"))
	if asked := digest.Digest(reference); asked.Validate() == nil {
		want = asked
	}
	if want != "" && digest.FromBytes(data) != want {
		return image.Manifest{}, fmt.Errorf("get manifest %s: %w", reference, registry.ErrDigestMismatch)
	}
	return image.ParseManifest(response.MediaType(resp.Header), data)
}

// getDocument reads a small blob of the repository: a config.
func (p *push) getDocument(ctx context.Context, d digest.Digest) ([]byte, error) {
	resp, err := p.conn.Get(ctx, "/v2/"+p.ref.Repository+"/blobs/"+d.String())
	if err != nil {
		return nil, fmt.Errorf("get config: %w", err)
	}
	defer response.Drain(resp)
	if resp.StatusCode != http.StatusOK {
		return nil, response.Error("get config", resp.Request, resp)
	}
	return response.ReadWithin(resp.Body, maxConfig, response.Patience(maxConfig))
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
