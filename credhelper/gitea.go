package credhelper

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
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

// apiError is an answer of the server that is no success.
type apiError struct {
	op     string
	status int
	// message is the server's own, empty where it has none.
	message string
	// location is where a redirect leads.
	location string
}

func (e *apiError) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.op, e.status, http.StatusText(e.status))
	if e.message != "" {
		// Quoted, so that it cannot write to the terminal what it likes.
		text += fmt.Sprintf(": %.200q", e.message)
	}
	if e.location != "" {
		text += fmt.Sprintf(": it leads to %.200q, which is not followed", e.location)
	}
	return text
}

var errForeign = errors.New("the answer is not Gitea's")

func hasStatus(err error, status int) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && e.status == status
}

// call makes a request with a JSON body, if in is not nil, and decodes the
// answer into out, unless that is nil.
func (s *server) call(ctx context.Context, op, method, address string, as account, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", program)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	as.authorize(req)
	resp, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", op, s.explain(err))
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if resp.StatusCode/100 != 2 {
		var refusal struct {
			Message string `json:"message"`
		}
		// An answer that is no JSON has nothing to say.
		_ = json.Unmarshal(data, &refusal)
		return &apiError{op, resp.StatusCode, refusal.Message, resp.Header.Get("Location")}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s: %w: %w", op, errForeign, err)
	}
	return nil
}

// explain adds the way out of a certificate that is not trusted.
func (s *server) explain(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // without the address, whose query may say too much
	}
	if refused, ok := errors.AsType[*registry.TLSError](err); ok { // another was pinned
		diagnosis := registry.Diagnose(refused)
		return advise(fmt.Errorf("%w: %s", refused, diagnosis.Cause), diagnosis.Hint)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return advise(err, "trust its authority with --ca-file FILE, or: docker gitea trust "+s.host)
	}
	return err
}

// identify asks the registry's own token endpoint who a credential is. The
// realm that the registry names is not asked: with a wrong ROOT_URL it is
// another host.
func (s *server) identify(ctx context.Context, c credential) (registry.Identity, error) {
	var answer struct {
		Token string `json:"token"`
	}
	as := account{username: c.username, password: c.secret}
	err := s.call(ctx, "check the credential", http.MethodGet, s.origin+"/v2/token?service=container_registry", as, nil, &answer)
	switch {
	case hasStatus(err, http.StatusUnauthorized):
		return registry.Identity{}, advise(errors.New("the registry refuses the credential"),
			"a token needs the permission package: Read and Write; a password is not enough for an account with two factors")
	case hasStatus(err, http.StatusNotFound):
		return registry.Identity{}, advise(err, "is the package registry enabled, and /v2/ passed on by the proxy?")
	case err != nil:
		return registry.Identity{}, err
	}
	id := registry.ParseIdentity(answer.Token)
	if id.UserID == 0 {
		return registry.Identity{}, errors.New("the registry's token is not of Gitea or Forgejo")
	}
	return id, nil
}

// checkIdentity reports why an identity cannot push, or cannot even pull.
func checkIdentity(id registry.Identity, pullOnly bool) error {
	switch {
	case id.Anonymous:
		return errors.New("the registry takes the credential for nobody's: it is wrong")
	case id.Actions:
		return advise(errors.New("the token of a Gitea Actions job cannot push packages"),
			"make a personal access token and give it to the job as a secret")
	case id.CanPush(), pullOnly && id.CanPull():
		return nil
	case id.CanPull():
		return advise(fmt.Errorf("the token may pull but not push: its scope is %q", id.Scope),
			"make one with package: Read and Write, or accept it with --pull-only")
	}
	return fmt.Errorf("the token may do nothing with packages: its scope is %q", id.Scope)
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
	for _, root := range roots {
		var found struct {
			Version string `json:"version"`
		}
		err := s.call(ctx, "look for Gitea's API at "+root, http.MethodGet, root+"/api/v1/version", account{}, nil, &found)
		refusal, refused := errors.AsType[*apiError](err)
		switch {
		// A Gitea that tells nothing to strangers ([service] REQUIRE_SIGNIN_VIEW)
		// says that in its own form.
		case found.Version != "", refused && refusal.message != "" &&
			(refusal.status == http.StatusUnauthorized || refusal.status == http.StatusForbidden):
			s.root = root
			return nil
		case err == nil:
			err = fmt.Errorf("look for Gitea's API at %s: %w", root, errForeign)
		case !refused && !errors.Is(err, errForeign): // the server cannot be reached
			return err
		}
		faults = append(faults, err.Error())
	}
	return advise(errors.New(strings.Join(faults, "; ")), "if Gitea is under a path, give it: "+program+" login https://"+s.host+"/PATH")
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
	err := s.call(ctx, "search the user", http.MethodGet, s.root+"/api/v1/users/search?uid="+number, account{}, nil, &found)
	if err == nil && len(found.Data) == 1 && found.Data[0].ID == id.UserID {
		return found.Data[0].Login, nil
	}
	var self struct {
		Login string `json:"login"`
	}
	err = s.call(ctx, "ask who you are", http.MethodGet, s.root+"/api/v1/user", account{token: token}, nil, &self)
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
	if err := s.call(ctx, "make an access token", http.MethodPost, address, as, request, &made); err != nil {
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
	}{name, []string{loopbackURI}, false}
	var made struct {
		ClientID string `json:"client_id"`
	}
	address := s.root + "/api/v1/user/applications/oauth2"
	if err := s.call(ctx, "register the application", http.MethodPost, address, as, request, &made); err != nil {
		return "", err
	}
	if made.ClientID == "" || strings.ContainsFunc(made.ClientID, isUnprintable) {
		return "", errors.New("register the application: the answer holds no client ID")
	}
	return made.ClientID, nil
}
