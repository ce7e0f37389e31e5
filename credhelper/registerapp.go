package credhelper

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/registry"
)

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
		return usageError{errors.New("say who you are: --username NAME, or --with-token")}
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
		err = h.withPassword(ctx, srv.host, opts.username, opts.passwordStdin, register)
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
