// Package registry pushes images to a container registry of Gitea or Forgejo,
// and to others that follow the OCI distribution specification. It knows
// neither Docker's command line nor its daemon: images come from package
// [github.com/docker-gitea/docker-gitea/registry/image].
//
// # Use
//
// [New] makes a [Client] for one registry; it may be shared. [Client.Push]
// sends an image, [Client.Health] and [Client.Authenticate] look before.
// Failures are [*Error], [*UploadError], [*TLSError] and [*NameError]; what
// they mean is told by errors.Is with the sentinels beside [ErrDenied], and in
// words by [Diagnose].
//
// # How the files fit together
//
//   - interface.go, types.go, errors.go, progress.go, secret.go: the
//     vocabulary, nothing that acts
//   - reference.go: names and hosts, by Gitea's rules
//   - client.go: the client; it puts the layers of transport.go together, among
//     them auth.go (with challenge.go), tls.go (with trust.go) and proxy.go
//   - push.go: one push from its start to its end; blob.go: one blob, driven by
//     the state machine in upload.go, which does no I/O; content.go and
//     spool.go: what can be sent again; manifest.go: manifests and tags;
//     known.go and cache.go: what need not be sent at all; remember.go: what
//     may be kept for that; verify.go: whether all is there; session.go: where
//     another process goes on; missing.go and download.go: where the blobs come
//     from that the source lacks; silence.go: a word when nothing moves
//   - relay.go: a daemon's own push, passed on from the registry of loopback.go;
//     standin.go: layers that the daemon need not compress for it
//   - response.go: the one place that knows what an answer means; diagnose.go
//     and its table in diagnoses.go: what to say about it
//   - browse.go: what the registry holds, read and deleted; and the way to the
//     other APIs of its server
//   - check.go: everything on the way to a registry, looked at in order, with
//     trace.go and account.go
package registry

import "context"

// RegistryClient pushes images to one registry. [*Client] implements it;
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
