package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
)

// credential finds the credential for host: the one given on standard input,
// the environment's, or Docker's.
func (p *pusher) credential(ctx context.Context, host string) (registry.AuthConfig, error) {
	if p.settings.passwordStdin {
		return p.givenCredential(ctx)
	}
	found, notice, err := environmentCredential(host, p.settings.username, p.Getenv)
	if err != nil || !found.IsZero() {
		return found, err
	}
	if p.settings.username != "" {
		return found, usageError{withHint(errors.New("--username needs a password or token"),
			"give it with --password-stdin, or set DOCKER_GITEA_TOKEN and DOCKER_GITEA_HOST")}
	}
	found, err = p.config.Credential(ctx, host, p.Stderr)
	if err == nil && found.IsZero() && notice != "" {
		_, _ = fmt.Fprintln(p.Stderr, notice)
	}
	return found, err
}

// maxPassword is more than any password or token, in bytes.
const maxPassword = 64 << 10

func (p *pusher) givenCredential(ctx context.Context) (registry.AuthConfig, error) {
	stdin := interruptible(ctx, p.Stdin)
	content, err := io.ReadAll(io.LimitReader(stdin, maxPassword))
	if err := errors.Join(err, stdin.Close()); err != nil {
		return registry.AuthConfig{}, fmt.Errorf("read the password from standard input: %w", err)
	}
	password := strings.TrimRight(string(content), "\r\n")
	if password == "" {
		return registry.AuthConfig{}, usageError{errors.New("--password-stdin: standard input is empty")}
	}
	if p.settings.username == "" {
		return registry.AuthConfig{Token: password}, nil
	}
	return registry.AuthConfig{Username: p.settings.username, Password: password}, nil
}

// environmentCredential gives a token of the environment to the host that it
// is bound to, and to no other:
//
//   - DOCKER_GITEA_TOKEN to DOCKER_GITEA_HOST;
//   - GITEA_TOKEN to the server of GITEA_SERVER_URL or else GITHUB_SERVER_URL,
//     which Gitea's Actions set beside it, or else to DOCKER_GITEA_HOST.
//
// The notice says that GITEA_TOKEN was left unused.
func environmentCredential(host, username string, getenv func(string) string) (found registry.AuthConfig, notice string, err error) {
	tokens := []struct{ variable, origin string }{
		{"DOCKER_GITEA_TOKEN", firstSet(getenv, "DOCKER_GITEA_HOST")},
		{"GITEA_TOKEN", firstSet(getenv, "GITEA_SERVER_URL", "GITHUB_SERVER_URL", "DOCKER_GITEA_HOST")},
	}
	for _, token := range tokens {
		value := getenv(token.variable)
		if value == "" {
			continue
		}
		if token.origin == "" {
			notice = token.variable + " is not used: no DOCKER_GITEA_HOST or GITEA_SERVER_URL says which registry it is for"
			continue
		}
		bound, err := registry.NormalizeHost(getenv(token.origin))
		if err != nil {
			return found, "", usageError{fmt.Errorf("%s: %w", token.origin, err)}
		}
		if bound == host {
			return registry.AuthConfig{Username: username, Token: value}, "", nil
		}
		notice = fmt.Sprintf("%s is not used: by %s it is for %s, not for %s", token.variable, token.origin, bound, host)
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
		return "", usageError{fmt.Errorf("%s: %w", variable, err)}
	}
	return host, nil
}
