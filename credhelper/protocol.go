package credhelper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/docker-gitea/docker-gitea/internal/dockerconfig"
	"github.com/docker-gitea/docker-gitea/registry"
)

// isVerb reports whether arg is a verb of the credential helper protocol.
// "version" is left to the commands, which answer in the protocol's form.
//
// Protocol: docker/cli docs/reference/commandline/login.md.
func isVerb(arg string) bool {
	return slices.Contains([]string{
		credentials.ActionStore, credentials.ActionGet, credentials.ActionErase, credentials.ActionList,
	}, arg)
}

// maxRequest bounds what a client may send, in bytes.
const maxRequest = 64 << 10

// serve answers one verb. Clients read errors from standard output and compare
// some with strings of the protocol, so nothing is added there; what a person
// should know goes to standard error.
func (h *helper) serve(ctx context.Context, verb string) int {
	err := h.unusable
	if err == nil {
		err = h.answer(ctx, verb)
	}
	if err == nil {
		return exitOK
	}
	h.log.DebugContext(ctx, "request refused", slog.String("verb", verb), slog.Any("error", err))
	fmt.Fprintln(h.Stdout, registry.Printable(strings.Join(strings.Fields(err.Error()), " ")))
	printAdvice(h.Stderr, "", adviceOn(err))
	return exitError
}

func (h *helper) answer(ctx context.Context, verb string) error {
	var in io.Reader = strings.NewReader("")
	// What comes with "list" means nothing.
	if verb != credentials.ActionList {
		data, err := readRequest(h.Stdin)
		if err != nil {
			return err
		}
		h.hidden.AddShaped(string(data))
		in = bytes.NewReader(data)
	}
	out := h.Stdout
	if verb == credentials.ActionGet {
		out = h.answers
	}
	return credentials.HandleCommand(protocol{ctx, h}, verb, in, out)
}

// readRequest reads a request whole. The library would join its lines, and so
// make one address of two: git's CVE-2024-52006.
func readRequest(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxRequest+1))
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	if len(data) > maxRequest {
		return nil, fmt.Errorf("request is over %d bytes", maxRequest)
	}
	data = bytes.TrimSpace(data)
	if bytes.ContainsFunc(data, unicode.IsControl) && !bytes.HasPrefix(data, []byte("{")) {
		return nil, errors.New("server address has control characters")
	}
	return data, nil
}

// protocol implements [credentials.Helper], whose methods take no context.
type protocol struct {
	ctx context.Context
	*helper
}

// Get returns the credential for an address. An address that is no host's has
// none, like any other host without a login: to fail would end the pull of a
// public image.
func (p protocol) Get(address string) (username, secret string, err error) {
	host, _, err := locate(address)
	if err != nil {
		p.log.DebugContext(p.ctx, "malformed address", slog.Any("error", err))
		return "", "", credentials.NewErrCredentialsNotFound()
	}
	found, err := p.lookup(p.ctx, host)
	return found.username, found.secret.Reveal(), err
}

// Add stores a credential that a client was given by the user. "docker login"
// without a user name stores what it has just got from us: that changes
// nothing.
func (p protocol) Add(creds *credentials.Credentials) error {
	host, written, err := locate(creds.ServerURL)
	if err != nil {
		return err
	}
	given := credential{username: creds.Username, secret: registry.NewSecret(creds.Secret)}
	p.hide(given.secret)
	if err := given.check(); err != nil {
		return err
	}
	return p.accept(p.ctx, host, written, given)
}

// Delete forgets a login. To have none is no error: clients compare the text
// of a wrapped error, which never matches.
func (p protocol) Delete(address string) error {
	host, _, err := locate(address)
	if err != nil {
		return nil //nolint:nilerr // such an address has no login
	}
	_, err = p.forget(p.ctx, host)
	return err
}

// List returns the user of each host, from the index alone.
func (p protocol) List() (map[string]string, error) {
	logins, err := p.loadIndex()
	if err != nil {
		return nil, err
	}
	users := make(map[string]string, len(logins))
	for host, e := range logins {
		if e.Address != "" {
			host = e.Address
		}
		users[host] = e.Username
	}
	for _, bound := range boundCandidates(p.Getenv) {
		users[bound.host] = bound.username
	}
	return users, nil
}

// hubTokens are the addresses below [dockerconfig.Hub] under which Docker keeps
// what its own login by browser gives, beside the login proper. Each is an entry
// of its own.
//
// Source: docker/cli internal/oauth/manager.
var hubTokens = []string{"access-token", "refresh-token"}

// locate returns which login an address means, and how Docker writes it where
// that is not the host's name.
func locate(address string) (host, written string, err error) {
	host, err = registry.NormalizeHost(address)
	if err != nil {
		return "", "", err
	}
	rest, isHub := strings.CutPrefix(address, dockerconfig.Hub)
	switch {
	case isHub && slices.Contains(hubTokens, rest):
		return host + "/v1/" + rest, address, nil
	case isHub && rest == "":
		return host, address, nil
	}
	return host, "", nil
}

// identityTokenUser marks an OAuth refresh token in place of a password.
// Gitea's token endpoint answers GET alone, so that no client could use it.
const identityTokenUser = "<token>"

// check refuses credentials that no request could carry.
func (c credential) check() error {
	switch {
	case c.username == identityTokenUser:
		return errors.New("identity tokens are not supported: log in with a user name and a token")
	case c.secret.IsZero():
		return errors.New("the password is empty")
	case strings.ContainsFunc(c.username, isUnprintable) || strings.ContainsFunc(c.secret.Reveal(), unicode.IsControl):
		return errors.New("control characters in the credential")
	case strings.Contains(c.username, ":"):
		return errors.New("a user name cannot contain a colon")
	}
	return nil
}

func isUnprintable(r rune) bool { return !unicode.IsPrint(r) }
