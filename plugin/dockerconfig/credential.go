package dockerconfig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/docker-gitea/docker-gitea/internal/helperprogram"
	"github.com/docker-gitea/docker-gitea/registry"
)

// HelperError is a credential helper that gave no answer.
type HelperError struct {
	// Program is the helper's executable, Host what it was asked for.
	Program string
	Host    string
	Err     error
}

// Error names the helper.
func (e *HelperError) Error() string {
	return fmt.Sprintf("credential helper %s: %v", e.Program, e.Err)
}

// Unwrap gives the cause.
func (e *HelperError) Unwrap() error { return e.Err }

// Hint says how to go on without the helper.
func (e *HelperError) Hint() string {
	if errors.Is(e.Err, exec.ErrNotFound) {
		return fmt.Sprintf("%s is not installed, or not on PATH: install it, remove the line that names it, or give --username and --password-stdin", e.Program)
	}
	return fmt.Sprintf("to see what it says: echo %s | %s get", e.Host, e.Program)
}

// Credential returns the credential that Docker has for a place; anonymous if
// there is none. It looks, in this order, at DOCKER_AUTH_CONFIG, the credential
// helper for the host, the entries of config.json, and podman's files. What
// helpers write to their standard error goes to stderr. A helper that fails is
// a [*HelperError].
func (c *Config) Credential(ctx context.Context, p Place, stderr io.Writer) (registry.AuthConfig, error) {
	lookups := []func() (registry.AuthConfig, error){
		func() (registry.AuthConfig, error) { return c.fromEnvironment(p) },
		func() (registry.AuthConfig, error) { return c.fromHelper(ctx, c.file, p, stderr) },
		func() (registry.AuthConfig, error) { return fromFile(c.file, p) },
		func() (registry.AuthConfig, error) { return c.fromPodman(ctx, p, stderr) },
	}
	var unread error // where the credential may have been that nobody has
	for _, lookup := range lookups {
		found, err := lookup()
		if _, broken := errors.AsType[unreadable](err); broken {
			unread = cmp.Or(unread, err)
			continue
		}
		if err == nil && found.IsZero() {
			continue
		}
		return found, err
	}
	return registry.AuthConfig{}, unread
}

// unreadable is a file, or an entry in one, in which a credential may be that
// cannot be read. Another place may have it all the same.
type unreadable struct{ error }

func (e unreadable) Unwrap() error { return e.error }

// Hint says how to go on with it, and without.
func (e unreadable) Hint() string {
	return "correct it, or give the credential in another way: --password-stdin, or DOCKER_GITEA_TOKEN with DOCKER_GITEA_HOST"
}

// Store is where docker keeps the login of host: a credential helper, or the
// path of config.json.
func (c *Config) Store(host string) string {
	helper, _ := helperFor(c.file, Place{Host: host})
	if helper == "" {
		return c.path()
	}
	return "docker-credential-" + helper
}

func (c *Config) path() string { return filepath.Join(c.Dir, "config.json") }

// HelperCredential asks one credential helper for host, whatever the
// configuration names: "gitea" is the program docker-credential-gitea. It is
// anonymous if the helper has none.
func (c *Config) HelperCredential(ctx context.Context, name, host string, stderr io.Writer) (registry.AuthConfig, error) {
	return c.askHelper(ctx, name, host, stderr)
}

// Hosts are the registries that Docker's configuration has a login or a
// credential helper for, as they are written there.
func (c *Config) Hosts() []string {
	return slices.Concat(slices.Collect(maps.Keys(c.file.AuthConfigs)), slices.Collect(maps.Keys(c.file.CredentialHelpers)))
}

// tokenUser is the user name that marks a secret as a token
// (docker/cli, docs/reference/commandline/login.md).
const tokenUser = "<token>"

