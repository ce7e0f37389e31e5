package credhelper

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/internal/dockerconfig"
	"github.com/docker-gitea/docker-gitea/registry"
)

// loginOptions are the flags of login.
type loginOptions struct {
	web, paste, withToken bool
	username              string
	passwordStdin         bool
	pullOnly              bool
	settings              settings
}

func (h *helper) loginCommand() *cobra.Command {
	var opts loginOptions
	cmd := &cobra.Command{
		Use:   "login HOST",
		Short: "Log in to a registry",
		Long: `Log in to a registry, and make sure that the login can push.

Without a flag that says how, it opens the browser (--web): the one that BROWSER
names, or else the system's. Where you could not see a browser, it uses --paste.
If Gitea is under a path, give the whole address.

Examples:
  docker-credential-gitea login git.example.com
  docker-credential-gitea login --paste https://example.com/gitea
  docker-credential-gitea login --with-token git.example.com < token.txt
  docker-credential-gitea login --username alice git.example.com`,
		Args: oneHost,
		RunE: func(cmd *cobra.Command, args []string) error { return h.login(cmd.Context(), args[0], opts) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&opts.web, "web", false, "log in with the browser of this machine (OAuth)")
	flags.BoolVar(&opts.paste, "paste", false, "log in with a browser elsewhere,\nand paste the address it ends at")
	flags.BoolVar(&opts.withToken, "with-token", false, "read an access token from standard input")
	flags.StringVarP(&opts.username, "username", "u", "", "log in as `NAME` with a password, which is used once\nto make an access token; with --with-token: whose\ntoken it is")
	addPasswordStdin(flags, &opts.passwordStdin)
	flags.BoolVar(&opts.pullOnly, "pull-only", false, "accept a token that may not push")
	addServerFlags(flags, &opts.settings)
	flags.StringVar(&opts.settings.ClientID, "client-id", "", "`ID` of the OAuth application to log in with,\nsee register-app")
	flags.StringVar(&opts.settings.Scope, "scope", "", "OAuth `SCOPE` to ask for, with --client-id\n(default \""+ownScope+"\")")
	flags.StringVar(&opts.settings.Storage, "storage", "", "store the login in `NAME`:\n"+store.Names)
	cmd.MarkFlagsMutuallyExclusive("web", "paste", "with-token", "password-stdin")
	cmd.MarkFlagsMutuallyExclusive("web", "paste", "username")
	return cmd
}

func addPasswordStdin(flags *pflag.FlagSet, passwordStdin *bool) {
	flags.BoolVar(passwordStdin, "password-stdin", false, "read the password from the first line of standard\ninput, and a one-time code from the second if there\nis one")
}

// addServerFlags adds the flags that say how a server is reached and trusted.
func addServerFlags(flags *pflag.FlagSet, s *settings) {
	flags.StringVar(&s.RootURL, "root-url", "", "`URL` of Gitea's web pages, if they are not at the\nroot of the registry's host")
	flags.StringArrayVar(&s.CAFiles, "ca-file", nil, "trust the authority in this PEM `FILE` for this host\n(repeatable)")
	addSwitch(flags, &s.Insecure, "insecure", "accept any certificate of this host")
	addSwitch(flags, &s.PlainHTTP, "plain-http", "allow http, where anyone on the way can read\nthe login")
}

// addSwitch adds a flag with three states: on, off, and not given.
func addSwitch(flags *pflag.FlagSet, target **bool, name, usage string) {
	flags.BoolFunc(name, usage, func(text string) error {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("want true or false")
		}
		*target = &on
		return nil
	})
}

// granted is what a login flow comes back with.
type granted struct {
	username string
	// login is what lasts: the token, or the refresh token of a session.
	login registry.Secret
	// access and session are OAuth's alone.
	access  registry.Secret
	session *session
	// made says that the token was made for this login.
	made bool
	from registry.Origin
}

// credential is what the registry will be shown.
func (g granted) credential() credential {
	if g.session != nil {
		return credential{g.username, g.access, g.from}
	}
	return credential{g.username, g.login, g.from}
}

func (h *helper) login(ctx context.Context, address string, opts loginOptions) error {
	srv, merged, err := h.reach(address, opts.settings)
	if err != nil {
		return err
	}
	defer srv.http.CloseIdleConnections()
	if merged.Scope != "" && merged.ClientID == "" {
		return usageError{errors.New("--scope needs --client-id: the public application is asked for no scope")}
	}
	// Before the user is asked for anything.
	storage, err := h.chooseStore(ctx, merged.Storage)
	if err != nil {
		return err
	}
	if err := srv.greet(ctx); err != nil {
		return err
	}
	got, err := h.flow(ctx, srv, opts, merged)
	if err != nil {
		return err
	}
	merged.RootURL = srv.root
	id, err := srv.verify(ctx, &got, opts.pullOnly)
	if err != nil {
		return err
	}
	// The server has said whose it is, and OAuth's secrets are the server's.
	if err := got.credential().check(); err != nil {
		return err
	}
	e := entry{Username: got.username, Kind: kindToken, Storage: storage, Settings: merged, Made: got.made, Session: got.session}
	if got.session != nil {
		e.Kind = kindOAuth
	}
	if err := h.save(ctx, srv.host, e, got.login, got.access); err != nil {
		return err
	}
	h.reportLogin(srv.host, e, id)
	return nil
}

