package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// credential is the credential for a place, which is not shown from now on.
func (a *app) credential(ctx context.Context, p dockerconfig.Place, c options.Connection, config *dockerconfig.Config) (registry.AuthConfig, error) {
	found, err := a.findCredential(ctx, p, c, config)
	a.hidden.hideCredential(found)
	return found, err
}

// findCredential finds it: the one given on standard input, the environment's,
// the one that the configuration file leads to, or docker's.
func (a *app) findCredential(ctx context.Context, p dockerconfig.Place, c options.Connection, config *dockerconfig.Config) (registry.AuthConfig, error) {
	host := p.Host
	if c.PasswordStdin {
		return a.givenCredential(ctx, c.Username)
	}
	found, notice, err := a.environmentCredential(host, c.Username)
	if err != nil || !found.IsZero() {
		return found, err
	}
	missing := found.Origin
	if c.CredentialSource != nil {
		if found, err = a.sourcedCredential(ctx, p, c, config); err != nil || !found.IsZero() {
			return found, err
		}
		missing = cmp.Or(missing, found.Origin)
	}
	if c.Username != "" {
		if missing != (registry.Origin{}) {
			return found, fault.Usage(errors.New(missing.Lacks(host) + ", and --username needs a password or token"))
		}
		return found, fault.Usage(fault.WithHint(errors.New("--username needs a password or token"),
			"give it with --password-stdin, or set DOCKER_GITEA_TOKEN and DOCKER_GITEA_HOST"))
	}
	found, err = config.Credential(ctx, p, gate.Behind(a.Stderr))
	if err != nil || !found.IsZero() {
		return found, err
	}
	if notice != "" {
		a.tell(notice)
	}
	if missing == (registry.Origin{}) && a.isEmpty("DOCKER_AUTH_CONFIG") {
		missing = variable("DOCKER_AUTH_CONFIG")
	}
	return registry.AuthConfig{Origin: missing}, nil
}

func variable(name string) registry.Origin {
	return registry.Origin{Kind: registry.OriginVariable, Name: name}
}

// maxPassword is more than any password or token, in bytes.
const maxPassword = 64 << 10

func (a *app) givenCredential(ctx context.Context, username string) (registry.AuthConfig, error) {
	if print.IsTerminal(a.Stdin) {
		return registry.AuthConfig{}, fault.Usage(fault.WithHint(errors.New("--password-stdin: standard input is a terminal, which would show the password"),
			"pipe the password in, or log in without showing it: docker-credential-gitea login HOST"))
	}
	stdin := interruptible(ctx, a.Stdin)
	what := "standard input, which is to hold the password,"
	done := a.waiting(what)
	content, err := io.ReadAll(io.LimitReader(stdin, maxPassword))
	done()
	if err := errors.Join(err, stdin.Close()); err != nil {
		return registry.AuthConfig{}, unanswered(ctx, what, fmt.Errorf("read the password from standard input: %w", err))
	}
	secret := registry.Trimmed(string(content))
	if secret == "" {
		return registry.AuthConfig{}, fault.Usage(errors.New("--password-stdin: standard input is empty"))
	}
	return withUsername(username, secret, registry.Origin{Kind: registry.OriginOption, Name: "--password-stdin"}), nil
}

// withUsername takes a secret without a user name for a token.
func withUsername(username, secret string, from registry.Origin) registry.AuthConfig {
	if username == "" {
		return registry.AuthConfig{Token: secret, Origin: from}
	}
	return registry.AuthConfig{Username: username, Password: secret, Origin: from}
}

// sourcedCredential follows the configuration file. A source that has nothing
// for host leaves the search to docker's.
func (a *app) sourcedCredential(ctx context.Context, p dockerconfig.Place, c options.Connection, config *dockerconfig.Config) (registry.AuthConfig, error) {
	found, err := a.fromSource(ctx, p, c, config)
	if err != nil {
		return found, fmt.Errorf("%s: %w", c.CredentialBy, err)
	}
	if found.Origin == (registry.Origin{}) {
		found.Origin = sourcePlace(c.CredentialSource)
	}
	found.Origin.By = c.CredentialBy
	return found, err
}

