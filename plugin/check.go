package plugin

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

func (a *app) newCheckCommand() *cobra.Command {
	var format print.Format
	command := &cobra.Command{
		Use:   "check [OPTIONS] HOST[/OWNER[/NAME]]",
		Short: "Check everything between this machine and a registry",
		Long: `Check everything between this machine and a registry.

It looks at the name, the connection, the certificate, the registry, the clock,
proxies, the version of the server, the login and what docker itself would do;
with an OWNER, at the right to push there and at the largest request that gets
through. It stops at the first failure. Nothing is left on the server. A
template is filled in for each check.`,
		Example: `  docker gitea check git.example.com

  # May I push there?
  docker gitea check git.example.com/me/app

  # In a script
  docker gitea check --format '{{.Outcome}} {{.Name}}' git.example.com`,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeRemote(depthImage),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.Usage(errors.New("one HOST[/OWNER[/NAME]] is needed"))
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			return a.check(command.Context(), command.Flags(), args[0], &format)
		},
	}
	new(options.Connection).Register(command.Flags())
	format.Register(command.Flags())
	return command
}

func (a *app) check(ctx context.Context, flags *pflag.FlagSet, address string, format *print.Format) error {
	host, repository, plainHTTP, err := checkTarget(address)
	if err != nil {
		return err
	}
	config, l, err := a.configured(flags, host)
	if err != nil {
		return err
	}
	var c options.Connection
	if _, err := l.Resolve(&c, host); err != nil {
		return err
	}
	if first, _, _ := strings.Cut(address, "/"); c.PlainHTTP && strings.HasSuffix(first, ":443") {
		return target.RefusePort443(host)
	}
	c.PlainHTTP = c.PlainHTTP || plainHTTP
	client, err := a.newClient(ctx, host, repository, options.Inquiry{Connection: c}, config, sends{})
	if err != nil {
		return err
	}
	done := a.later(host + " has been looked at for " + longWait.String() + " without an end")
	checks := client.Check(ctx, repository)
	done()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	checks = append(checks, a.checkDocker(ctx, host, config, checks)...)
	switch {
	case format.IsText():
		err = printChecks(a.Stdout, checks)
	case format.IsTemplate():
		err = writeEach(a, format, checks)
	default:
		err = format.Write(a.Stdout, checkList{Host: host, Checks: checks})
	}
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(checks, func(c registry.Check) bool { return c.Outcome == registry.OutcomeFailed }); i >= 0 {
		return fault.Reported(fault.Push(checks[i].Err))
	}
	return nil
}

// checkList is all that was looked at, as a document.
type checkList struct {
	Host   string           `json:"host"`
	Checks []registry.Check `json:"checks"`
}

// checkTarget reads HOST[/OWNER[/NAME[:TAG]]], with or without a scheme.
func checkTarget(address string) (host, repository string, plainHTTP bool, err error) {
	scheme, rest := target.CutScheme(address)
	plainHTTP = scheme == "http://"
	host, repository, _ = strings.Cut(rest, "/")
	if host, err = registry.NormalizeHost(scheme + host); err != nil {
		return "", "", false, fault.Usage(err)
	}
	repository = strings.TrimSuffix(repository, "/")
	if target.HasTag(repository) {
		repository = repository[:strings.LastIndex(repository, ":")]
	}
	return host, repository, plainHTTP, nil
}

