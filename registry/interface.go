// Package registry is the vocabulary of pushing images to a container registry of
// Gitea or Forgejo, or to another that follows the OCI distribution specification:
// the contract ([RegistryClient]), options, events, results, errors, names and
// secrets. It asks nobody. The client is package
// [github.com/docker-gitea/docker-gitea/registry/remote]; images come from package
// [github.com/docker-gitea/docker-gitea/registry/image].
//
// # Failures
//
// They are [*Error], [*UploadError], [*TLSError] and [*NameError], among others;
// errors.Is with the errors beside [ErrDenied] says what they mean, and [Diagnose]
// says it in words, with what to do.
//
// # How the files fit together
//
//   - interface.go, types.go, progress.go, checks.go: what a client is asked for,
//     and what it tells
//   - reference.go: names and hosts, by the rules of the specification and of Gitea
//   - errors.go, answerer.go, temporary.go: what went wrong, who said so, and
//     whether another try may help; diagnose.go and its table in diagnoses.go and refusals.go,
//     certificates.go: what to say about it
//   - identity.go, origin.go, secret.go: whom the registry takes the client for,
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