// reach returns the server at address, and the settings that hold for it. It
// makes no request.
func (h *helper) reach(address string, flags settings) (*server, settings, error) {
	host, err := registry.NormalizeHost(address)
	if err != nil {
		return nil, settings{}, usageError{err}
	}
	merged, err := h.loginSettings(address, host, flags)
	if err != nil {
		return nil, settings{}, err
	}
	srv, err := h.server(address, host, &merged)
	return srv, merged, err
}

// loginSettings merges the flags of a command with what is known of the host.
// A path in the address takes precedence over the one of the last login.
func (h *helper) loginSettings(address, host string, flags settings) (settings, error) {
	if err := flags.absolute(); err != nil {
		return settings{}, err
	}
	if path := pathOf(address); path != "" && flags.RootURL == "" {
		scheme := "https"
		if isOn(flags.PlainHTTP) || strings.HasPrefix(address, "http://") {
			scheme = "http"
		}
		flags.RootURL = scheme + "://" + host + path
	}
	logins, err := h.loadIndex()
	if err != nil {
		return settings{}, err
	}
	before := logins[host]
	before.Settings = before.Settings.again(host)
	return h.settingsFor(host, flags, before)
}

// absolute makes the paths independent of the directory the command runs in.
func (s *settings) absolute() error {
	for i, file := range s.CAFiles {
		path, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		s.CAFiles[i] = path
	}
	return nil
}

// server returns the server at address. Whether it is http is noted in the
// settings.
func (h *helper) server(address, host string, s *settings) (*server, error) {
	plain := strings.HasPrefix(address, "http://") || isOn(s.PlainHTTP) && !strings.HasPrefix(address, "https://")
	origin := "https://" + host
	if plain {
		origin = "http://" + host
		if err := checkPort(address); err != nil {
			return nil, err
		}
	}
	if err := checkSecure(origin, isOn(s.PlainHTTP)); err != nil {
		return nil, err
	}
	s.PlainHTTP = &plain
	s.RootURL = strings.TrimSuffix(cmp.Or(s.RootURL, origin), "/")
	// The pages may be another server's, and nothing was allowed for that.
	pages, err := h.bound(s.RootURL, host, *s)
	if err != nil {
		return nil, err
	}
	if err := checkSecure(s.RootURL, isOn(pages.PlainHTTP)); err != nil {
		return nil, err
	}
	return &server{host: host, origin: origin, root: s.RootURL, http: h.httpClient(host, *s)}, nil
}

// checkPort refuses plain http on the port of https. A host is known without
// that port, so that http would go to another one.
func checkPort(address string) error {
	key, err := dockerconfig.Key(address)
	if err != nil || !strings.HasSuffix(key, ":443") {
		return err
	}
	return usageError{fmt.Errorf("%s is the port of https, and plain http goes to another one: leave out --plain-http, or the port", key)}
}

