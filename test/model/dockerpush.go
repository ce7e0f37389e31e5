package model

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// dockerPush is one push of a daemon, to a registry on this machine.
type dockerPush struct {
	ctx                context.Context //nolint:containedctx // of the request, which the push is
	daemon             *daemon
	repository, tag    string // with the host
	base               string
	username, password string
	client             http.Client
}

func newDockerPush(req *http.Request, d *daemon, repository, tag string) *dockerPush {
	var auth struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	encoded, err := base64.URLEncoding.DecodeString(req.Header.Get("X-Registry-Auth"))
	must(err, json.Unmarshal(encoded, &auth))
	host, path, _ := strings.Cut(repository, "/")
	return &dockerPush{
		ctx: req.Context(), daemon: d, repository: repository, tag: tag, base: "http://" + host + "/v2/" + path + "/",
		username: auth.Username, password: auth.Password, client: http.Client{Transport: &http.Transport{}},
	}
}

func (p *dockerPush) close() { p.client.CloseIdleConnections() }

// do makes a request, whose path may be an absolute one of the registry. The
// body is of unknown length unless it is a bytes.Reader.
func (p *dockerPush) do(method, path, contentType string, body io.Reader) (answer, error) {
	address := p.base + path
	if strings.HasPrefix(path, "/") {
		address = p.base[:strings.Index(p.base, "/v2/")] + path
	}
	req, err := http.NewRequestWithContext(p.ctx, method, address, body)
	if err != nil {
		return answer{}, err
	}
	req.SetBasicAuth(p.username, p.password)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got := answer{status: resp.StatusCode, header: resp.Header}
	if got.body, err = io.ReadAll(resp.Body); err != nil {
		return answer{}, err
	}
	if got.status >= http.StatusBadRequest && got.status != http.StatusNotFound {
		return answer{}, fmt.Errorf("%s %s: %d: %s", method, path, got.status, got.body)
	}
	return got, nil
}

// expect makes a request that has to be answered so.
func (p *dockerPush) expect(status int, method, path, contentType string, body io.Reader) (answer, error) {
	got, err := p.do(method, path, contentType, body)
	if err == nil && got.status != status {
		err = fmt.Errorf("%s %s: %d", method, path, got.status)
	}
	return got, err
}

// stat reports whether the registry has something, and its size.
func (p *dockerPush) stat(path string) (size int64, found bool, err error) {
	got, err := p.do(http.MethodHead, path, "", nil)
	if err != nil || got.status != http.StatusOK {
		return 0, false, err
	}
	size, err = strconv.ParseInt(got.header.Get("Content-Length"), 10, 64)
	return size, true, err
}

// classic pushes as the distribution package of moby does: layers by the digest
// that they had the last time, or else compressed on the way.
func (p *dockerPush) classic(m *member) error {
	sent := map[string]descriptor{}
	var layers []blob
	for _, l := range m.layers {
		d, known := sent[l.raw.digest]
		if !known {
			var err error
			if d, err = p.layer(l); err != nil {
				return err
			}
			sent[l.raw.digest] = d
		}
		layers = append(layers, blob{d.Digest, make([]byte, d.Size)})
	}
	_, found, err := p.stat("blobs/" + m.config.digest)
	if err == nil && !found {
		_, err = p.stream(m.config)
	}
	if err != nil {
		return err
	}
	_, err = p.expect(http.StatusCreated, http.MethodPut, "manifests/"+p.tag, dockerManifest, bytes.NewReader(dockerdManifest(m.config, layers)))
	return err
}

