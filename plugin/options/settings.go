// Package options has what can be set: the options of commands, and the places
// where they are given. It reads no file and no variable by itself.
//
// It takes the values of flags, variables and a file, and gives the settings for one registry.
// Begin with settings.go.
//
//   - settings.go: the options; values.go: those with values of their own kind;
//   - layers.go: which of the places counts: the command line, the environment,
//     the configuration file;
//   - trustmap.go: the settings that carry trust, and the registry that each is for;
//   - configfile.go and configentry.go: the configuration file, and what it says
//     of one registry.
package options

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/progress"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/transport"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// Connection are the options of every command that talks to a registry.
type Connection struct {
	ConfigFile     string
	CAFiles        []string
	Cert, Key      string
	Insecure       bool
	PlainHTTP      bool
	Username       string
	PasswordStdin  bool
	ConnectTimeout time.Duration
	StallTimeout   time.Duration

	// The configuration file alone sets these.
	CAData           string
	CredentialSource *v1alpha1.CredentialSource
	CredentialBy     string // the line of the file
}

// Register implements [Set].
func (c *Connection) Register(flags *pflag.FlagSet) {
	flags.StringVar(&c.ConfigFile, "config-file", "", "Configuration file (default: gitea.yaml beside docker's config.json)")
	flags.StringArrayVar(&c.CAFiles, "ca-file", nil, "Trust the certificate authorities in this PEM file; may be repeated")
	flags.StringVar(&c.Cert, "cert", "", "Client certificate (PEM file)")
	flags.StringVar(&c.Key, "key", "", "Key of the client certificate (PEM file)")
	flags.BoolVar(&c.Insecure, "insecure", false, "Accept any TLS certificate from the registry")
	flags.BoolVar(&c.PlainHTTP, "plain-http", false, "Talk to the registry without TLS")
	flags.StringVarP(&c.Username, "username", "u", "", "User name for the registry")
	flags.BoolVar(&c.PasswordStdin, "password-stdin", false, "Read the password or token from standard input")
	flags.DurationVar(&c.ConnectTimeout, "connect-timeout", transport.DefaultConnectTimeout, "Give up connecting to the registry after this time")
	flags.DurationVar(&c.StallTimeout, "stall-timeout", transport.DefaultStallTimeout, "Give up a connection on which nothing moves for this time")
}

func (c *Connection) fromFile(e Entry) {
	c.CAData = e.CAData()
	c.CredentialSource, c.CredentialBy = e.credential()
}

// RegistryConfig says where host is and how to be trusted by it. dir is
// docker's configuration directory.
func (c Connection) RegistryConfig(host string, credential registry.AuthConfig, dir string) registry.RegistryConfig {
	config := registry.RegistryConfig{
		URL:      host,
		Insecure: c.Insecure,
		Auth:     credential,
		CAFiles:  c.CAFiles,
		CAData:   c.CAData,
		CertFile: c.Cert,
		KeyFile:  c.Key,
		CertDirs: certs.DefaultDirs(dir),
	}
	if c.PlainHTTP {
		config.URL = "http://" + host
	}
	return config
}

// Inquiry are the options of commands that ask a registry for something, and
// again when it fails for now.
type Inquiry struct {
	Connection
	Retries int
}

// Register implements [Set].
func (i *Inquiry) Register(flags *pflag.FlagSet) {
	i.Connection.Register(flags)
	flags.IntVar(&i.Retries, "retries", registry.DefaultRetries, "How often to try a failed step again")
}

// Tries is the number of retries as the registry's client takes it: there zero means
// the default.
func (i Inquiry) Tries() int {
	if i.Retries == 0 {
		return -1
	}
	return i.Retries
}

// Settings are the options of a push.
type Settings struct {
	Inquiry
	To               []string
	Tags             []string
	AllTags          bool
	AllImages        bool
	Compose          string
	Bake             string
	Platform         string
	Image            string
	Timeout          time.Duration
	Jobs             int
	ChunkSize        byteSize
	LimitRate        byteRate
	Compression      string
	Level            int
	ForceCompression bool
	NoAttestations   bool
	IncludeForeign   bool
	Quiet            bool
	DryRun           bool
	Verify           bool
	NoClobber        bool
	progress         progressMode
	Via              Via
	Link             string
}

