package registry

import "context"

// RegistryClient pushes images to one registry. [*Client] implements it;
// [github.com/docker-gitea/docker-gitea/registry/registrytest.Client] is a
// fake for tests. Implementations are safe for concurrent use.
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