// layer pushes one layer, and gives what the manifest will say of it.
func (p *dockerPush) layer(l *layer) (descriptor, error) {
	key := p.repository + " " + l.raw.digest
	p.daemon.mu.Lock()
	digest := p.daemon.digests[key]
	p.daemon.mu.Unlock()
	if digest != "" {
		size, found, err := p.stat("blobs/" + digest)
		if err != nil || found {
			return descriptor{Digest: digest, Size: int(size)}, err
		}
	}
	d, err := p.stream(dockerGzip(l.raw))
	if err == nil {
		p.daemon.mu.Lock()
		defer p.daemon.mu.Unlock()
		p.daemon.digests[key] = d.Digest
	}
	return d, err
}

// stream uploads a blob in one request of unknown length, and names it by the
// digest of what was read of it, which is not all where the registry answers
// before the end.
func (p *dockerPush) stream(b blob) (descriptor, error) {
	begun, err := p.expect(http.StatusAccepted, http.MethodPost, "blobs/uploads/", "", nil)
	if err != nil {
		return descriptor{}, err
	}
	location := begun.header.Get("Location")
	body := &hashing{r: bytes.NewReader(b.data), hash: sha256.New()}
	if begun, err = p.expect(http.StatusAccepted, http.MethodPatch, location, "application/octet-stream", body); err != nil {
		return descriptor{}, err
	}
	digest, size := body.end()
	if next := begun.header.Get("Location"); next != "" {
		location = next
	}
	if _, err := p.expect(http.StatusCreated, http.MethodPut, location+"?digest="+digest, "", nil); err != nil {
		return descriptor{}, err
	}
	if _, err := p.expect(http.StatusOK, http.MethodHead, "blobs/"+digest, "", nil); err != nil {
		return descriptor{}, err
	}
	return descriptor{Digest: digest, Size: size}, nil
}

// hashing is a body whose digest is that of what was read of it until its end
// was asked for.
type hashing struct {
	mu   sync.Mutex // guards the fields below
	r    io.Reader
	hash hash.Hash
	size int
}

func (h *hashing) Read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, err := h.r.Read(b)
	h.hash.Write(b[:n])
	h.size += n
	return n, err
}

func (h *hashing) end() (digest string, size int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.r = strings.NewReader("")
	return "sha256:" + hex.EncodeToString(h.hash.Sum(nil)), h.size
}

// containerd pushes as containerd's pusher does: blobs as they are, in requests
// of known length. Which document goes to the tag is moby's choice
// (daemon/containerd/image_push.go, getPushDescriptor).
func (p *dockerPush) containerd(image *held, platform string) error {
	root, below := image.root, image.presentDocuments()
	switch {
	case platform != "":
		root = nil
		for _, m := range image.present() {
			if m.platform == platform {
				root, below = m.document, nil
			}
		}
		if root == nil {
			return errors.New("no suitable image manifest found for platform " + platform)
		}
	case !image.whole(): // the one that is there, or the one for the host
		root, below = image.members[0].document, nil
	}
	for _, d := range below {
		if err := p.document(image, d, d.digest); err != nil {
			return err
		}
	}
	return p.document(image, root, p.tag)
}

// document pushes a manifest or index after its blobs.
func (p *dockerPush) document(image *held, d *document, reference string) error {
	for _, b := range d.blobs {
		if err := p.whole(image, b); err != nil {
			return err
		}
	}
	if _, found, err := p.stat("manifests/" + reference); err != nil || found {
		return err
	}
	_, err := p.expect(http.StatusCreated, http.MethodPut, "manifests/"+reference, d.mediaType, bytes.NewReader(d.data))
	return err
}

// whole uploads a blob whose digest is known.
func (p *dockerPush) whole(image *held, b blob) error {
	if _, found, err := p.stat("blobs/" + b.digest); err != nil || found {
		return err
	}
	if !image.holds(b) {
		return fmt.Errorf("content digest %s: not found", b.digest)
	}
	begun, err := p.expect(http.StatusAccepted, http.MethodPost, "blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	_, err = p.expect(http.StatusCreated, http.MethodPut, begun.header.Get("Location")+"?digest="+b.digest, "application/octet-stream", bytes.NewReader(b.data))
	return err
}
