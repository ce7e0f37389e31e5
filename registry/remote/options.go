package remote

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/upload"
)

// Options are what a client needs from the program around it. Nil and the
// zero value mean the defaults.
type Options struct {
	// Save gives the image of a local daemon to [Client.Push] when
	// [registry.PushOptions.Source] is nil. Nil means that there is no daemon.
	Save image.SaveFunc
	// Logger receives debugging messages, never a secret. Nil discards them.
	Logger *slog.Logger
	// UserAgent is sent with every request. Empty means "docker-gitea".
	UserAgent string
	// ConnectTimeout and StallTimeout default to [transport.DefaultConnectTimeout] and
	// [transport.DefaultStallTimeout].
	ConnectTimeout time.Duration
	StallTimeout   time.Duration
	// Retries is how often a request is tried again after a passing failure,
	// unless [registry.PushOptions.Retries] says otherwise for a push. Zero means
	// [registry.DefaultRetries]; negative means never.
	Retries int
	// Backoff gives the wait before the n-th retry, counted from 1. Nil
	// means [wire.FullJitter]. A Retry-After of the server takes precedence.
	Backoff func(n int) time.Duration
	// Rate bounds how fast blobs are sent. Nil bounds nothing.
	Rate *Rate
	// CacheDir is a directory, which need not exist, for what one push leaves to
	// the next: what a layer or an image became. Empty means to remember nothing.
	CacheDir string
	// Together says that all pushes of the client are made within minutes, as those of
	// one command are. Then none of them asks again for what another has found in a
	// repository.
	Together bool
	// Transport replaces the transport that the client would build from its
	// TLS settings, for tests and for programs with a proxy of their own.
	Transport http.RoundTripper
}

// Rate bounds how many bytes of blobs a second the clients that share it send
// together, over all of their connections. Reading from a registry has no bound of
// its own: a copy reads no faster than it sends.
type Rate struct{ of *upload.Rate }

// NewRate makes a rate of so many bytes per second. If there are none, it returns
// nil, which bounds nothing.
func NewRate(bytesPerSecond int64) *Rate {
	if bytesPerSecond <= 0 {
		return nil
	}
	return &Rate{upload.NewRate(bytesPerSecond)}
}

func (r *Rate) shared() *upload.Rate {
	if r == nil {
		return nil
	}
	return r.of
}
