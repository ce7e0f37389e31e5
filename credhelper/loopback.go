package credhelper

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// loopback waits on this machine for the redirect that ends the browser's part
// (RFC 8252, section 7.3). The browser begins there, too: every user of the
// machine sees a program's arguments, and who knew the state, which is in the
// address of the consent page, could have the login end with a code of hers.
type loopback struct {
	listener net.Listener
	// start is the path of the page that leads to the consent page, once.
	start  string
	opened atomic.Bool
	server *http.Server
	served chan struct{}
	// result brings what ends the login, once.
	result chan callback
}

// callback is what a redirect brings.
type callback struct {
	code registry.Secret
	err  error
}

// listen opens the loopback. It serves nothing until serve is called.
func listen(ctx context.Context) (*loopback, error) {
	var config net.ListenConfig
	// The address, not the name: "localhost" may resolve to something else.
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the browser: %w", err)
	}
	return &loopback{listener: listener, start: "/" + rand.Text(), served: make(chan struct{}), result: make(chan callback, 1)}, nil
}

// startURI is what the browser is opened with. It is of no use a second time.
func (l *loopback) startURI() string { return l.redirectURI() + l.start }

// redirectURI has neither slash nor path: Gitea compares it with the
// registered one without the port.
func (l *loopback) redirectURI() string { return "http://" + l.listener.Addr().String() }

// serve leads the browser to the consent page, and waits for a redirect with
// our state. Every other request is answered with 404 and forgotten: another
// program, page or user must neither end the login nor slip its own code in.
func (l *loopback) serve(consent, state string) {
	l.server = &http.Server{
		Handler:           l.handler(consent, state),
		ReadHeaderTimeout: connectTimeout,
	}
	go func() {
		defer close(l.served)
		_ = l.server.Serve(l.listener) // until it is shut down
	}()
}

// close ends serve, once the page is delivered.
func (l *loopback) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = l.server.Shutdown(ctx)
	_ = l.server.Close()
	<-l.served
}

const (
	pageDone   = "You may close this window and go back to the terminal.\n"
	pageFailed = "The login was not completed. The terminal says why.\n"
)

func (l *loopback) handler(consent, state string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A name that resolves to 127.0.0.1 is a page's way in (DNS rebinding).
		if r.Host != l.listener.Addr().String() || r.Method != http.MethodGet || !sameUser(r.RemoteAddr, r.Host) {
			http.NotFound(w, r)
			return
		}
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", "default-src 'none'")
		header.Set("Content-Type", "text/plain; charset=utf-8")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		if r.URL.Path == l.start {
			l.begin(w, r, consent)
			return
		}
		result, ours := parseCallback(r.URL.Query(), state)
		if r.URL.Path != "/" || !ours {
			http.NotFound(w, r)
			return
		}
		page := pageDone
		if result.err != nil {
			page = pageFailed
		}
		_, _ = io.WriteString(w, page)
		l.end(result)
	})
}

// begin leads to the consent page. Who comes second cannot know who came first,
// so that the login ends.
func (l *loopback) begin(w http.ResponseWriter, r *http.Request, consent string) {
	if l.opened.Swap(true) {
		http.NotFound(w, r)
		l.end(callback{err: errors.New("the login was opened a second time, which another user of this machine may have done: begin again")})
		return
	}
	http.Redirect(w, r, consent, http.StatusFound)
}

// end gives the login its result; the first one counts.
func (l *loopback) end(result callback) {
	select {
	case l.result <- result:
	default:
	}
}

// parseCallback reads the query of a redirect. It is not ours unless it brings
// our state.
func parseCallback(query url.Values, state string) (result callback, ours bool) {
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(state)) != 1 {
		return callback{}, false
	}
	if code := query.Get("error"); code != "" {
		result.err = fmt.Errorf("the server says %.60q: %.200q", code, query.Get("error_description"))
	} else if result.code = registry.NewSecret(query.Get("code")); result.code.IsZero() {
		result.err = errors.New("the redirect brings no code")
	}
	return result, true
}

// parsePasted reads what the user pasted: the address that the browser was
// led to.
func parsePasted(text, state string) (registry.Secret, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.RawQuery == "" {
		return registry.Secret{}, errors.New("this is not the address that the browser was led to, which begins with " + loopbackURI)
	}
	result, ours := parseCallback(u.Query(), state)
	if !ours {
		return registry.Secret{}, errors.New("this address belongs to another login: open the one above again")
	}
	return result.code, result.err
}
