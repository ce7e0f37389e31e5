package plugin

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/progress"
	"github.com/docker-gitea/docker-gitea/plugin/source"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/transport"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// connection are the options of every command that talks to a registry.
type connection struct {
	configFile     string
	caFiles        []string
	cert, key      string
	insecure       bool
	plainHTTP      bool
	username       string
	passwordStdin  bool
	connectTimeout time.Duration
	stallTimeout   time.Duration

	// The configuration file alone sets these.
	caData           string
	credentialSource *v1alpha1.CredentialSource
	credentialBy     string // the line of the file
}

func (c *connection) register(flags *pflag.FlagSet) {
	flags.StringVar(&c.configFile, "config-file", "", "Configuration file (default: gitea.yaml beside docker's config.json)")
	flags.StringArrayVar(&c.caFiles, "ca-file", nil, "Trust the certificate authorities in this PEM file; may be repeated")
	flags.StringVar(&c.cert, "cert", "", "Client certificate (PEM file)")
	flags.StringVar(&c.key, "key", "", "Key of the client certificate (PEM file)")
	flags.BoolVar(&c.insecure, "insecure", false, "Accept any TLS certificate from the registry")
	flags.BoolVar(&c.plainHTTP, "plain-http", false, "Talk to the registry without TLS")
	flags.StringVarP(&c.username, "username", "u", "", "User name for the registry")
	flags.BoolVar(&c.passwordStdin, "password-stdin", false, "Read the password or token from standard input")
	flags.DurationVar(&c.connectTimeout, "connect-timeout", transport.DefaultConnectTimeout, "Give up connecting to the registry after this time")
	flags.DurationVar(&c.stallTimeout, "stall-timeout", transport.DefaultStallTimeout, "Give up a connection on which nothing moves for this time")
}

func (c *connection) fromFile(e entry) {
	c.caData = e.caData()
	c.credentialSource, c.credentialBy = e.credential()
}

// inquiry are the options of commands that ask a registry for something, and
// again when it fails for now.
type inquiry struct {
	connection
	retries int
}

func (i *inquiry) register(flags *pflag.FlagSet) {
	i.connection.register(flags)
	flags.IntVar(&i.retries, "retries", registry.DefaultRetries, "How often to try a failed step again")
}

// tries is the number of retries as the registry's client takes it, for which
// zero means the default.
func (i inquiry) tries() int {
	if i.retries == 0 {
		return -1
	}
	return i.retries
}

// settings are the options of a push.
type settings struct {
	inquiry
	tags        []string
	allTags     bool
	platform    string
	image       string
	timeout     time.Duration
	jobs        int
	chunkSize   byteSize
	compression string
	level       int
	quiet       bool
	dryRun      bool
	verify      bool
	progress    progressMode
	via         via
	link        string
}

// register declares the options with their defaults. This is the one place
// where an option is defined; [perCall] and [fields] say where else it can be
// set, and the documentation is made from all three.
func (s *settings) register(flags *pflag.FlagSet) {
	flags.SortFlags = true
	s.inquiry.register(flags)
	flags.StringArrayVarP(&s.tags, "tag", "t", nil, "Set this tag as well; may be repeated")
	flags.BoolVarP(&s.allTags, "all-tags", "a", false, "Push all tags that the daemon has of SOURCE")
	flags.StringVar(&s.platform, "platform", "", "Push only this platform of an index (os/arch[/variant])")
	flags.StringVar(&s.image, "image", "", "Name of the image to take from a file that holds several")
	flags.DurationVar(&s.timeout, "timeout", 0, "Give up after this time, of all pushes together (0: never)")
	flags.IntVar(&s.jobs, "jobs", registry.DefaultJobs, "Number of layers to send side by side")
	flags.Var(&s.chunkSize, "chunk-size", `Largest request body, such as "90MB" (0: no limit)`)
	flags.StringVar(&s.compression, "compression", "gzip", `How to send layers that are not compressed yet ("gzip", "zstd", "none")`)
	flags.IntVar(&s.level, "compression-level", 0, "Level of the compression (0: its default)")
	flags.BoolVarP(&s.quiet, "quiet", "q", false, "Print only the pushed references")
	flags.BoolVar(&s.dryRun, "dry-run", false, "Say what would be sent, and send nothing")
	flags.BoolVar(&s.verify, "verify", false, "Look at everything that the tags lead to, and send what the registry lacks")
	s.via = viaAuto
	flags.Var(&s.via, "via", `How an image leaves the docker daemon ("auto", "export", "daemon")`)
	flags.StringVar(&s.link, "link", "", `Link the image to this repository of its owner afterwards ("auto": find it)`)
	s.progress = progressMode(progress.ModeAuto)
	flags.Var(&s.progress, "progress", `How to show progress ("auto", "tty", "plain", "json", "quiet")`)
}