// pathOf returns the path of an address, with or without a scheme.
func pathOf(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	u, err := url.Parse("//" + strings.TrimPrefix(address, "//"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

// flow leads through the login that the options ask for.
func (h *helper) flow(ctx context.Context, srv *server, opts loginOptions, s settings) (granted, error) {
	switch {
	case opts.withToken:
		token, err := h.readToken(ctx)
		return granted{username: opts.username, login: token, from: given("--with-token")}, err
	case opts.username != "":
		return h.passwordFlow(ctx, srv, opts)
	case opts.passwordStdin:
		return granted{}, usageError{errors.New("--password-stdin needs --username")}
	case opts.paste, !opts.web && h.Browser() == nil:
		return h.oauthFlow(ctx, srv, s, h.pasteCode)
	}
	return h.oauthFlow(ctx, srv, s, h.browserCode)
}

// readToken reads the token from standard input. On a terminal it is asked for,
// and not shown.
func (h *helper) readToken(ctx context.Context) (registry.Secret, error) {
	if isTerminal(h.Stdin) {
		token, err := askSecret(ctx, "access token: ")
		if err != nil {
			return registry.Secret{}, err
		}
		h.hide(token)
		return token, credential{username: "token", secret: token}.check()
	}
	data, err := io.ReadAll(io.LimitReader(h.Stdin, maxRequest))
	if err != nil {
		return registry.Secret{}, fmt.Errorf("read token: %w", err)
	}
	token := registry.NewSecret(strings.TrimSpace(registry.Trimmed(string(data))))
	if token.IsZero() {
		return registry.Secret{}, usageError{errors.New("standard input holds no token")}
	}
	h.hide(token)
	return token, credential{username: "token", secret: token}.check()
}

// passwordFlow trades a password for an access token that may do nothing but
// read and write packages.
func (h *helper) passwordFlow(ctx context.Context, srv *server, opts loginOptions) (granted, error) {
	name := tokenName()
	var token registry.Secret
	err := h.withPassword(ctx, srv, opts.username, opts.passwordStdin, func(as account) (err error) {
		if err = srv.findAPI(ctx); err == nil {
			token, err = srv.mintToken(ctx, as, name)
		}
		return err
	})
	if err != nil {
		return granted{}, err
	}
	fmt.Fprintf(h.Stderr, "made the access token %q, which %s/user/settings/applications can revoke\n", name, srv.root)
	return granted{username: opts.username, login: token, made: true, from: kept}, nil
}

// tokenName is what the user sees in the list of access tokens. The server
// wants it to be unique.
func tokenName() string {
	machine, err := os.Hostname()
	if err != nil {
		machine = "unknown machine"
	}
	return fmt.Sprintf("%s on %s (%s)", program, machine, rand.Text()[:6])
}

// withPassword asks for the password, and for a one-time code when the server
// refuses the password alone.
func (h *helper) withPassword(ctx context.Context, srv *server, username string, stdin bool, use func(account) error) error {
	if strings.Contains(username, "@") {
		return advice.Give(usageError{fmt.Errorf("%q is an e-mail address, not the name of an account", username)},
			"--username takes the name that is shown at "+srv.root+"/user/settings")
	}
	as := account{username: username}
	if stdin && !isTerminal(h.Stdin) { // where it would be shown
		data, err := io.ReadAll(io.LimitReader(h.Stdin, maxRequest))
		if err != nil {
			return fmt.Errorf("read password: %w", err)
		}
		password, otp, _ := strings.Cut(string(data), "\n")
		as.password = registry.NewSecret(registry.Trimmed(password))
		as.otp = registry.NewSecret(strings.TrimSpace(otp))
		h.hide(as.password, as.otp)
		return as.counted(use(as))
	}
	var err error
	if as.password, err = askSecret(ctx, fmt.Sprintf("password of %s at %s: ", username, srv.host)); err != nil {
		return err
	}
	h.hide(as.password)
	err = as.counted(use(as))
	if !hasStatus(err, http.StatusUnauthorized) {
		return err
	}
	var askErr error
	if as.otp, askErr = askSecret(ctx, "one-time code, if the account has two-factor authentication: "); askErr != nil {
		return errors.Join(err, askErr)
	}
	if as.otp.IsZero() {
		return err
	}
	return as.counted(use(as))
}

// counted adds to a refusal how much of a login was given.
func (a account) counted(err error) error {
	if refusal := answered(err); refusal != nil {
		refusal.Account.Factors = 1
		if !a.otp.IsZero() {
			refusal.Account.Factors = 2
		}
	}
	return err
}

// verify makes sure that the registry takes the credential, and that it is
// whose it is said to be.
func (s *server) verify(ctx context.Context, got *granted, pullOnly bool) (registry.Identity, error) {
	shown := got.credential()
	if shown.username == "" {
		shown.username = "token" // Gitea looks a token up without it
	}
	id, err := s.identify(ctx, shown)
	if err != nil {
		return registry.Identity{}, err
	}
	if err := s.checkIdentity(id, shown.from, pullOnly); err != nil {
		return registry.Identity{}, err
	}
	if err := s.checkAccount(ctx, shown, id); err != nil {
		return registry.Identity{}, err
	}
	if got.username != "" {
		return id, nil
	}
	if got.username, err = s.userName(ctx, shown.secret, id); err == nil {
		return id, nil
	}
	hint := "give it yourself: --username NAME"
	if got.session != nil {
		hint = "have the application ask for it: --scope 'write:package read:user'"
	}
	return id, advice.Give(err, hint)
}

func (h *helper) reportLogin(host string, e entry, id registry.Identity) {
	access := "push and pull"
	if !id.CanPush() {
		access = "pull only"
	}
	fmt.Fprintf(h.Stderr, "logged in to %s as %s (%s); stored in %s\n", host, e.Username, access, e.Storage)
	if e.Storage == store.File {
		fmt.Fprintf(h.Stderr, "warning: the login is stored in plain text under %s\n", h.dir)
	}
	if name, err := h.dockerHelper(host); err == nil && name != helperName {
		fmt.Fprintf(h.Stderr, "next: %s configure-docker %s\n", program, host)
	}
}