// checkDocker tells what docker's own configuration means for host: where its
// login is kept, and whether docker would accept the way that the registry
// speaks, where the checks before came so far.
func (a *app) checkDocker(ctx context.Context, host string, config *dockerconfig.Config, before []registry.Check) []registry.Check {
	insecure, says := a.daemonAccepts(ctx, host, config)
	check := registry.Check{
		Name: "docker", Outcome: registry.OutcomeOK,
		Detail: "logins are kept by " + config.Store(host) + "; " + says,
	}
	found := func(name string) bool {
		return slices.ContainsFunc(before, func(c registry.Check) bool { return c.Name == name && c.Outcome == registry.OutcomeOK })
	}
	switch {
	case insecure:
	case found("registry") && !found("certificate"):
		check.Outcome = registry.OutcomeWarning
		check.Diagnosis = registry.Diagnosis{
			Cause: "docker push, pull and login speak plain HTTP to those registries alone that are among the daemon's insecure-registries",
			Hint:  `docker gitea push needs nothing; for the daemon: "insecure-registries": ["` + host + `"] in /etc/docker/daemon.json`,
		}
	case slices.ContainsFunc(before, func(c registry.Check) bool { return c.Name == "certificate" }):
		check.Diagnosis = dockerRefusal(host, a.askAsDocker(ctx, host, config), found("certificate"))
		if check.Cause != "" {
			check.Outcome = registry.OutcomeWarning
		}
	}
	return []registry.Check{check}
}

// daemonTimeout is for a question that may go unanswered.
const daemonTimeout = 5 * time.Second

// daemonAccepts reports whether the daemon has host among its
// insecure-registries, in words too. Without a daemon, which nothing here
// needs, that is all that is said.
func (a *app) daemonAccepts(ctx context.Context, host string, config *dockerconfig.Config) (bool, string) {
	ctx, cancel := context.WithTimeout(ctx, daemonTimeout)
	defer cancel()
	info, err := a.daemonInfo(ctx, config)
	switch {
	case err != nil:
		return false, "no daemon answers"
	case info.Insecure(ctx, host):
		return true, "the daemon accepts any certificate there, and plain HTTP"
	}
	return false, "the daemon wants a certificate there that it can verify"
}

func (a *app) daemonInfo(ctx context.Context, config *dockerconfig.Config) (daemon.Info, error) {
	endpoint, err := daemon.Resolve(a.globals.daemon, config, a.Getenv)
	if err != nil {
		return daemon.Info{}, err
	}
	client, err := daemon.Connect(ctx, endpoint)
	if err != nil {
		return daemon.Info{}, err
	}
	defer client.Close()
	return client.Info(ctx)
}

// dockerRefusal is what docker makes of a certificate that err says is refused. Of one
// that was not accepted here either, the same fault is told once.
func dockerRefusal(host string, err error, accepted bool) registry.Diagnosis {
	const refuses = "docker push, pull and login would refuse the certificate: "
	if _, authority := errors.AsType[x509.UnknownAuthorityError](err); authority {
		return registry.Diagnosis{
			Cause: refuses + "its authority is not in certs.d, nor known to this machine",
			Hint:  "docker gitea push needs nothing; for the daemon, put the authority into /etc/docker/certs.d/" + host + "/ca.crt",
		}
	}
	if err == nil || !accepted {
		return registry.Diagnosis{}
	}
	d := registry.Diagnose(err)
	return registry.Diagnosis{Cause: refuses + cmp.Or(d.Cause, err.Error()), Hint: d.Hint}
}

// askAsDocker is why the certificate of host is refused with docker's own settings; nil
// where it is not.
func (a *app) askAsDocker(ctx context.Context, host string, config *dockerconfig.Config) error {
	docker, err := remote.New(registry.RegistryConfig{URL: "https://" + host, CertDirs: certs.DockerDirs(config.Dir)},
		&remote.Options{Logger: a.logger(), UserAgent: programName + "/" + a.Version})
	if err != nil {
		return err // a file in certs.d that cannot be used
	}
	if refused, is := errors.AsType[*registry.TLSError](docker.Health(ctx)); is {
		return refused
	}
	return nil
}

var marks = map[registry.Outcome]string{registry.OutcomeOK: "✓", registry.OutcomeWarning: "!", registry.OutcomeFailed: "✗"}

// printChecks writes one line a check, and below those that are not well the
// cause and what to do.
func printChecks(w io.Writer, checks []registry.Check) error {
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
