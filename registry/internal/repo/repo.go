// Package repo has every request about one repository of a registry, each written
// once: what is there, and what is put there, but for the body of a blob, which
// package upload sends. It keeps nothing, and decides nothing about what follows.
//
// It takes names and digests, and gives descriptors, manifests and bodies. It has no state:
// every request goes through the [wire.Conn] that it is given. Begin with repo.go.
//
//   - repo.go: how they are asked, whether something is there, and mounts
//   - manifest.go: manifests
//   - blob.go: blobs, read
//   - upload.go: where the upload of a blob begins, goes on and is taken back
//   - list.go: the names of repositories and tags
package repo

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Repo is a repository of a registry.
type Repo struct {
	Conn *wire.Conn
	// Name is "owner/name".
	Name string
}

// What is in a repository.
const (
	Blobs     = "blobs"
	Manifests = "manifests"
)

// address is that of something in the repository.
func (r Repo) address(kind, name string) string {
	return r.Conn.Endpoint().URL("/v2/" + r.Name + "/" + kind + "/" + name)
}

// question is a request about something in the repository.
type question struct {
	op, method, kind, name string
	header                 http.Header
}

// answer performs the request of q with the retries of the connection; see ask.
func (r Repo) answer(ctx context.Context, q question) (*http.Response, *http.Request, error) {
	return r.ask(ctx, r.Conn.Do, q)
}

// doer performs a request, by one of the ways of a [wire.Conn].
type doer func(*http.Request) (*http.Response, error)

// ask has do perform the request of q, and returns that too, as it was before any
// redirect. The caller closes the body, whatever the status.
func (r Repo) ask(ctx context.Context, do doer, q question) (*http.Response, *http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, q.method, r.address(q.kind, q.name), nil)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(req.Header, q.header)
	if q.kind == Manifests {
		acceptManifests(req)
	}
	resp, err := perform(do, q.op, req)
	return resp, req, err
}

// success is answer where only success will do: any other answer is an
// [*registry.Error], which is wrapped in nothing.
func (r Repo) success(ctx context.Context, q question) (*http.Response, error) {
	resp, req, err := r.answer(ctx, q)
	if err != nil {
		return nil, err
	}
	return succeeded(q.op, req, resp)
}

// perform does req, and says of a failure on the way what was being done.
func perform(do doer, op string, req *http.Request) (*http.Response, error) {
	resp, err := do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return resp, nil
}

// succeeded passes on the answer to req if it is a success and no page for
// browsers.
func succeeded(op string, req *http.Request, resp *http.Response) (*http.Response, error) {
	page := resp.Header.Get(response.HeaderVersion) == "" && response.ProvesPortal(resp)
	if resp.StatusCode/100 == 2 && !page {
		resp.Request = req // whatever transport it came by
		return resp, nil
	}
	defer response.Drain(resp)
	return nil, response.Error(op, req, resp)
}

// Exists asks whether a blob or a manifest is in the repository.
func (r Repo) Exists(ctx context.Context, kind string, d digest.Digest) (bool, error) {
	found, err := r.Stat(ctx, kind, d.String())
	return found.Digest != "", err
}

// Stat asks for digest and size of a blob or manifest of the repository, which
// are zero where it is not there.
func (r Repo) Stat(ctx context.Context, kind, name string) (ocispec.Descriptor, error) {
	return r.stat(ctx, r.Conn.Do, kind, name)
}

// StatDirectly is Stat in one try and with the credential itself; see
// [wire.Conn.Direct].
func (r Repo) StatDirectly(ctx context.Context, kind, name string) (ocispec.Descriptor, error) {
	direct := func(req *http.Request) (*http.Response, error) { return r.Conn.Direct(req, "", wire.Follow) }
	return r.stat(wire.WithInfo(ctx, wire.InfoOf(ctx).Once()), direct, kind, name)
}

func (r Repo) stat(ctx context.Context, do doer, kind, name string) (ocispec.Descriptor, error) {
	op := "find " + name
	resp, req, err := r.ask(ctx, do, question{op: op, method: http.MethodHead, kind: kind, name: name})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer response.Drain(resp)
	switch status := resp.StatusCode; {
	case status == http.StatusOK:
		return ocispec.Descriptor{Digest: shown(resp, kind, name), Size: resp.ContentLength}, nil
	case status == http.StatusUnauthorized, registry.TemporaryStatus(status):
		return ocispec.Descriptor{}, response.Error(op, req, resp)
	}
	// It was worth asking, and no more: 404 is the registry's no, and 307, 403 or
	// 405 say that it cannot be seen.
	return ocispec.Descriptor{}, nil
}

// shown is the digest that the answer to a HEAD proves; empty if it proves none.
func shown(resp *http.Response, kind, name string) digest.Digest {
	asked := digest.Digest(name)
	got := digest.Digest(resp.Header.Get("Docker-Content-Digest"))
	switch {
	case asked.Validate() != nil:
		return got // of a tag
	case got == asked, got == "" && kind == Blobs && response.LedByRegistry(resp):
		return asked
	}
	return ""
}

// Mount asks for a blob that the registry may hold for another repository: for from, or
// for any if from is empty. If the registry has no such blob it begins an upload, which
// Mount cancels.
func (r Repo) Mount(ctx context.Context, d digest.Digest, from string) (mounted bool, err error) {
	query := url.Values{"mount": {d.String()}}
	if from != "" {
		query.Set("from", from)
	}
	err = r.begin(ctx, "mount blob", query, func(req *http.Request, resp *http.Response) error {
		switch resp.StatusCode {
		case http.StatusCreated:
			mounted = response.Names(resp, d) // otherwise a HEAD decides
			return nil
		case http.StatusAccepted:
			location, err := ResolveLocation(req.URL, resp.Header.Get("Location"))
			if err == nil {
				_, _ = r.Cancel(ctx, location, 0) // the registry removes it in time
			}
			return err
		}
		return response.Error("mount blob", req, resp)
	})
	return mounted, err
}

// Meaning makes more of an answer than [response.Error] can, which is to judge
// pushes alone: err is one about what a repository holds.
func Meaning(err error) error {
	answer, ok := err.(*registry.Error) //nolint:errorlint // of this request, and of no other that it took
	if !ok {
		return err
	}
	manifest := false
	if u, err := url.Parse(answer.URL); err == nil {
		manifest = isManifest(u.Path)
	}
	switch {
	case answer.Status == http.StatusMethodNotAllowed, answer.Code == "UNSUPPORTED",
		answer.Method == http.MethodDelete && answer.Code == response.CodeDigestInvalid: // distribution 2.8, of a tag
		answer.Kind = registry.ErrUnsupported
	case answer.Status != http.StatusNotFound:
	case answer.Code == "NAME_UNKNOWN":
		answer.Kind = registry.ErrRepositoryUnknown
	case answer.Method == http.MethodHead && manifest:
		answer.Kind = registry.ErrManifestUnknown // the answer has no body
	}
	return answer
}
