// Package check is the examination behind `docker gitea check`: everything on the way
// to a registry, looked at in order, up to the first thing that fails. It sends no
// image; what is wrong is put into words by [registry.Diagnose].
//
// It takes an [Env] and a repository, and gives a list of [registry.Check]. It makes
// requests through packages repo and wire, and touches no file. Begin with check.go.
//
//   - check.go: the steps
//   - trace.go: how the first request finds its way
//   - limit.go: the largest body that the way allows
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
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

// Env is what the checks are made with.
type Env struct {
	// Host is the registry's, and Connect the way to it, without a first request.
	Host    string
	Connect func(context.Context) (*wire.Conn, error)
	// OwnTransport says that connections are not this program's to make, so that no
	// proxy of the environment counts.
	OwnTransport bool
}

// Health is the first of the checks that fails, as far as they concern no owner.
func Health(ctx context.Context, env Env) error {
	e := &examination{env: env}
	return failureOf(e.run(ctx, e.reach, e.login))
}

// All looks at everything between this machine and the registry; it ends with the
// first that fails. repository is "owner" or "owner/name"; empty leaves the last
// checks out.
func All(ctx context.Context, env Env, repository string) []registry.Check {
	p := wire.NewInfo("", 0) // without retries: what fails is told at once
	if repository != "" {
		if !strings.Contains(repository, "/") {
			repository += "/" + checkedName
		}
		p.Scope = "repository:" + repository + ":pull,push"
	}
	ctx = wire.WithInfo(ctx, p)
	e := &examination{env: env, repository: repository}
	return e.run(ctx, e.names, e.reach, e.clock, e.proxy, e.realm, e.server, e.rules, e.login, e.scope, e.owner, e.limit)
}

// examination is one run of the checks, with what each leaves to the next.
type examination struct {
	env        Env
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
	ref := registry.Reference{Host: e.env.Host, Repository: e.repository}
	if err := ref.CheckGitea(nil); err != nil {
		return []registry.Check{registry.Failed("owner", err)}
	}
	return nil
}

// reach asks /v2/ without a credential, and sees how far that comes.
func (e *examination) reach(ctx context.Context) []registry.Check {
	var err error
	t := &trace{}
	if e.conn, err = e.env.Connect(t.attach(ctx)); err != nil {
		if _, asked := errors.AsType[*registry.UnreachableError](err); asked {
			return t.checks(nil, err)
		}
		return []registry.Check{registry.Failed("settings", err)}
	}
	t = &trace{}
	resp, err := e.conn.PingBare(t.attach(ctx), wire.Follow)
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
	if !e.env.OwnTransport {
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
