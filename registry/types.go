package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// Defaults of [PushOptions] and [remote.Options].
const (
	// DefaultJobs is how many blobs travel side by side.
	DefaultJobs = 4
	// DefaultRetries is how often a failed step is tried again.
	DefaultRetries = 5
)

// RegistryConfig says where a registry is and how to be trusted by it. Only
// URL is required.
//
//nolint:revive // the name is part of the contract with other programs
type RegistryConfig struct {
	// URL is the registry's address: "https://git.example.com:3000", or a
	// bare "git.example.com:3000". "http://" asks for plain HTTP. A path is
	// ignored: /v2/ is always at the root of the host.
	URL string `json:"url,omitempty"`
	// Insecure accepts any TLS certificate from this host, and from no other;
	// where one is pinned, only that.
	Insecure bool `json:"insecure,omitempty"`
	// Auth is the credential. The zero value is anonymous.
	Auth AuthConfig `json:"auth,omitzero"`
	// CAFiles are PEM files of certificate authorities trusted for this host
	// beside the system's.
	CAFiles []string `json:"caFiles,omitempty"`
	// CAData is the content of such a file.
	CAData string `json:"caData,omitempty"`
	// CertFile and KeyFile are the PEM files of a client certificate.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	// CertDirs are directories laid out as Docker's certs.d, searched for
	// HOST/*.crt, *.cert and *.key. Nil means [remote.DefaultCertDirs]; an empty,
	// non-nil slice means none.
	CertDirs []string `json:"certDirs,omitempty"`
}

// Validate reports what is wrong with the configuration, without any I/O.
func (c RegistryConfig) Validate() error {
	var errs []error
	if _, err := endpoint.Parse(c.URL); err != nil {
		errs = append(errs, err)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, errors.New("certFile and keyFile go together"))
	}
	return errors.Join(append(errs, c.Auth.Validate())...)
}

// AuthConfig is a credential: user name and password, or a token with or
// without a user name. A token is a personal access token or an OAuth access
// token of Gitea. The zero value is anonymous. It prints without its secrets;
// encoding it as JSON does write them, as a configuration file needs.
type AuthConfig struct {
	Token    string `json:"token,omitempty"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`

	// Origin is where the credential came from, for those who have to change it.
	// With nothing else it says where one was expected.
	Origin Origin `json:"-"`
}

// Validate reports a credential that cannot be sent.
func (a AuthConfig) Validate() error {
	switch {
	case a.Token != "" && a.Password != "":
		return errors.New("auth: token and password exclude each other")
	case a.Password != "" && a.Username == "":
		return errors.New("auth: a password needs a username")
	case a.Username != "" && a.Password == "" && a.Token == "":
		return errors.New("auth: a username needs a password or a token")
	case printable.HasControl(a.Username) || printable.HasControl(a.Password) || printable.HasControl(a.Token):
		return fmt.Errorf("auth: control characters in %s", a.Origin.phrase())
	}
	return nil
}

// IsZero reports whether the credential is absent.
func (a AuthConfig) IsZero() bool { return a.Token == "" && a.Username == "" && a.Password == "" }

// Refused is where a credential that was refused came from, and what is odd about
// it: one that was accepted may be as odd as it likes.
func (a AuthConfig) Refused() Origin {
	if a.Origin != (Origin{}) {
		a.Origin.Remark = oddity(a.Token + a.Password) // there is one of them
	}
	return a.Origin
}

// Format implements [fmt.Formatter]: no verb shows a secret.
func (a AuthConfig) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "{Username:%q Password:%s Token:%s}", a.Username, NewSecret(a.Password), NewSecret(a.Token))
}

// LogValue implements [slog.LogValuer].
func (a AuthConfig) LogValue() slog.Value {
	return slog.GroupValue(slog.String("username", a.Username), slog.Bool("anonymous", a.IsZero()))
}