// convert turns Docker's form into ours. Gitea has no OAuth token endpoint
// for registries, so that an identity token is used like any other token.
func convert(a types.AuthConfig) registry.AuthConfig {
	switch {
	case a.IdentityToken != "":
		return registry.AuthConfig{Token: a.IdentityToken}
	case a.Username == tokenUser:
		return registry.AuthConfig{Token: a.Password}
	case a.Password == "":
		return registry.AuthConfig{}
	case a.Username == "":
		return registry.AuthConfig{Token: a.Password}
	}
	return registry.AuthConfig{Username: a.Username, Password: a.Password}
}

func (c *Config) fromEnvironment(p Place) (registry.AuthConfig, error) {
	content := c.getenv(configfile.DockerEnvConfigKey)
	if content == "" {
		return registry.AuthConfig{}, nil
	}
	c.Hide([]byte(content))
	found, err := fromFile(parseFile(configfile.DockerEnvConfigKey, []byte(content)), p)
	if err != nil {
		// The parser's message could quote the secret.
		c.passOver(configfile.DockerEnvConfigKey + " holds no valid docker configuration: it is passed over")
		return registry.AuthConfig{}, unreadable{fmt.Errorf("%s holds no valid docker configuration", configfile.DockerEnvConfigKey)}
	}
	found.Origin = registry.Origin{Kind: registry.OriginVariable, Name: configfile.DockerEnvConfigKey}
	return found, nil
}

// helperName keeps a configuration file from naming a program elsewhere than
// on PATH.
var helperName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// fromHelper asks the helper that file names for the place. One that has
// nothing for it is no error.
func (c *Config) fromHelper(ctx context.Context, file parsed, p Place, stderr io.Writer) (registry.AuthConfig, error) {
	name, address := helperFor(file, p)
	if name == "" {
		return registry.AuthConfig{}, nil
	}
	return c.askHelper(ctx, name, address, stderr)
}

// helperLimit is how long a helper may take: it may ask for the password of a
// keyring.
var helperLimit = 2 * time.Minute

// ownVariable is where our own helper takes a token from before it looks at its
// logins.
const ownVariable = "DOCKER_CREDENTIAL_GITEA_TOKEN"

func (c *Config) askHelper(ctx context.Context, name, host string, stderr io.Writer) (registry.AuthConfig, error) {
	if !helperName.MatchString(name) {
		return registry.AuthConfig{}, fmt.Errorf("the credential helper %q has no valid name", name)
	}
	program := "docker-credential-" + name
	if _, err := exec.LookPath(program); err != nil {
		return registry.AuthConfig{}, &HelperError{Program: program, Host: host, Err: err}
	}
	if c.Waiting != nil {
		defer c.Waiting(program)()
	}
	limited, cancel := context.WithTimeout(ctx, helperLimit)
	defer cancel()
	call := new(helperprogram.Call)
	found, err := client.Get(func(args ...string) client.Program {
		call = helperprogram.New(limited, program, stderr, args...)
		return call
	}, host)
	switch {
	case credentials.IsErrCredentialsNotFound(err):
		return registry.AuthConfig{}, nil
	case ctx.Err() != nil:
		return registry.AuthConfig{}, fmt.Errorf("%s has not answered: %w", program, context.Cause(ctx))
	case limited.Err() != nil:
		return registry.AuthConfig{}, &HelperError{Program: program, Host: host, Err: fmt.Errorf("no answer within %v", helperLimit)}
	case errors.Is(call.Err, context.Canceled): // by Ctrl-C, which ctx hears of in a moment
		return registry.AuthConfig{}, fmt.Errorf("%s: %w", program, call.Err)
	case call.Err != nil:
		return registry.AuthConfig{}, &HelperError{Program: program, Host: host, Err: call.Err}
	case err != nil: // which may quote the answer
		return registry.AuthConfig{}, &HelperError{Program: program, Host: host, Err: errors.New("its answer is malformed")}
	}
	credential := convert(types.AuthConfig{Username: found.Username, Password: found.Secret})
	credential.Origin = registry.Origin{Kind: registry.OriginHelper, Name: program}
	if token := c.getenv(ownVariable); token != "" && token == found.Secret {
		credential.Origin = registry.Origin{Kind: registry.OriginVariable, Name: ownVariable}
	}
	return credential, nil
}
