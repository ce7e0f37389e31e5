// Package loopback waits on this machine for the redirect that ends the browser's
// part of a login (RFC 8252, section 7.3). It knows no login: what the redirect brings
// is the caller's.
//
// It gives an address for the redirect, and then its [Callback]; it listens on a port of
// the loopback interface, and makes no request. Begin with loopback.go.
//
//   - loopback.go: the port, and what it answers; user_*.go: whose a connection is
package loopback

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

// Loopback is that port. The browser begins there, too: every user of the
// machine sees a program's arguments, and who knew the state, which is in the
// address of the consent page, could have the login end with a code of hers.
type Loopback struct {
	listener net.Listener
	// start is the path of the page that leads to the consent page, once.
	start  string
	opened atomic.Bool
	server *http.Server
	served chan struct{}
	// result brings what ends the login, once.
	result chan Callback
}

// Callback is what a redirect brings.
type Callback struct {
	Code registry.Secret
	Err  error
}

// URI is the redirect address as it is registered. The server ignores the port, and
// nothing else.
const URI = "http://127.0.0.1"

// headerTimeout is how long the browser may take to ask.
const headerTimeout = 5 * time.Second

// Listen opens the loopback. It serves nothing until [Loopback.Serve] is called.
func Listen(ctx context.Context) (*Loopback, error) {
	var config net.ListenConfig
	// The address, not the name: "localhost" may resolve to something else.
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the browser: %w", err)
	}
	return &Loopback{listener: listener, start: "/" + rand.Text(), served: make(chan struct{}), result: make(chan Callback, 1)}, nil
}

// StartURI is what the browser is opened with. It is of no use a second time.
func (l *Loopback) StartURI() string { return l.RedirectURI() + l.start }

// RedirectURI has neither slash nor path: Gitea compares it with the
// registered one without the port.
func (l *Loopback) RedirectURI() string { return "http://" + l.listener.Addr().String() }

// Serve leads the browser to the consent page, and waits for a redirect with
// our state. Every other request is answered with 404 and forgotten: another
// program, page or user must neither end the login nor slip its own code in.
func (l *Loopback) Serve(consent, state string) {
	l.server = &http.Server{
		Handler:           l.handler(consent, state),
		ReadHeaderTimeout: headerTimeout,
	}
	go func() {
		defer close(l.served)
		_ = l.server.Serve(l.listener) // until it is shut down
	}()
}

// Result brings what ends the login, once.
func (l *Loopback) Result() <-chan Callback { return l.result }

// Close ends Serve, once the page is delivered.
func (l *Loopback) Close(ctx context.Context) {
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

func (l *Loopback) handler(consent, state string) http.Handler {
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
		if result.Err != nil {
			page = pageFailed
		}
		_, _ = io.WriteString(w, page)
		_ = http.NewResponseController(w).Flush() // before the program ends with its login
		l.end(result)
	})
}

// begin leads to the consent page. A second
// visitor cannot know who was the first, so the login ends.
func (l *Loopback) begin(w http.ResponseWriter, r *http.Request, consent string) {
	if l.opened.Swap(true) {
		http.NotFound(w, r)
		l.end(Callback{Err: errors.New("the login was opened a second time, which another user of this machine may have done: begin again")})
		return
	}
	http.Redirect(w, r, consent, http.StatusFound)
}

// end gives the login its result; the first one counts.
func (l *Loopback) end(result Callback) {
	select {
	case l.result <- result:
	default:
	}
}

// parseCallback reads the query of a redirect. It is not ours unless it brings
// our state.
func parseCallback(query url.Values, state string) (result Callback, ours bool) {
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(state)) != 1 {
		return Callback{}, false
	}
	if code := query.Get("error"); code != "" {
		result.Err = fmt.Errorf("the server says %.60q: %.200q", code, query.Get("error_description"))
	} else if result.Code = registry.NewSecret(query.Get("code")); result.Code.IsZero() {
		result.Err = errors.New("the redirect brings no code")
	}
	return result, true
}

// ParsePasted reads what the user pasted: the address that the browser was
// led to.
func ParsePasted(text, state string) (registry.Secret, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.RawQuery == "" {
		return registry.Secret{}, errors.New("this is not the address that the browser was led to, which begins with " + URI)
	}
	result, ours := parseCallback(u.Query(), state)
	if !ours {
		return registry.Secret{}, errors.New("this address belongs to another login: open the one above again")
	}
	return result.Code, result.Err
}