// PushOptions are the options of one push. The zero value pushes the image
// that the client's [remote.Options.Save] finds under the destination's name, to the
// destination's own tag.
type PushOptions struct {
	// Tags are set besides the destination's own tag.
	Tags []string `json:"tags,omitempty"`
	// Insecure accepts any TLS certificate from the registry during this push.
	Insecure bool `json:"insecure,omitempty"`
	// Timeout bounds the whole push. Zero means no bound; silence is bounded
	// by [remote.Options.StallTimeout] all the same.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Jobs is how many blobs travel side by side. Zero means [DefaultJobs].
	Jobs int `json:"jobs,omitempty"`
	// ChunkSize is the largest request body, in bytes, when a proxy limits
	// it. Zero means no limit; one is found when a proxy answers 413.
	ChunkSize int64 `json:"chunkSize,omitempty"`
	// Retries is how often each step is tried again after a passing failure.
	// Zero means what [remote.Options.Retries] says; negative means never.
	Retries int `json:"retries,omitempty"`
	// Compression is what raw layers are sent as. The zero value is gzip at
	// the default level.
	Compression image.Compression `json:"compression,omitzero"`
	// ForceCompression and NoAttestations are those of [image.Options], when Source is
	// nil, and of the source otherwise. With either, Via is not called, and what the
	// daemon's image becomes is not remembered: ImageID is not its ID.
	ForceCompression bool `json:"forceCompression,omitempty"`
	NoAttestations   bool `json:"noAttestations,omitempty"`
	// IncludeForeign brings the layers over that a manifest names by a URL, which
	// the registry lacks: from [PushOptions.Fetch], or from that URL, with HTTPS
	// alone, no credential, and no TLS setting of any host. Push compares them with
	// their digests. Without it they stay where they are, as far as the registry takes
	// the manifest then. What the cache has of an image does not tell whether they
	// are there, and is not asked.
	IncludeForeign bool `json:"includeForeign,omitempty"`
	// DryRun reads the source and asks the registry what it has, and sends
	// nothing.
	DryRun bool `json:"dryRun,omitempty"`
	// Verify looks at everything that the tags will lead to: each manifest is
	// read and compared with its digest, each blob is asked for. What the
	// registry lacks is sent. A push that ends well has then found the image
	// whole, also behind tags that did not change. Without it, a push that finds
	// every tag at the image already asks no more, and says so in
	// [Result.Unverified]. A dry run does not verify.
	Verify bool `json:"verify,omitempty"`
	// NoClobber moves no tag: one that stands at another image ends the push with
	// a [*TagError], before anything is sent; where the image is read from a stream
	// that shows at its end. A tag that another client sets at the same moment may
	// be moved all the same: registries have no request that compares.
	NoClobber bool `json:"noClobber,omitempty"`
	// MountFrom is a repository of the same registry that has the image's blobs.
	// Each is mounted from there, and sent only where that fails.
	MountFrom string `json:"mountFrom,omitempty"`

	// Image is the name or ID of the image in the local daemon, when Source is
	// nil. Empty means the destination.
	Image string `json:"image,omitempty"`
	// ImageID is the digest under which the image's content is known: its
	// config's (the image ID of Docker's classic store) or its manifest's (of
	// the containerd store). With it, an image that the registry has already
	// is pushed without reading the source, and what is pushed then is the image
	// with this ID, whatever else the source may hold by now. What the source
	// gives that has another digest, such as one platform of the index with this
	// ID, is pushed, but never taken for the image with this ID later. Empty means
	// what [image.Source.ID] says of Source.
	ImageID digest.Digest `json:"imageID,omitempty"`
	// Platform is the one image to push of several, as "os/arch[/variant]",
	// when Source is nil. Empty means all. With a platform, ImageID may be the
	// digest of the index, or of the manifest for that platform; by the latter
	// alone the push can be recognised the next time.
	Platform string `json:"platform,omitempty"`

	// DiffIDs are those of the layers of ImageID, bottom first, where they are
	// known. They say which layers of a push by way of Via may be known, and that
	// the cache is to learn what became of them; which layer is which, the config
	// tells.
	DiffIDs []digest.Digest `json:"-"`

	// Via, when not nil, has whoever holds the image push it to a registry on
	// this machine, which passes it on; a daemon may do that much faster than
	// it exports. It returns when that push has ended. Where it cannot be done,
	// for a reason that is not the destination's, Source or Save is read
	// instead. It may be called before the real registry has answered, when an
	// image seems to be new: the one on this machine then lets its requests
	// wait, and ctx is cancelled if the image turns out to be there.
	Via func(ctx context.Context, to Loopback) error `json:"-"`
	// Fetch, when not nil, gives a blob that the source lacks and that the
	// registry has for no package, from where the image came from. Push
	// compares what it reads with the digest, and closes it.
	Fetch func(ctx context.Context, d digest.Digest) (io.ReadCloser, error) `json:"-"`
	// Source is where the image is read from. Push reads it to its end but
	// does not close it. Nil means [remote.Options.Save].
	Source *image.Source `json:"-"`
	// Progress receives what happens. Nil discards it.
	Progress ProgressFunc `json:"-"`
	// Result, when not nil, is filled in by a push that was begun: after a
	// failure, as far as it came.
	Result *Result `json:"-"`
}

