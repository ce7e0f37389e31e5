// Package registry is the vocabulary for pushing images to a container registry of
// Gitea or Forgejo, or to any other that follows the OCI distribution specification.
// It has the interface, the options, the events, the results and the errors. It makes
// no request.
//
// # Where to begin
//
// A program that pushes imports three packages:
//
//   - this one, for [RegistryConfig] (which registry, which credential) and
//     [PushOptions] (what, and how);
//   - [github.com/docker-gitea/docker-gitea/registry/remote], for the client, which
//     implements [RegistryClient];
//   - [github.com/docker-gitea/docker-gitea/registry/image], to open a file, a
//     directory or a stream with an image in it.
//
// A program that is handed a client by others needs [RegistryClient] alone. Its tests
// can use [github.com/docker-gitea/docker-gitea/registry/registrytest], a registry in
// memory and a fake client. For a client of your own, certs has the TLS settings of a
// host and transport the connections.
//
// # Names and secrets
//
// [ParseReference] reads "HOST/OWNER/NAME:TAG" by the rules of the specification, and
// says how a wrong name should be written. A [Secret] cannot be printed by accident:
// only [Secret.Reveal] gives its text.
//
// # Errors
//
// Two questions can be asked of an error. What does it mean? Use errors.Is with
// [ErrDenied], [ErrUnauthorized], [ErrTooLarge] and the errors beside them. Where did it
// happen? Use errors.As with [*Error] (an answer of the registry), [*UploadError] (a
// blob), [*TLSError] (a certificate), [*UnreachableError] (no answer), [*NameError] (a
// name) or [*MissingError] (layers that nobody has).
//
// [Temporary] reports whether another try may help. [Diagnose] gives the cause in words,
// and a hint what to do.
//
// # Concurrency
//
// The types are plain values: do not share one while you write to it. All
// functions are safe for concurrent use, and so is every implementation
// of [RegistryClient]. [PushOptions.Progress] is called for one event at a time.
//
// # How the files fit together
//
//   - interface.go, types.go, progress.go, checks.go: what a client is asked for,
//     and what it tells
//   - reference.go: names and hosts, by the rules of the specification and of Gitea
//   - errors.go, answerer.go, temporary.go: what went wrong, who said so, and
//     whether another try may help
//   - diagnose.go, with its tables in diagnoses.go and refusals.go, and
//     certificates.go: what to say about a failure
//   - identity.go, origin.go, secret.go: which user the registry takes the client for,
//     where the credential came from, and how it is kept out of sight
//   - loopback.go: the names of registries of this machine that live for one push
package registry

import (
	"context"
)

// RegistryClient pushes images to one registry. [*remote.Client] implements it;
// [github.com/docker-gitea/docker-gitea/registry/registrytest.Client] is a
// fake for tests. Implementations are safe for concurrent use.
//
//nolint:revive // the name is part of the contract with other programs
type RegistryClient interface {
	// Push sends an image to the registry and points its tags at it.
	// imageRef is the destination, "owner/name[:tag]", with or without the
	// registry's host in front.
	//
	// Errors:
	//   - [*NameError] (errors.Is [ErrNameInvalid]) before any request, when the
	//     destination or a tag breaks the server's rules
	//   - [ErrNoSource] when there is nothing to read the image from
	//   - [ErrUnauthorized] when the credential is refused
	//   - [ErrDenied] when the credential is good but may not push there
	//   - [ErrOwnerUnknown] when no such user or organisation exists
	//   - [ErrQuota], [ErrTooLarge] when the registry or a proxy wants less
	//   - [*MissingError] (errors.Is [ErrBlobUnknown]) when the source lacks
	//     layers that the registry does not have either
	//   - [*UploadError] when a blob could not be sent, wrapping the cause
	//   - [*TLSError] when the server's certificate is not accepted
	//   - [*github.com/docker-gitea/docker-gitea/registry/image.Error] when
	//     the source is malformed
	Push(ctx context.Context, imageRef string, opts PushOptions) error

	// Authenticate verifies a credential with the registry and, when it is
	// accepted, uses it from then on.
	//
	// Errors: [ErrUnauthorized] when it is refused, [ErrDenied] when it is
	// good for anonymous reading only.
	Authenticate(ctx context.Context, config AuthConfig) error

	// Health reports whether the registry answers at /v2/ as a registry does
	// and, if the client holds a credential, accepts it.
	Health(ctx context.Context) error
}