// sourcePlace is where a source of the configuration file looks.
func sourcePlace(source *v1alpha1.CredentialSource) registry.Origin {
	switch {
	case source.Helper != "":
		return registry.Origin{Kind: registry.OriginHelper, Name: "docker-credential-" + source.Helper}
	case source.DockerConfig != "":
		return registry.Origin{Kind: registry.OriginDocker, File: filepath.Join(source.DockerConfig, "config.json")}
	case source.Env != "":
		return variable(source.Env)
	}
	return registry.Origin{Kind: registry.OriginFile, File: source.File}
}

func (a *app) fromSource(ctx context.Context, p dockerconfig.Place, c options.Connection, config *dockerconfig.Config) (registry.AuthConfig, error) {
	source := c.CredentialSource
	switch {
	case source.Helper != "":
		return config.HelperCredential(ctx, source.Helper, p.Host, gate.Behind(a.Stderr))
	case source.DockerConfig != "":
		other, err := dockerconfig.Load(source.DockerConfig, a.Getenv, a.hidden.Hidden)
		if err != nil {
			return registry.AuthConfig{}, err
		}
		other.Waiting = a.waiting
		return other.Credential(ctx, p, gate.Behind(a.Stderr))
	case source.Env != "":
		if secret := a.Getenv(source.Env); secret != "" {
			return withUsername(c.Username, secret, sourcePlace(source)), nil
		}
	case source.File != "":
		content, err := ownfile.Read(source.File)
		if err != nil {
			return registry.AuthConfig{}, fault.WithHint(fmt.Errorf("read the credential of %s: %w", p.Host, err),
				"file: is the path of a file that you may read and that holds the token, and not the token itself")
		}
		secret := registry.Trimmed(string(content))
		if secret == "" {
			return registry.AuthConfig{}, fault.WithHint(fmt.Errorf("read the credential of %s: %s is empty", p.Host, source.File),
				"write a personal access token of the scope write:package into it")
		}
		return withUsername(c.Username, secret, sourcePlace(source)), nil
	}
	return registry.AuthConfig{}, nil
}

// environmentCredential gives a token of the environment to the host that it
// is bound to, and to no other:
//
//   - DOCKER_GITEA_TOKEN to DOCKER_GITEA_HOST;
//   - GITEA_TOKEN to the server of GITEA_SERVER_URL or else GITHUB_SERVER_URL,
//     which Gitea's Actions set beside it, or else to DOCKER_GITEA_HOST.
//
// The notice says that a token was left unused. With neither, the origin is the
// variable that is set for host, but to nothing.
func (a *app) environmentCredential(host, username string) (found registry.AuthConfig, notice string, err error) {
	tokens := []struct{ variable, origin string }{
		{"DOCKER_GITEA_TOKEN", firstSet(a.Getenv, "DOCKER_GITEA_HOST")},
		{"GITEA_TOKEN", firstSet(a.Getenv, "GITEA_SERVER_URL", "GITHUB_SERVER_URL", "DOCKER_GITEA_HOST")},
	}
	for _, token := range tokens {
		value := a.Getenv(token.variable)
		if value == "" && !a.isEmpty(token.variable) {
			continue
		}
		unused := " is not used"
		if value == "" {
			unused = " is set, but empty, and would not be used"
		}
		if token.origin == "" {
			notice = token.variable + unused + ": no DOCKER_GITEA_HOST or GITEA_SERVER_URL says which registry it is for"
			continue
		}
		bound, err := registry.NormalizeHost(a.Getenv(token.origin))
		if err != nil {
			return found, "", fault.Usage(fmt.Errorf("%s: %w", token.origin, err))
		}
		switch {
		case bound == host && value != "":
			return registry.AuthConfig{Username: username, Token: value, Origin: variable(token.variable)}, "", nil
		case bound == host:
			found.Origin = cmp.Or(found.Origin, variable(token.variable))
			continue
		}
		notice = fmt.Sprintf("%s%s: by %s it is for %s, not for %s", token.variable, unused, token.origin, bound, host)
	}
	return found, notice, nil
}

// firstSet is the first of the variables that has a value.
func firstSet(getenv func(string) string, variables ...string) string {
	for _, variable := range variables {
		if getenv(variable) != "" {
			return variable
		}
	}
	return ""
}

// defaultHost is the registry of destinations that name none, or empty.
func (a *app) defaultHost() (string, error) {
	const variable = "DOCKER_GITEA_HOST"
	if a.Getenv(variable) == "" {
		return "", nil
	}
	host, err := registry.NormalizeHost(a.Getenv(variable))
	if err != nil {
		return "", fault.Usage(fmt.Errorf("%s: %w", variable, err))
	}
	return host, nil
}
