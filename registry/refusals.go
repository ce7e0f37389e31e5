package registry

import (
	"errors"
	"net/http"
	"strings"
	"syscall"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// registryDiagnoses are the refusals of the registry itself, and the failures of this
// machine.
var registryDiagnoses = []diagnosis{
	// What is read from a registry.
	{
		"401 or 403 of the registry that the image, or a layer, is read from", func(f failure) bool {
			return f.source != nil && (f.is(ErrUnauthorized) || f.is(ErrDenied) || f.answer.Status == http.StatusForbidden)
		},
		"{host} does not let you read {repository}", "docker login {host}, as somebody who may pull {host}/{repository}, and try again",
	},
	{
		"404 of the registry that the image, or a layer, is read from", func(f failure) bool { return f.source != nil && f.answer.Status == http.StatusNotFound },
		"{host} no longer has all of {repository}, or hides it from you", "docker pull {host}/{repository} shows whether it is still there; where it is not, push the image to {host} again",
	},

	{
		"an image, or a layer, with other bytes than those of its digest", is(image.ErrDigest),
		"the image is damaged where it is read from, or was changed on the way from there",
		"push again; if it happens again, make the file anew, or push an image of a registry to that registry again",
	},

	// Who asks, and what they may do.
	{
		"401 of a server that took the credential before, or is unwell", is(ErrBusy),
		"{host} refuses a credential that it accepted before, or reports that it is unhealthy: it is overloaded, often because its database has no free connection; nothing is wrong with the credential",
		"try later, and push with --jobs 1 --retries 10; on the server, in [database] of app.ini, MAX_OPEN_CONNS below the limit of the database (max_connections of PostgreSQL)",
	},
	{
		"401, and no credential was given", func(f failure) bool {
			return (f.is(ErrUnauthorized) || f.is(ErrDenied)) && f.answer.Identity == Identity{Anonymous: true}
		},
		"no credential was sent: {none}", "{first}",
	},
	{
		"401, and the account has a security key", func(f failure) bool { return f.is(ErrUnauthorized) && f.answer.Account.SecurityKey },
		"the account has a security key, so that its password is not enough",
		"make a personal access token with the scope write:package ({web}/user/settings/applications), and {use}",
	},
	{
		"401, and the account may not sign in", func(f failure) bool { return (f.is(ErrUnauthorized) || f.is(ErrDenied)) && f.answer.Account.Barred },
		"the account is not activated, or forbidden to sign in, or (Forgejo) has to have two-factor authentication first",
		"ask an administrator of {host} to activate it, and to let it sign in; or set up two-factor authentication at {web}/user/settings/security",
	},
	{
		"401 to a login with a password alone", func(f failure) bool { return f.is(ErrUnauthorized) && f.answer.Account.Factors == 1 },
		"{host} refuses the user name with that password: one of them is wrong, or the account has two-factor authentication",
		"try both at {web}/user/login; if the account has two factors, the one-time code goes on the second line of standard input, or where the terminal asks for it",
	},
	{
		"401 to a login with a password and a one-time code", func(f failure) bool { return f.is(ErrUnauthorized) && f.answer.Account.Factors > 1 },
		"{host} refuses the password with that one-time code: each code works once, and for a minute",
		"wait for the next code, and log in again; if that is refused too, the password is wrong",
	},
	{
		"401, and the API knows the token", func(f failure) bool {
			return f.is(ErrUnauthorized) && (f.answer.Account.Status == http.StatusOK || f.answer.Account.Status == http.StatusForbidden)
		},
		"the server knows {from}, but its registry does not accept it: the token has no scope for packages, or belongs to a job of Gitea Actions",
		"make a personal access token with the scope write:package ({web}/user/settings/applications), and {use}",
	},
	{
		"401, also from the API", func(f failure) bool {
			return f.is(ErrUnauthorized) && f.answer.Account.Status == http.StatusUnauthorized
		},
		"the server refuses {from}: the password is wrong, the token was revoked, the account may not sign in, or it has two-factor authentication, with which only a token works",
		"{renew}",
	},
	{
		"401", is(ErrUnauthorized),
		"the registry refuses {from}: a wrong password, a revoked token, a token without a package scope, or two-factor authentication, which needs a token",
		"{another}",
	},
	{
		"401 `reqPackageAccess`, anonymous in the registry's eyes", func(f failure) bool { return f.is(ErrDenied) && f.answer.Identity.UserID == ghostUser },
		"the registry treated the request as anonymous, though {from} was sent", "{renew}; if that changes nothing, have the proxies in between pass on the header Authorization",
	},
	{
		"401 `reqPackageAccess`, with the token of a job", func(f failure) bool { return f.is(ErrDenied) && f.answer.Identity.Actions },
		"the token of a Gitea Actions job may not write packages",
		"store a personal access token with the scope write:package as a secret of the repository, and {use}",
	},
	{
		"401 `reqPackageAccess`, and the token lacks the scope", func(f failure) bool {
			return f.is(ErrDenied) && f.answer.Identity.Scope != "" && !f.answer.Identity.CanPush()
		},
		"the token may not write packages; its scope is {scope}",
		"make a personal access token with the scope write:package ({web}/user/settings/applications), and {use}",
	},
	{
		"403 `reqToken`", func(f failure) bool { return f.is(ErrDenied) && f.answer.Message == "reqToken" },
		"the token is limited to public packages, and {owner} is private, or visible to logged-in users alone", "make a token that is not limited to public repositories and packages, and {use}",
	},
	{
		"401 `reqPackageAccess` under one's own name", func(f failure) bool { return f.is(ErrDenied) && strings.EqualFold(f.answer.Account.Name, ownerIn(f)) },
		"the account {who} may not write packages of its own: it is inactive, or forbidden to sign in", "ask an administrator of {host} to activate it, and to let it sign in",
	},
	{
		"401 `reqPackageAccess`", is(ErrDenied),
		"{who} may not push to {owner}: it is another user, or an organisation none of whose teams gives {who} write access to packages (being a repository's collaborator is not enough)",
		"push to your own name, or have {owner} set Packages to Write for one of your teams",
	},

	// Names.
	{
		"404 `Not found.`", is(ErrOwnerUnknown),
		"{host} has no user or organisation {owner}, or hides it from you", "check the spelling; a push creates no owner; create an organisation at {web}/org/create",
	},
	{
		"400 `NAME_INVALID` or `Tag is invalid` from the server", func(f failure) bool { return f.is(ErrNameInvalid) && f.answer.Status != 0 },
		"the server has stricter rules for names", "use lower case, and a single . _ or - between letters and digits",
	},

	// Limits.
	{
		"403 without a text, of a blob, or 413 `enforcePackagesQuota`", func(f failure) bool {
			return f.is(ErrQuota) && (f.answer.Status == http.StatusRequestEntityTooLarge || !strings.HasPrefix(f.answer.Op, "put manifest"))
		},
		"a limit on the size of a layer, or of all packages of {owner}, or the quota that Forgejo gives {owner}, is reached",
		"delete old versions at {web}/{owner}/-/packages, or on the server, in [packages] of app.ini, raise LIMIT_SIZE_CONTAINER or LIMIT_TOTAL_OWNER_SIZE (of Forgejo, the quota of {owner})",
	},
	{
		"403 without a text, of a manifest", is(ErrQuota),
		"a limit on the number of packages of {owner} is reached", "delete old versions at {web}/{owner}/-/packages, or on the server, in [packages] of app.ini, raise LIMIT_TOTAL_OWNER_COUNT",
	},
	{
		"413 of a manifest", func(f failure) bool { return f.is(ErrTooLarge) && f.answer.Code == "MANIFEST_INVALID" },
		"the manifest is larger than 10 MiB, which Gitea refuses", "push fewer platforms with --platform, or an image with fewer layers",
	},

	// Manifests.
	{
		"404 `BLOB_UNKNOWN` of a manifest", func(f failure) bool { return f.is(ErrBlobUnknown) && f.answer.Code == "BLOB_UNKNOWN" },
		"the registry has lost blobs of the image, even after they were sent again", "push again; on the server, look at the log and the storage of packages",
	},
	{
		"layers that a manifest names by a URL", func(f failure) bool {
			missing, ok := errors.AsType[*MissingError](f.error)
			return ok && missing.Foreign
		},
		"the manifest says that these layers are at a URL, as those of Windows were; nobody asked for them there, and Gitea takes no image without its layers",
		"push with --include-foreign, which fetches them and sends them",
	},
	{
		"layers that a file or directory lacks", func(f failure) bool {
			missing, ok := errors.AsType[*MissingError](f.error)
			return ok && missing.File
		},
		"the file or directory holds the manifest and not all layers of it, and the registry does not have them either",
		"write the image again, with all of its layers, or push it from where they are",
	},
	{
		"layers that the source lacks", func(f failure) bool {
			_, missing := errors.AsType[*MissingError](f.error)
			return missing
		},
		"the source does not hold these layers, nor does the registry: the containerd store does not fetch a layer whose files it has already, and then cannot export it",
		"docker login to the registry that the image came from, and push again; or remove it and all images that share layers with it (docker image rm, docker builder prune), and docker pull it again",
	},
	{
		"404 `MANIFEST_BLOB_UNKNOWN` of an index", is(ErrBlobUnknown),
		"the index names manifests that the source does not hold, and Gitea takes no index without its children", "push the one that is there with --platform OS/ARCH, or build all of them",
	},
	{
		"404 `MANIFEST_UNKNOWN`", is(ErrManifestUnknown),
		"the registry does not have a manifest that it had a moment ago: it was deleted meanwhile, or several servers do not share their storage",
		"push again; if it happens again, on the server, look at the log and the storage of packages",
	},
	{
		"400 `SIZE_INVALID`", func(f failure) bool { return f.is(ErrManifestInvalid) && f.answer.Code == "SIZE_INVALID" },
		"the manifest gives another size for a blob than the registry has, or it is of an artifact without a config, which Gitea takes for that", "build the image again; write an artifact with a config, as current versions of oras do",
	},
	{
		"501 `UNSUPPORTED`", func(f failure) bool { return f.is(ErrManifestInvalid) && f.answer.Status == http.StatusNotImplemented },
		"the manifest is of the old schema version 1", "save the image with a current docker, and push that",
	},
	{
		"400 `MANIFEST_INVALID`", is(ErrManifestInvalid),
		"the registry does not know this kind of manifest: Gitea takes images, artifacts that have a config, and an index of them, but no index in an index",
		"of an index, push one platform with --platform OS/ARCH",
	},

	// Failures of the server.
	{
		"400 `DIGEST_INVALID` of another digest than SHA-256", func(f failure) bool {
			upload, ok := errors.AsType[*UploadError](f.error)
			return ok && f.is(ErrDigestMismatch) && upload.Digest.Validate() == nil && upload.Digest.Algorithm() != digest.SHA256
		},
		"the image uses digests other than SHA-256, and Gitea supports no others", "build the image again with digests of SHA-256, the default of every program",
	},
	{
		"400 `DIGEST_INVALID`", is(ErrDigestMismatch),
		"what arrived is not what was sent: something changes bodies on the way, or the source changed while it was read", "push again; if it happens again, look at the proxies in between",
	},
	{
		"404 `BLOB_UPLOAD_UNKNOWN`, again and again", is(ErrUploadUnknown),
		"the registry loses uploads: several servers do not share the directory for them, or it is cleaned", "on the server, have one client stay at one instance, and look at APP_TEMP_PATH",
	},
	{
		"400, 404 or 416 `BLOB_UPLOAD_INVALID`", func(f failure) bool { return f.answer.Code == "BLOB_UPLOAD_INVALID" },
		"the registry rejects the parts of an upload: a proxy changes the header Content-Range", "push without --chunk-size, or look at the proxies in between",
	},
	{
		"500 without a text", is(ErrServer),
		"the registry failed; its log has the cause: often a full disk or temporary directory, SQLite under parallel writes, or a database without a free connection",
		"try again, and push with --jobs 1; on the server, look at the log, the disk, SQLITE_TIMEOUT and MAX_OPEN_CONNS",
	},

	// This machine.
	{
		"no space left on this machine", is(syscall.ENOSPC),
		"the disk of the temporary directory is full", "free some space, or name another directory with TMPDIR",
	},
	{
		"nothing to push", is(ErrNoSource),
		"there is neither an image file nor a daemon", "name a tar, a directory, or an image of the daemon",
	},
}
