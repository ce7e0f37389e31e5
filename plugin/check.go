package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/registry"
)

func (a *app) newCheckCommand() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "check [OPTIONS] HOST[/OWNER[/NAME]]",
		Short: "Find out what is right and wrong between this machine and a registry",
		Long: `Find out what is right and wrong between this machine and a registry.

It looks at the name, the connection, the certificate, the registry, the clock,
proxies, the version of the server, the login and what docker itself would do;
with an OWNER, at the right to push there and at the largest request that gets
through. It stops at the first failure. Nothing is left on the server.`,
		Example: `  docker gitea check git.example.com

  # May I push there?
  docker gitea check git.example.com/me/app`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("one HOST[/OWNER[/NAME]] is needed")}
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			return a.check(command.Context(), command.Flags(), args[0], asJSON)
		},
	}
	new(connection).register(command.Flags())
	command.Flags().BoolVar(&asJSON, "json", false, "Print the checks as JSON")
	return command
}

func (a *app) check(ctx context.Context, flags *pflag.FlagSet, target string, asJSON bool) error {
	host, repository, plainHTTP, err := checkTarget(target)
	if err != nil {
		return err
	}
	config, err := a.dockerConfig()
	if err != nil {
		return err
	}
	l, err := a.layers(flags, config.Dir)
	if err != nil {
		return err
	}
	var c connection
	if _, err := l.resolve(&c, host); err != nil {
		return err
	}
	c.plainHTTP = c.plainHTTP || plainHTTP
	client, err := a.newClient(ctx, host, c, config, nil)
	if err != nil {
		return err
	}
	checks := client.Check(ctx, repository)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	checks = append(checks, a.checkDocker(ctx, host, config, checks)...)
	if err := printChecks(a.Stdout, host, checks, asJSON); err != nil {
		return err
	}
	if i := slices.IndexFunc(checks, func(c registry.Check) bool { return c.Outcome == registry.OutcomeFailed }); i >= 0 {
		return reportedError{pushError{checks[i].Err}}
	}
	return nil
}

// checkTarget reads HOST[/OWNER[/NAME[:TAG]]], with or without a scheme.
func checkTarget(target string) (host, repository string, plainHTTP bool, err error) {
	rest := target
	if scheme, after, found := strings.Cut(target, "://"); found {
		rest = after
		plainHTTP = scheme == "http"
	}
	host, repository, _ = strings.Cut(rest, "/")
	if host, err = registry.NormalizeHost(host); err != nil {
		return "", "", false, usageError{err}
	}
	repository = strings.TrimSuffix(repository, "/")
	if hasTag(repository) {
		repository = repository[:strings.LastIndex(repository, ":")]
	}
	return host, repository, plainHTTP, nil
}

// checkDocker tells what docker's own configuration means for host: where its
// credential comes from, and whether the certificate is one that it accepts,
// if there is one by the checks before.
func (a *app) checkDocker(ctx context.Context, host string, config *dockerconfig.Config, before []registry.Check) []registry.Check {
	const name = "docker"
	detail := "logins are kept by " + config.Store(host)
	if !slices.ContainsFunc(before, func(c registry.Check) bool { return c.Name == "certificate" }) {
		return []registry.Check{{Name: name, Outcome: registry.OutcomeOK, Detail: detail}}
	}
	docker, err := registry.New(registry.RegistryConfig{URL: "https://" + host, CertDirs: registry.DockerCertDirs(config.Dir)},
		&registry.Options{Logger: a.logger(), UserAgent: programName + "/" + a.Version})
	if err != nil {
		return []registry.Check{registry.Failed(name, err)}
	}
	if _, refused := errors.AsType[*registry.TLSError](docker.Health(ctx)); refused {
		return []registry.Check{{
			Name: name, Outcome: registry.OutcomeWarning, Detail: detail,
			Diagnosis: registry.Diagnosis{
				Cause: "docker push, pull and login would refuse the certificate, unless the daemon has the host among its insecure-registries",
				Hint:  "docker gitea push needs nothing; for the daemon, put the authority into /etc/docker/certs.d/" + host + "/ca.crt",
			},
		}}
	}
	return []registry.Check{{Name: name, Outcome: registry.OutcomeOK, Detail: detail}}
}

var marks = map[registry.Outcome]string{registry.OutcomeOK: "✓", registry.OutcomeWarning: "!", registry.OutcomeFailed: "✗"}

// printChecks writes one line a check, and below those that are not well the
// cause and what to do.
func printChecks(w io.Writer, host string, checks []registry.Check, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(struct {
			Host   string           `json:"host"`
			Checks []registry.Check `json:"checks"`
		}{host, checks})
	}
	var b strings.Builder
	for _, c := range checks {
		fmt.Fprintf(&b, "%s %-12s  %s\n", marks[c.Outcome], c.Name, registry.Printable(c.Detail))
		for _, line := range []struct{ label, text string }{{"cause", c.Cause}, {"hint", c.Hint}} {
			if line.text != "" {
				fmt.Fprintf(&b, "    %s: %s\n", line.label, registry.Printable(line.text))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
