// Package giteaapi speaks the few calls of the REST API of Gitea and Forgejo
// that concern container packages: listing them, and linking them to
// repositories. What the registry API can do as well (tags, manifests,
// deleting) is in package registry; so are the connection and the credential.
// Gitea's own Go SDK covers hundreds of calls and needs a connection of its own, which
// is too much for these six.
//
// giteaapi.go finds the API and sends requests, packages.go has the calls.
package giteaapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// Client is the API of one server. It is safe for concurrent use.
type Client struct {
	server *remote.Client
	// root is the path that Gitea's pages are under, without a slash at its end.
	root string
}

// ErrNone says that the server has no API of Gitea, or not where it was looked
// for.
var ErrNone = errors.New("no API of Gitea or Forgejo")

// usualRoots are the paths under which people put Gitea.
var usualRoots = []string{"/gitea", "/git", "/forgejo", "/code"}

// Find looks for the API of a registry's server. The registry is always at the
// root of its host, but the API is below the path of ROOT_URL: where the
// registry's challenge says (Forgejo's does), or else at the root and at the
// usual places. The server there is asked without the credential.
//
// Errors: [ErrNone], and those of the connection.
func Find(ctx context.Context, server *remote.Client) (*Client, error) {
	c := &Client{server: server}
	root, ok, err := server.Root(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the version: %w", err)
	}
	roots := []string{root}
	if root == "" {
		roots = append(roots, usualRoots...)
	}
	for _, c.root = range roots {
		if !ok {
			break // nobody else's API may have the registry's credential
		}
		if found, err := c.here(ctx); err != nil || found {
			return c, err
		}
	}
	return nil, fmt.Errorf("%s: %w", server.Host(), ErrNone)
}

// Root is the path that the pages are under; empty where they are at the root.
func (c *Client) Root() string { return c.root }

// here reports whether the API is below root. Where anonymous visitors see
// nothing, its refusal is in the API's own form.
//
// Source: Gitea 1.26 routers/api/v1/api.go, "/version".
func (c *Client) here(ctx context.Context) (bool, error) {
	var version struct {
		Version string `json:"version"`
	}
	_, err := read(ctx, "ask for the version", &version, func(ctx context.Context) (*http.Response, error) {
		return c.server.Look(ctx, c.root+"/api/v1/version")
	})
	answer, isAnswer := errors.AsType[*Error](err)
	switch {
	case err == nil:
		return version.Version != "", nil
	case isAnswer && temporary(answer.Status):
		return false, err
	case isAnswer:
		return answer.Message != "" && (answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden), nil
	case errors.Is(err, errMalformed), errors.Is(err, registry.ErrRedirected):
		return false, nil
	}
	return false, err
}

// Error is an answer of the API that is no success.
type Error struct {
	// Op is what was being done: "link the package".
	Op     string
	Status int
	// Message is the server's own text. It may hold anything.
	Message string
}

// Error reads "link the package: 404 Not Found: …".
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.Op, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += fmt.Sprintf(": %.300q", e.Message)
	}
	return text
}

// Is tells a credential that is refused ([registry.ErrUnauthorized]) from one
// that may not do this ([registry.ErrDenied]), and a server that fails
// ([registry.ErrServer]) or has too much to do ([registry.ErrRateLimited]).
func (e *Error) Is(target error) bool {
	switch {
	case e.Status == http.StatusUnauthorized:
		return target == registry.ErrUnauthorized
	case e.Status == http.StatusForbidden:
		return target == registry.ErrDenied
	case e.Status == http.StatusTooManyRequests:
		return target == registry.ErrRateLimited
	case e.Status >= http.StatusInternalServerError:
		return target == registry.ErrServer
	}
	return false
}

// temporary reports an answer that says nothing of what is there.
func temporary(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

// NotFound reports an answer of 404.
func NotFound(err error) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.Status == http.StatusNotFound
}

// NoPackage reports that the server finds no package of that name.
//
// Source: Forgejo 14.0.5 models/packages/package.go, ErrPackageNotExist.
func NoPackage(err error) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.Status == http.StatusNotFound && strings.Contains(answer.Message, "package does not exist")
}

// Unknown reports that the server does not know what was asked: Gitea before
// 1.24, and Forgejo before 11, have no links of packages in their API. If they know the
// call, and do not find what it names, the answer has a message.
func Unknown(err error) bool {
	answer, ok := errors.AsType[*Error](err)
	return ok && answer.Status == http.StatusNotFound && answer.Message == ""
}

// maxBody bounds every answer. A page of packages repeats owner, repository
// and creator in full for each.
const maxBody = 16 << 20

// errMalformed: what answers is not the API.
var errMalformed = errors.New("the answer is not of Gitea's API")

// call sends a request to a path below /api/v1 and decodes the answer into
// out, unless that is nil. more tells that a list goes on.
func (c *Client) call(ctx context.Context, op, method, path string, out any) (more bool, err error) {
	return read(ctx, op, out, func(ctx context.Context) (*http.Response, error) {
		return c.server.Ask(ctx, method, c.root+"/api/v1"+path)
	})
}

// read sends a request and decodes the answer.
func read(ctx context.Context, op string, out any, send func(context.Context) (*http.Response, error)) (more bool, err error) {
	resp, err := send(ctx)
	if err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := remote.ReadAnswer(resp, maxBody)
	if err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	if resp.StatusCode/100 != 2 {
		var refusal struct {
			Message string `json:"message"`
		}
		_ = unmarshal(body, &refusal) // a page for browsers has nothing to say
		return false, &Error{Op: op, Status: resp.StatusCode, Message: refusal.Message}
	}
	if out == nil {
		return false, nil
	}
	if err := unmarshal(body, out); err != nil {
		return false, fmt.Errorf("%s: %w", op, errMalformed)
	}
	return remote.NextPage(resp) != "", nil
}

// unmarshal decodes an answer. No text of it breaks a line, or has anything that
// a terminal would act upon: that is taken out here, where it comes in.
func unmarshal(body []byte, out any) error {
	var document any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return err
	}
	plain, err := json.Marshal(printable(document))
	if err != nil {
		return err
	}
	return json.Unmarshal(plain, out)
}

func printable(document any) any {
	switch value := document.(type) {
	case string:
		return registry.Printable(value)
	case []any:
		for i := range value {
			value[i] = printable(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = printable(value[key])
		}
	}
	return document
}