// ImageOptions are those of the options that say what is read of an image: a source
// that is opened with them has what a push with the same options reads by itself.
func (o PushOptions) ImageOptions() *image.Options {
	return &image.Options{
		Platform: o.Platform, Compression: o.Compression, ForceCompression: o.ForceCompression, NoAttestations: o.NoAttestations,
	}
}

// Validate reports options that cannot be used, without any I/O.
func (o PushOptions) Validate() error {
	var errs []error
	if o.Timeout < 0 {
		errs = append(errs, fmt.Errorf("timeout %v is negative", o.Timeout))
	}
	if o.Jobs < 0 {
		errs = append(errs, fmt.Errorf("jobs %d is negative", o.Jobs))
	}
	if o.ChunkSize < 0 {
		errs = append(errs, fmt.Errorf("chunk size %d is negative", o.ChunkSize))
	}
	for _, tag := range o.Tags {
		if err := checkTag(tag); err != nil {
			errs = append(errs, err)
		}
	}
	if o.MountFrom != "" && !specPattern().MatchString(o.MountFrom) {
		errs = append(errs, &NameError{Input: o.MountFrom, Fault: "a repository is OWNER/NAME, in lower case"})
	}
	return errors.Join(append(errs, o.Compression.Validate())...)
}

// Result is what a push did.
type Result struct {
	// Reference is the destination, with host, without a tag.
	Reference string `json:"reference"`
	// Tags point at the image now, as the registry stores them. There are none
	// after a failure.
	Tags []string `json:"tags,omitempty"`
	// MediaType, Digest and Size (in bytes) describe the manifest or index;
	// they are zero after a failure.
	MediaType string        `json:"mediaType"`
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size"`
	// Blobs are the blobs of the image, in no particular order.
	Blobs []BlobResult `json:"blobs,omitempty"`
	// BytesSent counts the blob bytes that went over the wire, those sent
	// twice included.
	BytesSent int64 `json:"bytesSent"`
	// Requests counts the HTTP requests made.
	Requests int `json:"requests"`
	// Retries counts the steps that were tried again.
	Retries int `json:"retries"`
	// Duration is the time from the call of Push to its return.
	Duration time.Duration `json:"duration"`
	// DryRun is set when nothing was sent.
	DryRun bool `json:"dryRun,omitempty"`
	// Unverified is set when every tag was found at Digest already and nothing
	// was sent: the tags are right, but nobody looked whether the registry
	// still has the blobs and children that they lead to. Those that Blobs
	// names as existing are then believed to. It is never set after
	// [PushOptions.Verify], nor when a tag was set: the registry itself compares
	// a manifest that it is sent with what it has.
	Unverified bool `json:"unverified,omitempty"`
}

// BlobResult is what became of one blob: Status is one of the final states.
type BlobResult struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
	Status Status        `json:"status"`
	// From is the repository that the blob was mounted from, with StatusMounted.
	From string `json:"from,omitempty"`
}
