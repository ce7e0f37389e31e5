package credhelper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"github.com/docker-gitea/docker-gitea/credhelper/loopback"
	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/registry"
)

// loginTimeout bounds the browser's part.
const loginTimeout = 10 * time.Minute

// oauthFlow logs in through the server's own pages. obtain has the user open
// the authorization's address and returns the code that comes back.
func (h *helper) oauthFlow(ctx context.Context, srv *server, s settings,
	obtain func(context.Context, func(redirectURI string) authorization) (authorization, registry.Secret, error),
) (granted, error) {
	found, err := srv.discover(ctx)
	if err != nil {
		return granted{}, err
	}
	if s.ClientID == "" {
		fmt.Fprintf(h.Stderr, "the page will ask whether %q may use your account: it is the application that Gitea has for git,\n"+
			"and what it gets may do all that you may; for less, first run: %s register-app --username NAME %s\n", publicClientName, program, srv.host)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, loginTimeout, fmt.Errorf("%w (%v)", store.ErrTimeout, loginTimeout))
	defer cancel()
	attempt, code, err := obtain(ctx, func(redirectURI string) authorization { return authorize(found, s, redirectURI) })
	if err != nil {
		return granted{}, err
	}
	h.hide(code, registry.NewSecret(attempt.verifier))
	token, err := attempt.exchange(ctx, srv.http, code)
	if err != nil {
		return granted{}, err
	}
	got := h.grant(attempt.app, token)
	h.hide(got.login, got.access)
	got.username, err = srv.userInfo(ctx, found, got.access)
	return got, err
}

func (h *helper) grant(app oauth2.Config, token *oauth2.Token) granted {
	got := granted{
		from:   kept,
		login:  registry.NewSecret(token.RefreshToken),
		access: registry.NewSecret(token.AccessToken),
		session: &session{
			TokenURL: app.Endpoint.TokenURL,
			ClientID: app.ClientID,
			Issued:   h.now(),
			Expiry:   token.Expiry,
		},
	}
	got.session.mint(got.access)
	return got
}

// browserCode opens the browser of this machine and waits for its redirect.
func (h *helper) browserCode(ctx context.Context, start func(string) authorization) (authorization, registry.Secret, error) {
	back, err := loopback.Listen(ctx)
	if err != nil {
		return authorization{}, registry.Secret{}, err
	}
	attempt := start(back.RedirectURI())
	back.Serve(attempt.url(), attempt.state)
	defer back.Close(ctx)
	fmt.Fprintf(h.Stderr, "opening %s\n", attempt.url())
	shown := h.show(back.StartURI())
	done := h.waiting(fmt.Sprintf("the browser, in which you have %d minutes to allow the login,", loginTimeout/time.Minute))
	defer func() { done() }()
	for {
		select {
		case result := <-back.Result():
			return attempt, result.Code, result.Err
		case err := <-shown:
			if err != nil {
				done() // two do not write at once, and this says it
				done = func() {}
				fmt.Fprintf(h.Stderr, "%v: open the address yourself, or use --paste\n", err)
			}
		case <-ctx.Done():
			return authorization{}, registry.Secret{}, fmt.Errorf("wait for the browser: %w", context.Cause(ctx))
		}
	}
}

// show opens an address of ours in the browser, and says
// how that ended. Some browsers stay in the foreground: neither the login nor
// the end of this program waits for them.
func (h *helper) show(address string) <-chan error {
	shown := make(chan error, 1)
	open := h.Browser()
	if open == nil {
		shown <- errors.New("no browser can be shown here")
		return shown
	}
	go func() {
		err := open(address)
		if err != nil {
			err = fmt.Errorf("no browser could be started: %w", err)
		}
		shown <- err
	}()
	return shown
}

// pasteURI is where the browser of another machine is led, in vain.
const pasteURI = loopback.URI + ":61813"

// pasteCode has the user open the address elsewhere and bring back the one
// that the browser ends at.
func (h *helper) pasteCode(ctx context.Context, start func(string) authorization) (authorization, registry.Secret, error) {
	attempt := start(pasteURI)
	fmt.Fprintf(h.Stderr, "open this address in any browser:\n\n  %s\n\n"+
		"at the end it cannot reach %s: that is as it should be; copy the address it shows and paste it here\n", attempt.url(), pasteURI)
	text, err := h.askLine(ctx, "address: ")
	if err != nil {
		return authorization{}, registry.Secret{}, err
	}
	code, err := loopback.ParsePasted(text, attempt.state)
	return attempt, code, err
}

// registerOptions are the flags of register-app.
type registerOptions struct {
	username                 string
	passwordStdin, withToken bool
	settings                 settings
}

func (h *helper) registerAppCommand() *cobra.Command {
	var opts registerOptions
	cmd := &cobra.Command{
		Use:   "register-app HOST",
		Short: "Register an OAuth application of your own for logging in",
		Long: `Register an OAuth application of your own for logging in.

"login" then uses it in place of the public one that Gitea has for git: the
consent page names it, and the login asks for the scope write:package alone.
It needs your password, or an access token with the scope write:user.

Examples:
  docker-credential-gitea register-app --username alice git.example.com
  docker-credential-gitea register-app --with-token git.example.com < token.txt`,
		Args: oneHost,
		RunE: func(cmd *cobra.Command, args []string) error { return h.registerApp(cmd.Context(), args[0], opts) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&opts.username, "username", "u", "", "your `NAME`, to register with a password")
	addPasswordStdin(flags, &opts.passwordStdin)
	flags.BoolVar(&opts.withToken, "with-token", false, "read an access token from standard input")
	addServerFlags(flags, &opts.settings)
	cmd.MarkFlagsMutuallyExclusive("username", "with-token")
	return cmd
}

func (h *helper) registerApp(ctx context.Context, address string, opts registerOptions) error {
	if opts.username == "" && !opts.withToken {
		return usageError{errors.New("give --username NAME, or --with-token")}
	}
	srv, _, err := h.reach(address, opts.settings)
	if err != nil {
		return err
	}
	defer srv.http.CloseIdleConnections()
	var clientID string
	// With --root-url, nothing is asked of the registry.
	if opts.settings.RootURL == "" {
		if err := srv.greet(ctx); err != nil {
			return err
		}
	}
	register := func(as account) (err error) {
		if err = srv.findAPI(ctx); err == nil {
			clientID, err = srv.registerApp(ctx, as, program)
		}
		return err
	}
	if opts.withToken {
		var token registry.Secret
		if token, err = h.readToken(ctx); err == nil {
			err = register(account{token: token})
		}
	} else {
		err = h.withPassword(ctx, srv, opts.username, opts.passwordStdin, register)
	}
	if err != nil {
		return err
	}
	if err := h.saveClient(ctx, srv.host, clientID, ownScope); err != nil {
		return err
	}
	fmt.Fprintf(h.Stderr, "registered the application %q at %s; %q uses it from now on\n", program, srv.host, program+" login "+srv.host)
	fmt.Fprintln(h.Stdout, clientID)
	return nil
}
