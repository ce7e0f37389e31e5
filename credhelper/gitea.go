package credhelper

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/credhelper/loopback"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

const (
	connectTimeout = 5 * time.Second
	requestTimeout = 30 * time.Second
	// maxBody bounds every answer, in bytes.
	maxBody = 1 << 20
)

// server is the Gitea or Forgejo behind a registry.
type server struct {
	host string
	// origin is where the registry is, root where the web pages are, which
	// may be under a path. Neither ends in a slash.
	origin, root string
	http         *http.Client
}

// account is what a request to the API authenticates with: a token, or a user
// name and password with the one-time code of an account that has one.
type account struct {
	username           string
	password, otp      registry.Secret
	token, accessToken registry.Secret
}

func (a account) authorize(req *http.Request) {
	switch {
	case !a.token.IsZero():
		req.Header.Set("Authorization", "token "+a.token.Reveal())
	case !a.accessToken.IsZero():
		req.Header.Set("Authorization", "Bearer "+a.accessToken.Reveal())
	case a.username != "":
		req.SetBasicAuth(a.username, a.password.Reveal())
		if !a.otp.IsZero() {
			req.Header.Set("X-Gitea-OTP", a.otp.Reveal())
		}
	}
}

// answered is the answer of the server that err is of, or nil.
func answered(err error) *registry.Error {
	e, _ := errors.AsType[*registry.Error](err)
	return e
}

func hasStatus(err error, status int) bool {
	e := answered(err)
	return e != nil && e.Status == status
}

// question is a request to the server; op is what is being done, for errors.
type question struct {
	op, method, address string
	as                  account
}

