package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// failureOf is the error of the check that failed, if one did.
func failureOf(checks []registry.Check) error {
	for _, c := range checks {
		if c.Outcome == registry.OutcomeFailed {
			return c.Err
		}
	}
	return nil
}

// checkedName is the repository of a check that is given an owner alone.
const checkedName = "docker-gitea-check"

// Health implements [registry.RegistryClient]: the first of the checks that fails, as
// far as they concern no owner. Without a credential, the registry's asking
// for one counts as good health.
func (c *Client) Health(ctx context.Context) error {
	e := &examination{client: c}
	return failureOf(e.run(ctx, e.reach, e.login))
}

// Check looks at everything between this machine and the registry, from the
// name to the right to push, in the order in which each needs the one before
// it; it ends with the first that fails. repository is what somebody wants to
// push to, as "owner" or "owner/name"; empty leaves the last checks out. An
// upload is begun and taken back; nothing is left on the server.
func (c *Client) Check(ctx context.Context, repository string) []registry.Check {
	p := wire.NewInfo("", 0) // without retries: what fails is told at once
	if repository != "" {
		if !strings.Contains(repository, "/") {
			repository += "/" + checkedName
		}
		p.Scope = "repository:" + repository + ":pull,push"
	}
	ctx = wire.WithInfo(ctx, p)
	e := &examination{client: c, repository: repository}
	return e.run(ctx, e.names, e.reach, e.clock, e.proxy, e.realm, e.server, e.rules, e.login, e.scope, e.owner, e.limit)
}

// examination is one run of the checks, with what each leaves to the next.
type examination struct {
	client     *Client
	repository string
	conn       *wire.Conn
	answer     *http.Response // to the first request; its body is closed
	account    registry.Account
	session    string // address of an upload
}

// run performs the steps until one fails.
func (e *examination) run(ctx context.Context, steps ...func(context.Context) []registry.Check) []registry.Check {
	defer func() { e.cancelUpload(ctx) }()
	var checks []registry.Check
	for _, step := range steps {
		checks = append(checks, step(ctx)...)
		if failureOf(checks) != nil {
			break
		}
	}
	return checks
}

func (e *examination) names(context.Context) []registry.Check {
	if e.repository == "" {
		return nil
	}
	if err := registry.CheckRepository(e.repository); err != nil {
		return []registry.Check{registry.Failed("owner", err)}
	}
	return nil
}

// rules compares the name with those that Gitea has beyond the specification's.
func (e *examination) rules(context.Context) []registry.Check {
	if e.repository == "" || !e.conn.Traits().Gitea() {
		return nil
	}
	ref := registry.Reference{Host: e.client.Host(), Repository: e.repository}
	if err := ref.CheckGitea(nil); err != nil {
		return []registry.Check{registry.Failed("owner", err)}
	}
	return nil
}

// reach asks /v2/ without a credential, and sees how far that comes.
func (e *examination) reach(ctx context.Context) []registry.Check {
	var err error
	if e.conn, err = e.client.conn(ctx, false, nil); err != nil {
		return []registry.Check{registry.Failed("settings", err)}
	}
	t := &trace{}
	req, err := http.NewRequestWithContext(t.attach(ctx), http.MethodGet, e.conn.Endpoint().URL("/v2/"), nil)
	if err != nil {
		return []registry.Check{registry.Failed("settings", err)}
	}
	resp, err := e.conn.Bare(req, wire.Follow)
	if err != nil {
		return t.checks(nil, err)
	}
	defer response.Drain(resp)
	e.answer = resp
	e.conn.Traits().Challenged(response.Challenges(resp.Header.Values("WWW-Authenticate")))
	if err = response.OfRegistry(resp); errors.Is(err, registry.ErrUnauthorized) {
		err = nil
	}
	return t.checks(resp, err)
}

// maxSkew is by how much the clocks may differ; tokens are valid for a minute
// at least.
const maxSkew = time.Minute

func (e *examination) clock(context.Context) []registry.Check {
	server, err := http.ParseTime(e.answer.Header.Get("Date"))
	if err != nil {
		return nil
	}
	skew := time.Until(server).Round(time.Second)
	if skew.Abs() > maxSkew {
		return []registry.Check{registry.Warned("clock", fmt.Errorf("%w: the server's is %v ahead", registry.ErrClock, skew))}
	}
	return []registry.Check{registry.Passed("clock", "the same as the server's")}
}

