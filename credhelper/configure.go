package credhelper

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/internal/dockerconfig"
	"github.com/docker-gitea/docker-gitea/registry"
)

// configureOptions are the flags of configure-docker and its inverse.
type configureOptions struct {
	dryRun, force, all bool
}

func (h *helper) configureCommand() *cobra.Command {
	var opts configureOptions
	cmd := &cobra.Command{
		Use:   "configure-docker HOST...",
		Short: "Have Docker ask this program for the logins to hosts",
		Long: `Have Docker ask this program for the logins to hosts.

It edits credHelpers in Docker's config.json, which crane, skopeo, oras and
nerdctl read as well, and leaves everything else in that file as it is.

Examples:
  docker-credential-gitea configure-docker git.example.com localhost:3000
  docker-credential-gitea configure-docker --dry-run git.example.com`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.configure(cmd.Context(), args, opts, (*dockerEdit).serve, (*dockerEdit).serveAll); err != nil {
				return err
			}
			return h.adviseLogin(args, opts)
		},
	}
	addConfigureFlags(cmd, &opts)
	cmd.Flags().BoolVar(&opts.force, "force", false, "replace another helper")
	return cmd
}

func (h *helper) unconfigureCommand() *cobra.Command {
	var opts configureOptions
	cmd := &cobra.Command{
		Use:     "unconfigure-docker HOST...",
		Short:   "Have Docker no longer ask this program",
		Example: `  docker-credential-gitea unconfigure-docker git.example.com`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return h.configure(cmd.Context(), args, opts, (*dockerEdit).release, (*dockerEdit).releaseAll)
		},
	}
	addConfigureFlags(cmd, &opts)
	return cmd
}

func addConfigureFlags(cmd *cobra.Command, opts *configureOptions) {
	cmd.Flags().BoolVar(&opts.dryRun, "dry-run", false, "show the changes and make none")
	cmd.Flags().BoolVar(&opts.all, "default", false, "for every host without a helper of its own (credsStore)")
}

// keys are what Docker calls the hosts of the arguments. With --default there
// need be none.
func (o configureOptions) keys(args []string) ([]string, error) {
	if o.all && len(args) == 0 {
		return nil, nil
	}
	if _, err := hosts(args); err != nil {
		return nil, err
	}
	var keys []string
	for _, arg := range args {
		key, err := dockerconfig.Key(arg)
		if err != nil {
			return nil, usageError{err}
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// configure changes Docker's configuration for each host, and for all if asked,
// and shows what it changed.
func (h *helper) configure(ctx context.Context, args []string, opts configureOptions,
	one func(e *dockerEdit, key string) error, all func(*dockerEdit) error,
) error {
	keys, err := opts.keys(args)
	if err != nil {
		return err
	}
	if !opts.dryRun && h.dir != "" {
		unlock, err := h.lock(ctx, "@docker", indexTimeout)
		if err != nil {
			return err
		}
		defer unlock()
	}
	edit, err := h.openDockerConfig()
	if err != nil {
		return err
	}
	edit.force = opts.force
	for _, key := range keys {
		if err := one(edit, key); err != nil {
			return err
		}
	}
	if opts.all {
		if err := all(edit); err != nil {
			return err
		}
	}
	if len(edit.changes) == 0 {
		fmt.Fprintf(h.Stderr, "%s: nothing to change\n", edit.Path())
		return nil
	}
	if !opts.dryRun {
		if err := edit.Save(); err != nil {
			return err
		}
	}
	fmt.Fprintln(h.Stdout, edit.Path())
	for _, line := range edit.changes {
		fmt.Fprintln(h.Stdout, line)
	}
	if _, err := exec.LookPath(program); err != nil {
		fmt.Fprintf(h.Stderr, "warning: %s is not on PATH, where Docker looks for it\n", program)
	}
	return nil
}

// adviseLogin names the hosts that Docker asks us for in vain: the login that it
// had itself, if any, is not used any more.
func (h *helper) adviseLogin(args []string, opts configureOptions) error {
	keys, err := opts.keys(args)
	if err != nil {
		return err
	}
	logins, err := h.loadIndex()
	if err != nil {
		return err
	}
	for _, key := range keys {
		host, err := registry.NormalizeHost(key)
		if err != nil {
			return usageError{err}
		}
		_, known := logins[host]
		if _, given := environmentCredential(h.Getenv, host); !known && !given {
			fmt.Fprintf(h.Stderr, "next: %s login %s\n", program, host)
		}
	}
	return nil
}

// dockerHelper returns which helper Docker asks for the host at an address: its
// name, or nothing where Docker keeps the login itself.
func (h *helper) dockerHelper(address string) (string, error) {
	key, err := dockerconfig.Key(address)
	if err != nil {
		return "", err
	}
	edit, err := h.openDockerConfig()
	if err != nil {
		return "", err
	}
	return edit.Helper(key), nil
}