// Register declares the options with their defaults. This is the one place
// where an option is defined; [PerCall] and [Fields] say where else it can be
// set, and the documentation is made from all three.
func (s *Settings) Register(flags *pflag.FlagSet) {
	flags.SortFlags = true
	s.Inquiry.Register(flags)
	flags.StringArrayVar(&s.To, "to", nil, `Push every SOURCE here (below what ends in "/", each keeps its name); may be repeated`)
	flags.StringArrayVarP(&s.Tags, "tag", "t", nil, "Set this tag as well; may be repeated")
	flags.BoolVarP(&s.AllTags, "all-tags", "a", false, "Push all tags that the daemon has of SOURCE")
	flags.BoolVar(&s.AllImages, "all-images", false, "Push all images of a file, each under its own name")
	flags.StringVar(&s.Compose, "compose", "", "Push the images that this compose file builds")
	flags.StringVar(&s.Bake, "bake", "", "Push the images of this file of docker buildx bake --metadata-file")
	flags.StringVar(&s.Platform, "platform", "", "Push only this platform of an index (os/arch[/variant])")
	flags.StringVar(&s.Image, "image", "", "Name of the image to take from a file that holds several")
	flags.DurationVar(&s.Timeout, "timeout", 0, "Give up after this time, of all pushes together (0: never)")
	flags.IntVar(&s.Jobs, "jobs", registry.DefaultJobs, "Number of layers to send side by side")
	flags.Var(&s.ChunkSize, "chunk-size", `Largest request body, such as "90MB" (0: no limit)`)
	flags.Var(&s.LimitRate, "limit-rate", limitRateUsage)
	flags.StringVar(&s.Compression, "compression", "gzip", `How to send layers that are not compressed yet ("gzip", "zstd", "none")`)
	flags.IntVar(&s.Level, "compression-level", 0, "Level of the compression (0: its default)")
	flags.BoolVar(&s.ForceCompression, "force-compression", false, "Send layers that have another compression with that of --compression, too")
	flags.BoolVar(&s.NoAttestations, "no-attestations", false, NoAttestationsUsage)
	flags.BoolVar(&s.IncludeForeign, "include-foreign", false, "Fetch the layers that a manifest names by a URL, and send them, too")
	flags.BoolVarP(&s.Quiet, "quiet", "q", false, "Print only the pushed references")
	flags.BoolVar(&s.DryRun, "dry-run", false, "Say what would be sent, and send nothing")
	flags.BoolVar(&s.Verify, "verify", false, "Check every manifest and blob of the tags, and send what the registry lacks")
	flags.BoolVar(&s.NoClobber, "no-clobber", false, NoClobberUsage)
	s.Via = ViaAuto
	flags.Var(&s.Via, "via", `How an image leaves the docker daemon ("auto", "export", "daemon")`)
	flags.StringVar(&s.Link, "link", "", `Link the image to this repository of its owner afterwards ("auto": find it)`)
	s.progress = progressMode(progress.ModeAuto)
	flags.Var(&s.progress, "progress", `How to show progress ("auto", "tty", "plain", "json", "quiet")`)
}

// LimitRate declares the option of how fast blobs are sent, of a command that has no
// other [Settings] on its command line.
func LimitRate(flags *pflag.FlagSet) { flags.Var(new(byteRate), "limit-rate", limitRateUsage) }

const limitRateUsage = `Send no faster than this, such as "5MB/s" (0: no limit)`

// NoClobberUsage is said of the option in every command that has it.
const NoClobberUsage = "Move no tag: fail, and send nothing, where one exists with another digest"

// NoAttestationsUsage is said of the option in every command that has it.
const NoAttestationsUsage = "Leave out what BuildKit puts beside an image (provenance, SBOM)"

// PerCall are the options that belong to one call, and are set nowhere else.
var PerCall = map[string]bool{
	"to": true, "tag": true, "all-tags": true, "all-images": true, "compose": true, "bake": true, "image": true, "password-stdin": true, "dry-run": true, "json": true, "help": true,
	"format": true, "metadata-file": true, "digest-file": true, "annotation": true,
}

// Fields are the fields of a registry in the configuration file that set an
// option.
var Fields = map[string]string{
	"ca-file":           "caFiles",
	"cert":              "certFile",
	"key":               "keyFile",
	"insecure":          "insecure",
	"username":          "credential.username",
	"timeout":           "timeout",
	"connect-timeout":   "connectTimeout",
	"stall-timeout":     "stallTimeout",
	"jobs":              "jobs",
	"retries":           "retries",
	"chunk-size":        "chunkSize",
	"limit-rate":        "limitRate",
	"platform":          "platform",
	"compression":       "compression.algorithm",
	"compression-level": "compression.level",
	"progress":          "progress",
}

// EnvironmentVariable is the variable of an option: DOCKER_GITEA_CA_FILE for
// ca-file; empty for an option that has none.
func EnvironmentVariable(option string) string {
	if PerCall[option] {
		return ""
	}
	return "DOCKER_GITEA_" + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
}

// PushOptions are the settings that the registry's client takes.
func (s Settings) PushOptions() registry.PushOptions {
	return registry.PushOptions{
		Timeout:          s.Timeout,
		Jobs:             s.Jobs,
		ChunkSize:        int64(s.ChunkSize),
		Retries:          s.Tries(),
		Compression:      image.Compression{Algorithm: s.Compression, Level: s.Level},
		ForceCompression: s.ForceCompression,
		NoAttestations:   s.NoAttestations,
		IncludeForeign:   s.IncludeForeign,
		DryRun:           s.DryRun,
		Verify:           s.Verify,
		NoClobber:        s.NoClobber,
	}
}

// ImageOptions are the settings that say what is read of an image.
func (s Settings) ImageOptions() *image.Options {
	o := s.PushOptions()
	o.Platform = s.Platform
	return o.ImageOptions()
}

// Mode is how progress is shown.
func (s Settings) Mode() progress.Mode {
	if s.Quiet {
		return progress.ModeQuiet
	}
	return progress.Mode(s.progress)
}

// Check refuses options that do not go with each other.
func (s Settings) Check() error {
	var wrong string
	switch {
	case s.AllTags && len(s.Tags) > 0:
		wrong = "--all-tags and --tag exclude each other"
	case (s.Cert == "") != (s.Key == ""):
		wrong = "--cert and --key go together"
	case s.Insecure && s.PlainHTTP:
		wrong = "--insecure and --plain-http exclude each other: without TLS there is no certificate"
	default:
		if err := s.PushOptions().Validate(); err != nil {
			return fault.Usage(err)
		}
		if s.Platform != "" {
			if err := image.CheckPlatform(s.Platform); err != nil {
				return fault.Usage(fmt.Errorf("--platform: %w", err))
			}
		}
		return nil
	}
	return fault.Usage(errors.New(wrong))
}