// call makes a request with a JSON body, if in is not nil, and decodes the
// answer into out, unless that is nil.
func (s *server) call(ctx context.Context, r question, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.address, body)
	if err != nil {
		return fmt.Errorf("%s: %w", r.op, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", program)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	r.as.authorize(req)
	resp, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", r.op, unreached(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 != 2 {
		return transport.AnswerError(r.op, resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return fmt.Errorf("%s: %w", r.op, transport.Unreached(req, nil, err))
	}
	if out == nil || json.Unmarshal(data, out) == nil {
		return nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return transport.AnswerError(r.op, resp)
}

// unreached is the failure of a request that got no answer, without its address,
// whose query may say too much.
func unreached(ctx context.Context, err error) error {
	failed, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	if u, parseErr := url.Parse(failed.URL); parseErr == nil && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil { // the limit of a request
		return &registry.UnreachableError{Host: u.Host, Err: fmt.Errorf("%w: no whole answer in time", registry.ErrStalled)}
	}
	return failed.Err
}

// greet makes sure that there is a registry, before anybody is asked for
// anything: what stands in front of it or in its place answers everything else
// as well, and is told apart best here.
func (s *server) greet(ctx context.Context) error {
	resp, err := s.askRegistry(ctx)
	if err != nil {
		return fmt.Errorf("ask registry: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := transport.RegistryError(resp); !errors.Is(err, registry.ErrUnauthorized) {
		return err
	}
	return nil
}

// askRegistry asks the registry what it would be asked before a push.
func (s *server) askRegistry(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.origin+"/v2/", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", program)
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, unreached(ctx, err)
	}
	return resp, nil
}

// identify asks the registry's own token endpoint who a credential is. The
// realm that the registry names is not asked: with a wrong ROOT_URL it is
// another host.
func (s *server) identify(ctx context.Context, c credential) (registry.Identity, error) {
	var answer struct {
		Token string `json:"token"`
	}
	as := account{username: c.username, password: c.secret}
	err := s.call(ctx, question{"check the credential", http.MethodGet, s.origin + "/v2/token?service=container_registry", as}, nil, &answer)
	refusal := answered(err)
	switch {
	case errors.Is(err, registry.ErrUnauthorized):
		refusal.Origin, refusal.Account = c.from, s.account(ctx, as)
		return registry.Identity{}, err
	case err == nil, refusal != nil && refusal.By == registry.ByRegistry && refusal.Status == http.StatusNotFound:
	default:
		return registry.Identity{}, err
	}
	id := registry.ParseIdentity(answer.Token)
	if id.UserID == 0 {
		return registry.Identity{}, advice.Give(fmt.Errorf("the registry of %s is not that of a Gitea or Forgejo", s.host), "docker login "+s.host)
	}
	return id, nil
}

// account asks Gitea's API about a credential that its registry refuses.
func (s *server) account(ctx context.Context, as account) registry.Account {
	if s.findAPI(ctx) != nil {
		return registry.Account{}
	}
	var self struct {
		Login string `json:"login"`
	}
	err := s.call(ctx, question{"ask who you are", http.MethodGet, s.root + "/api/v1/user", as}, nil, &self)
	switch refusal := answered(err); {
	case err == nil:
		return registry.AccountOf(http.StatusOK, self.Login, "")
	case refusal != nil:
		return refusal.Account
	}
	return registry.Account{}
}

// checkAccount reports that the account of a credential is closed, which the
// registry's token service does not say.
func (s *server) checkAccount(ctx context.Context, c credential, id registry.Identity) error {
	account := s.account(ctx, account{username: c.username, password: c.secret})
	if !account.Barred {
		return nil
	}
	return &registry.Error{
		Op: "check the credential", URL: s.origin + "/v2/token", By: registry.ByRegistry,
		Message: "it is of an account that may not sign in", Identity: id, Account: account, Origin: c.from, Kind: registry.ErrDenied,
	}
}

// checkIdentity reports why an identity cannot push, or cannot even pull.
func (s *server) checkIdentity(id registry.Identity, from registry.Origin, pullOnly bool) error {
	why := "its token may do nothing with packages"
	switch {
	case id.Anonymous:
		why = "the registry takes it for nobody's"
	case id.Actions:
		why = "it is of a job of Gitea Actions"
	case id.CanPush(), pullOnly && id.CanPull():
		return nil
	case id.CanPull():
		why = "its token may pull but not push, which --pull-only accepts"
	}
	return &registry.Error{
		Op: "check the credential", URL: s.origin + "/v2/token", Message: why, By: registry.ByRegistry, Identity: id, Origin: from, Kind: registry.ErrDenied,
	}
}

// findAPI finds Gitea's API before it is given a secret: where Gitea is under a
// path, another application may be at the root of its host. It is asked for its
// version, without a credential.
func (s *server) findAPI(ctx context.Context) error {
	roots := []string{s.root}
	if s.root == s.origin {
		roots = s.roots(ctx)
	}
	var faults []string
	var stopped error
	for _, root := range roots {
		var found struct {
			Version string `json:"version"`
		}
		err := s.call(ctx, question{"look for Gitea's API at " + root, http.MethodGet, root + "/api/v1/version", account{}}, nil, &found)
		refusal := answered(err)
		switch {
		// A Gitea that tells nothing to strangers ([service] REQUIRE_SIGNIN_VIEW)
		// says that in its own form.
		case found.Version != "", refusal != nil && refusal.By == registry.ByAPI &&
			(refusal.Status == http.StatusUnauthorized || refusal.Status == http.StatusForbidden):
			s.root = root
			return nil
		case err == nil:
			err = fmt.Errorf("look for Gitea's API at %s: that is another's", root)
		case refusal == nil || refusal.Status >= http.StatusInternalServerError: // it may be there
			return err
		case refusal.Status != http.StatusNotFound: // nor does its absence show
			stopped = cmp.Or(stopped, err)
		}
		faults = append(faults, err.Error())
	}
	if stopped != nil {
		return stopped
	}
	return advice.Give(errors.New(strings.Join(faults, "; ")), "if Gitea is under a path, give it: "+program+" login "+s.origin+"/PATH; if not, have the proxies in between pass /api/ on to it")
}

// userName finds out whose token it is: by the public search by number, which
// needs no token, and then from Gitea's API. (A token for packages alone may
// not ask there.)
func (s *server) userName(ctx context.Context, token registry.Secret, id registry.Identity) (string, error) {
	unknown := errors.New("the server does not say whose token it is")
	if err := s.findAPI(ctx); err != nil {
		return "", unknown
	}
	var found struct {
		Data []struct {
			ID    int64  `json:"id"`
			Login string `json:"login"`
		} `json:"data"`
	}
	number := strconv.FormatInt(id.UserID, 10)
	err := s.call(ctx, question{"search the user", http.MethodGet, s.root + "/api/v1/users/search?uid=" + number, account{}}, nil, &found)
	if err == nil && len(found.Data) == 1 && found.Data[0].ID == id.UserID {
		return found.Data[0].Login, nil
	}
	var self struct {
		Login string `json:"login"`
	}
	err = s.call(ctx, question{"ask who you are", http.MethodGet, s.root + "/api/v1/user", account{token: token}}, nil, &self)
	if err == nil && self.Login != "" {
		return self.Login, nil
	}
	return "", unknown
}

// mintToken makes a personal access token that may read and write packages,
// and nothing else.
func (s *server) mintToken(ctx context.Context, as account, name string) (registry.Secret, error) {
	request := struct {
		Name   string   `json:"name"`
		Scopes []string `json:"scopes"`
	}{name, []string{"write:package"}}
	var made struct {
		SHA1 string `json:"sha1"`
	}
	address := s.root + "/api/v1/users/" + url.PathEscape(as.username) + "/tokens"
	if err := s.call(ctx, question{"make an access token", http.MethodPost, address, as}, request, &made); err != nil {
		return registry.Secret{}, err
	}
	if made.SHA1 == "" {
		return registry.Secret{}, errors.New("make an access token: the answer holds none")
	}
	return registry.NewSecret(made.SHA1), nil
}

// registerApp makes a public OAuth application and returns its client ID.
func (s *server) registerApp(ctx context.Context, as account, name string) (string, error) {
	request := struct {
		Name         string   `json:"name"`
		RedirectURIs []string `json:"redirect_uris"`
		Confidential bool     `json:"confidential_client"`
	}{name, []string{loopback.URI}, false}
	var made struct {
		ClientID string `json:"client_id"`
	}
	address := s.root + "/api/v1/user/applications/oauth2"
	if err := s.call(ctx, question{"register the application", http.MethodPost, address, as}, request, &made); err != nil {
		return "", err
	}
	if made.ClientID == "" || strings.ContainsFunc(made.ClientID, isUnprintable) {
		return "", errors.New("register the application: the answer holds no client ID")
	}
	return made.ClientID, nil
}