// proxy names what stands in between. Gitea itself sends no Server header.
func (e *examination) proxy(context.Context) []registry.Check {
	var found []string
	if e.client.opts.Transport == nil {
		if via, err := http.ProxyFromEnvironment(e.answer.Request); err == nil && via != nil {
			found = append(found, via.Host+", by this machine's HTTPS_PROXY")
		}
	}
	for _, header := range []string{"Server", "Via"} {
		if value := printable.Clean(e.answer.Header.Get(header)); value != "" {
			found = append(found, value+", by the header "+header)
		}
	}
	if len(found) == 0 {
		return []registry.Check{registry.Passed("proxy", "none to be seen")}
	}
	return []registry.Check{registry.Passed("proxy", strings.Join(found, "; "))}
}

// realm compares the token service with the registry's own address. We go to
// the own one whatever it says, other programs do not.
func (e *examination) realm(context.Context) []registry.Check {
	for _, c := range response.Challenges(e.answer.Header.Values("WWW-Authenticate")) {
		if c.Scheme != "bearer" {
			continue
		}
		realm := printable.Clean(c.Params["realm"])
		if u, err := url.Parse(realm); err == nil && e.conn.Owns(u) {
			return []registry.Check{registry.Passed("realm", realm)}
		}
		check := registry.Warned("realm", &registry.Error{
			Op: "token service", URL: printable.Bare(e.answer.Request.URL), Status: e.answer.StatusCode, Message: realm, Kind: registry.ErrRealm,
		})
		check.Detail = realm
		return []registry.Check{check}
	}
	return nil
}

func (e *examination) server(ctx context.Context) []registry.Check {
	if version := e.conn.Version(ctx); version != "" {
		return []registry.Check{registry.Passed("server", version)}
	}
	for _, c := range response.Challenges(e.answer.Header.Values("WWW-Authenticate")) {
		if c.ByGitea() {
			return []registry.Check{registry.Passed("server", "Gitea or Forgejo, which does not tell its version")}
		}
	}
	return []registry.Check{registry.Passed("server", "neither Gitea nor Forgejo, or one without its API at this place")}
}

// login gets a token with the credential.
func (e *examination) login(ctx context.Context) []registry.Check {
	err := e.conn.Identify(ctx, e.conn.Ping(ctx))
	id := e.conn.Identity()
	anonymous, origin := e.conn.Anonymous(), e.conn.Credential().Origin
	if err == nil && id.Anonymous {
		// Gitea lets anybody in, as a reader.
		err = &registry.Error{Op: "login", URL: e.conn.Endpoint().URL("/v2/token"), Status: http.StatusUnauthorized, Identity: id, Origin: origin, Kind: registry.ErrDenied}
	}
	switch {
	case err == nil && anonymous:
		return []registry.Check{registry.Passed("login", "the registry asks for none")}
	case err == nil:
		if origin == (registry.Origin{}) {
			return []registry.Check{registry.Passed("login", "accepted")}
		}
		return []registry.Check{registry.Passed("login", "the credential of "+origin.String()+" is accepted")}
	case anonymous && (errors.Is(err, registry.ErrUnauthorized) || id.Anonymous):
		check := registry.Warned("login", errNoCredential(e.conn.Endpoint(), origin))
		check.Detail = "none"
		return []registry.Check{check}
	}
	return []registry.Check{registry.Failed("login", err)}
}

// errNoCredential is the answer that a push without a credential would get.
func errNoCredential(e endpoint.Endpoint, missing registry.Origin) error {
	return &registry.Error{
		Op: "no login", URL: e.URL("/v2/token"), Status: http.StatusUnauthorized, Identity: registry.Identity{Anonymous: true}, Origin: missing, Kind: registry.ErrUnauthorized,
	}
}

// scope tells who the registry takes the client for, and what for.
func (e *examination) scope(ctx context.Context) []registry.Check {
	if e.conn.Anonymous() {
		return nil
	}
	e.account = e.conn.Account(ctx)
	id := e.conn.Identity()
	if id == (registry.Identity{}) {
		return nil // not Gitea
	}
	denied := &registry.Error{Op: "push", URL: e.conn.Endpoint().URL("/v2/"), Status: http.StatusUnauthorized, Identity: id, Account: e.account, Origin: e.conn.Credential().Origin, Kind: registry.ErrDenied}
	if !id.CanPush() {
		return []registry.Check{registry.Failed("scope", denied)}
	}
	detail := denied.Who()
	if id.Scope != "" { // Forgejo tells none for a password
		detail += fmt.Sprintf(", with %q", id.Scope)
	}
	return []registry.Check{registry.Passed("scope", detail)}
}

