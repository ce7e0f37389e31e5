package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	dcontext "github.com/docker/cli/cli/context"
	"github.com/docker/cli/cli/context/store"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/internal/home"
	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
)

// Endpoint is where a daemon listens.
type Endpoint struct {
	// Host is the address as docker writes it: "unix:///var/run/docker.sock",
	// "tcp://host:2376", "ssh://user@host", "npipe:////./pipe/docker_engine".
	Host string
	// TLS is used on tcp; nil means plain.
	TLS *tls.Config
	// Origin says which setting led here: "--host", "DOCKER_HOST",
	// `context "x"`, or "docker's default".
	Origin string
	// APIVersion fixes the version of the API. Empty means the daemon's own.
	APIVersion string
}

// Flags are docker's options that choose a daemon.
type Flags struct {
	Host, Context     string
	TLS, TLSVerify    bool
	CACert, Cert, Key string
}

// Register adds the options to flags, in docker's words.
func (f *Flags) Register(flags *pflag.FlagSet) {
	flags.StringVarP(&f.Host, "host", "H", "", "Daemon socket to connect to")
	flags.StringVarP(&f.Context, "context", "c", "", "Name of the context to use to connect to the daemon")
	flags.BoolVar(&f.TLS, "tls", false, "Use TLS; implied by --tlsverify")
	flags.BoolVar(&f.TLSVerify, "tlsverify", false, "Use TLS and verify the remote")
	flags.StringVar(&f.CACert, "tlscacert", "", "Trust certs signed only by this CA")
	flags.StringVar(&f.Cert, "tlscert", "", "Path to TLS certificate file")
	flags.StringVar(&f.Key, "tlskey", "", "Path to TLS key file")
}

const (
	defaultContext = "default"
	// endpointName is the key of the daemon among a context's endpoints.
	endpointName = "docker"
)

// Resolve finds the daemon that docker itself would use, by the rules of
// docker/cli, cli/command/cli.go, resolveContextName.
func Resolve(flags Flags, config *dockerconfig.Config, getenv func(string) string) (Endpoint, error) {
	if flags.Host != "" && flags.Context != "" {
		return Endpoint{}, errors.New("--host and --context exclude each other")
	}
	var endpoint Endpoint
	var err error
	if name := contextName(flags, getenv, config.CurrentContext()); name != defaultContext {
		endpoint, err = fromContext(config, name)
	} else {
		endpoint, err = fromFlags(flags, config.Dir, getenv)
	}
	endpoint.APIVersion = strings.TrimPrefix(getenv("DOCKER_API_VERSION"), "v") // which docker takes as well
	return endpoint, err
}

// contextName is the context in force; [defaultContext] stands for flags and
// DOCKER_HOST.
func contextName(flags Flags, getenv func(string) string, current string) string {
	switch {
	case flags.Context != "":
		return flags.Context
	case flags.Host != "", getenv("DOCKER_HOST") != "":
		return defaultContext
	case getenv("DOCKER_CONTEXT") != "":
		return getenv("DOCKER_CONTEXT")
	case current != "":
		return current
	}
	return defaultContext
}

func fromContext(config *dockerconfig.Config, name string) (Endpoint, error) {
	if config.ContextDir() == "" {
		return Endpoint{}, &ContextError{Name: name, Err: home.ErrUnknown}
	}
	contexts := store.New(config.ContextDir(), store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter(endpointName, func() any { return &dcontext.EndpointMetaBase{} }),
	))
	metadata, err := contexts.GetMetadata(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Endpoint{}, &ContextError{Name: name, Err: errors.New("there is none of this name")}
	}
	if err != nil {
		return Endpoint{}, &ContextError{Name: name, Err: err}
	}
	content, err := json.Marshal(metadata)
	if err != nil {
		return Endpoint{}, &ContextError{Name: name, Err: err}
	}
	config.Hide(content)
	meta, ok := metadata.Endpoints[endpointName].(dcontext.EndpointMetaBase)
	if !ok {
		return Endpoint{}, &ContextError{Name: name, Err: errors.New("it has no docker endpoint")}
	}
	data, err := dcontext.LoadTLSData(contexts, name, endpointName)
	if err != nil {
		return Endpoint{}, &ContextError{Name: name, Err: err}
	}
	endpoint := Endpoint{Host: meta.Host, Origin: fmt.Sprintf("context %q", name)}
	if endpoint.Host == "" {
		endpoint.Host = defaultHost()
	}
	if data != nil || meta.SkipTLSVerify {
		if endpoint.TLS, err = tlsConfig(data, meta.SkipTLSVerify); err != nil {
			return Endpoint{}, &ContextError{Name: name, Err: err}
		}
	}
	return endpoint, nil
}