// perCall are the options that belong to one call, and are set nowhere else.
var perCall = map[string]bool{
	"tag": true, "all-tags": true, "image": true, "password-stdin": true, "dry-run": true, "json": true, "help": true,
	"format": true, "metadata-file": true, "digest-file": true, "annotation": true,
}

// fields are the fields of a registry in the configuration file that set an
// option.
var fields = map[string]string{
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
	"platform":          "platform",
	"compression":       "compression.algorithm",
	"compression-level": "compression.level",
	"progress":          "progress",
}

// environmentVariable is the variable of an option: DOCKER_GITEA_CA_FILE for
// ca-file; empty for an option that has none.
func environmentVariable(option string) string {
	if perCall[option] {
		return ""
	}
	return "DOCKER_GITEA_" + strings.ToUpper(strings.ReplaceAll(option, "-", "_"))
}

// pushOptions are the settings that the registry's client takes.
func (s settings) pushOptions() registry.PushOptions {
	return registry.PushOptions{
		Timeout:     s.timeout,
		Jobs:        s.jobs,
		ChunkSize:   int64(s.chunkSize),
		Retries:     s.tries(),
		Compression: image.Compression{Algorithm: s.compression, Level: s.level},
		DryRun:      s.dryRun,
		Verify:      s.verify,
	}
}

// mode is how progress is shown.
func (s settings) mode() progress.Mode {
	if s.quiet {
		return progress.ModeQuiet
	}
	return progress.Mode(s.progress)
}

// check refuses options that do not go with the source or with each other.
func (s settings) check(src source.Source) error {
	var wrong string
	switch {
	case s.allTags && src.Kind != source.Daemon:
		wrong = "--all-tags is for images of the docker daemon"
	case s.allTags && target.HasTag(src.Name):
		wrong = "--all-tags wants a SOURCE without a tag"
	case s.allTags && len(s.tags) > 0:
		wrong = "--all-tags and --tag exclude each other"
	case s.image != "" && (src.Kind == source.Daemon || src.Kind == source.Registry):
		wrong = "--image chooses from a file; an image of the docker daemon or of a registry is named by SOURCE"
	case s.image != "" && src.Image != "":
		wrong = "--image and a SOURCE that names an image exclude each other"
	case s.passwordStdin && src.Kind == source.Stdin:
		wrong = "--password-stdin and an image on standard input exclude each other"
	case (s.cert == "") != (s.key == ""):
		wrong = "--cert and --key go together"
	case s.insecure && s.plainHTTP:
		wrong = "--insecure and --plain-http exclude each other: without TLS there is no certificate"
	default:
		if err := s.pushOptions().Validate(); err != nil {
			return fault.Usage(err)
		}
		return nil
	}
	return fault.Usage(errors.New(wrong))
}

// byteSize is a number of bytes, written as "90MB", "64MiB" or "1048576".
type byteSize int64

// Set implements [pflag.Value].
func (b *byteSize) Set(s string) error {
	n, err := humanize.ParseBytes(s)
	if err != nil || n > 1<<62 {
		return fmt.Errorf(`%q is no size such as "90MB" or "64MiB"`, s)
	}
	*b = byteSize(n)
	return nil
}

// String implements [pflag.Value].
func (b *byteSize) String() string { return fmt.Sprint(int64(*b)) }

// Type implements [pflag.Value].
func (b *byteSize) Type() string { return "size" }

// progressMode makes a flag of a [progress.Mode].
type progressMode progress.Mode

// Set implements [pflag.Value].
func (m *progressMode) Set(s string) error {
	mode, err := progress.ParseMode(s)
	if err == nil {
		*m = progressMode(mode)
	}
	return err
}

// String implements [pflag.Value].
func (m *progressMode) String() string { return string(*m) }

// Type implements [pflag.Value].
func (m *progressMode) Type() string { return "string" }