// owner begins an upload, which takes the right to push.
func (e *examination) owner(ctx context.Context) []registry.Check {
	if e.repository == "" {
		return nil
	}
	var err error
	e.session, err = e.repo().Start(ctx)
	if answer, ok := err.(*registry.Error); ok { //nolint:errorlint // of this request, and of no other that it took
		err = e.conn.Identify(ctx, answer)
	}
	if err != nil {
		return []registry.Check{registry.Failed("owner", err)}
	}
	owner, _, _ := strings.Cut(e.repository, "/")
	return []registry.Check{registry.Passed("owner", "you may push to "+owner)}
}

// cancelUpload takes back what owner began.
func (e *examination) cancelUpload(ctx context.Context) {
	if e.session == "" {
		return
	}
	// A session that cannot be removed is removed by the server in time.
	_, _ = e.repo().Cancel(ctx, e.session, 0)
}

// repo is where the upload is tried.
func (e *examination) repo() repo.Repo { return repo.Repo{Conn: e.conn, Name: e.repository} }

// The sizes of bodies that are tried: powers of two from 64 KiB to 8 GiB.
const (
	leastProbe = 16
	mostProbe  = 33
)

// limit finds the largest body that the way to the registry allows, without
// sending one: what refuses a body does so by its announced length.
func (e *examination) limit(ctx context.Context) []registry.Check {
	if e.session == "" {
		return nil
	}
	refused := error(nil)
	low, high := leastProbe-1, mostProbe+1 // accepted, refused
	for next := mostProbe; high-low > 1; next = (low + high) / 2 {
		switch err := e.announce(ctx, 1<<next); {
		case errors.Is(err, registry.ErrTooLarge):
			refused, high = err, next
		case ctx.Err() != nil:
			return []registry.Check{registry.Failed("upload limit", ctx.Err())}
		default:
			low = next // whatever else it is, it is no refusal of the size
		}
	}
	if refused == nil {
		return []registry.Check{registry.Passed("upload limit", "none up to 8 GiB in a request")}
	}
	check := registry.Warned("upload limit", refused)
	check.Detail = fmt.Sprintf("between %d and %d KiB in a request", int64(1)<<low>>10, int64(1)<<high>>10)
	return []registry.Check{check}
}

// errProbe ends a request before its body.
var errProbe = errors.New("probe")

// probe is the body of a request that is made for the answer to its header.
// Who says "100 Continue" has not refused it, and is sent nothing.
type probe struct {
	told <-chan struct{} // "100 Continue" came
	// left is what is sent to one who has said nothing so far. Caddy refuses
	// the length, but cannot answer before it has read the first 256 KiB.
	left int64
	// whole: that is the whole body.
	whole    bool
	answered <-chan struct{}
}

const (
	mostProbed    = 256<<10 + 1 // net/http, maxPostHandlerReadBytes
	probePatience = 3 * time.Second
)

func newProbe(size int64, told, answered <-chan struct{}) io.ReadCloser {
	return io.NopCloser(&probe{told: told, left: min(size, mostProbed), whole: size <= mostProbed, answered: answered})
}

func (p *probe) Read(b []byte) (int, error) {
	select {
	case <-p.told:
		return 0, errProbe
	default:
	}
	switch {
	case p.left > 0:
		n := min(p.left, int64(len(b)))
		clear(b[:n])
		p.left -= n
		return int(n), nil
	case p.whole:
		return 0, io.EOF
	}
	patience := time.NewTimer(probePatience)
	defer patience.Stop()
	select {
	case <-p.told:
	case <-p.answered:
	case <-patience.C:
	}
	return 0, errProbe
}

// announce begins to send size bytes to the upload session, and stops when it
// is told to go on ("Expect: 100-continue").
func (e *examination) announce(ctx context.Context, size int64) error {
	told := make(chan struct{})
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got100Continue: sync.OnceFunc(func() { close(told) })})
	answered := make(chan struct{})
	defer close(answered)
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, e.session, newProbe(size, told, answered))
	if err != nil {
		return err
	}
	req.ContentLength = size
	req.GetBody = func() (io.ReadCloser, error) { return newProbe(size, told, answered), nil }
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Expect", "100-continue")
	resp, err := e.conn.Once(req)
	if err != nil {
		return err
	}
	defer response.Drain(resp)
	return response.Error("upload", req, resp)
}