// fromFlags follows docker/cli, cli/flags/options.go, SetDefaultOptions:
// either of the TLS variables turns TLS on, and only --tlsverify or
// DOCKER_TLS_VERIFY checks the daemon's certificate.
func fromFlags(flags Flags, configDir string, getenv func(string) string) (Endpoint, error) {
	endpoint := Endpoint{Host: flags.Host, Origin: "--host"}
	if endpoint.Host == "" {
		endpoint = Endpoint{Host: getenv("DOCKER_HOST"), Origin: "DOCKER_HOST"}
	}
	if endpoint.Host == "" {
		endpoint = Endpoint{Host: defaultHost(), Origin: "docker's default"}
	}
	verify := flags.TLSVerify || getenv("DOCKER_TLS_VERIFY") != ""
	if !verify && !flags.TLS && getenv("DOCKER_TLS") == "" {
		return endpoint, nil
	}
	dir := getenv("DOCKER_CERT_PATH")
	if dir == "" {
		if dir = configDir; dir == "" {
			return Endpoint{}, fmt.Errorf("find the daemon's certificates: %w", home.ErrUnknown)
		}
	}
	data, err := dcontext.TLSDataFromFiles(
		existing(flags.CACert, filepath.Join(dir, "ca.pem")),
		existing(flags.Cert, filepath.Join(dir, "cert.pem")),
		existing(flags.Key, filepath.Join(dir, "key.pem")))
	if err != nil {
		return Endpoint{}, fmt.Errorf("read the daemon's certificates: %w", err)
	}
	endpoint.TLS, err = tlsConfig(data, !verify)
	return endpoint, err
}

// existing is the file that was asked for, or else the default one if it is
// there.
func existing(asked, byDefault string) string {
	if asked != "" {
		return asked
	}
	if _, err := os.Stat(byDefault); err != nil {
		return ""
	}
	return byDefault
}

func tlsConfig(data *dcontext.TLSData, skipVerify bool) (*tls.Config, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: skipVerify, //nolint:gosec // G402: docker's --tls without --tlsverify, and SkipTLSVerify of a context
	}
	if data == nil {
		return config, nil
	}
	if data.CA != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data.CA) {
			return nil, errors.New("ca.pem holds no certificate")
		}
	}
	if data.Cert != nil && data.Key != nil {
		pair, err := tls.X509KeyPair(data.Cert, data.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func defaultHost() string {
	if runtime.GOOS == "windows" {
		return "npipe:////./pipe/docker_engine"
	}
	return "unix:///var/run/docker.sock"
}

// address splits the host into the protocol and what is to be dialled, with
// docker's defaults filled in.
func (e Endpoint) address() (proto, addr string, err error) {
	proto, addr, found := strings.Cut(strings.TrimSpace(e.Host), "://")
	if !found {
		proto, addr = "tcp", proto
	}
	switch proto {
	case "unix", "npipe", "ssh":
		if addr == "" {
			return "", "", fmt.Errorf("docker host %q (from %s) has no address", e.Host, e.Origin)
		}
		return proto, addr, nil
	case "tcp", "http", "https":
		addr = strings.TrimSuffix(addr, "/")
		if addr == "" || strings.HasPrefix(addr, ":") {
			addr = "localhost" + addr
		}
		if !strings.Contains(addr[strings.LastIndex(addr, "]")+1:], ":") {
			addr += map[bool]string{false: ":2375", true: ":2376"}[e.TLS != nil]
		}
		return "tcp", addr, nil
	}
	return "", "", fmt.Errorf("docker host %q (from %s) has the unknown protocol %q", e.Host, e.Origin, proto)
}
