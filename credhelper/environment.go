package credhelper

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/docker-gitea/docker-gitea/internal/home"
	"github.com/docker-gitea/docker-gitea/registry"
)

// The variables that the helper reads, beside DOCKER_CONFIG.
const (
	// envDir is the directory of our own files.
	envDir = "DOCKER_CREDENTIAL_GITEA_DIR"
	// envStorage is where new logins are stored, see store.Names.
	envStorage = "DOCKER_CREDENTIAL_GITEA_STORAGE"
	// envLog is a file that debugging messages are appended to.
	envLog = "DOCKER_CREDENTIAL_GITEA_LOG"
	// envToken is a token for the one host that envHost names, of the user
	// that envUser names.
	envToken = "DOCKER_CREDENTIAL_GITEA_TOKEN" //nolint:gosec // G101: the variable's name
	envHost  = "DOCKER_CREDENTIAL_GITEA_HOST"
	envUser  = "DOCKER_CREDENTIAL_GITEA_USER"
)

// directory returns where our own files are, or nothing on a machine that has
// no place for them. A relative directory would be another one wherever Docker
// is run, and in that of a cloned repository somebody else's.
func directory(getenv func(string) string) (string, error) {
	dir := getenv(envDir)
	if dir == "" {
		base, err := home.Config()
		if errors.Is(err, home.ErrUnknown) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		dir = filepath.Join(base, program)
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("%s is relative: give the whole path", envDir)
	}
	return dir, checkDirectory(dir)
}

// credential is what a registry asks for.
type credential struct {
	username string
	secret   registry.Secret
	// from is where it came from.
	from registry.Origin
}

// environmentCredential returns the token that the environment holds for
// host. A token belongs to the one host that the variable beside it names, and
// without that variable to none. In a job of Gitea Actions, GITEA_TOKEN
// belongs to the server that runs the job.
func environmentCredential(getenv func(string) string, host string) (boundCredential, bool) {
	for _, c := range boundCandidates(getenv) {
		if c.host == host {
			return c, true
		}
	}
	return boundCredential{}, false
}

// boundCredential belongs to one host.
type boundCredential struct {
	credential
	host string
}

func variableNamed(name string) registry.Origin {
	return registry.Origin{Kind: registry.OriginVariable, Name: name}
}

// emptyVariable is the variable that is set to nothing where a token for host
// was to be; empty for none.
func (h *helper) emptyVariable(host string) string {
	bound, err := registry.NormalizeHost(h.Getenv(envHost))
	if _, set := h.LookupEnv(envToken); !set || h.Getenv(envToken) != "" || err != nil || bound != host {
		return ""
	}
	return envToken
}

// boundCandidates returns the tokens of the environment that name their host,
// ours before the job's.
func boundCandidates(getenv func(string) string) []boundCredential {
	// Gitea looks a token up without the user name, but Docker wants one.
	const anyUser = "token"
	var bound []boundCredential
	add := func(variable, address, username string) {
		token := getenv(variable)
		host, err := registry.NormalizeHost(address)
		if token != "" && err == nil && !slices.ContainsFunc(bound, func(b boundCredential) bool { return b.host == host }) {
			bound = append(bound, boundCredential{credential{cmp.Or(username, anyUser), registry.NewSecret(token), variableNamed(variable)}, host})
		}
	}
	add(envToken, getenv(envHost), getenv(envUser))
	add("GITEA_TOKEN",
		cmp.Or(getenv("GITEA_SERVER_URL"), getenv("GITHUB_SERVER_URL")),
		cmp.Or(getenv("GITEA_ACTOR"), getenv("GITHUB_ACTOR")))
	return bound
}
