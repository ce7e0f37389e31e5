package plugin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

func (a *app) newConfigCommand() *cobra.Command {
	var format print.Format
	command := &cobra.Command{
		Use:   "config [OPTIONS] [HOST]",
		Short: "Show every option, its value, and where the value comes from",
		Long: `Show every option, its value, and where the value comes from: the command line,
the environment, a line of the configuration file, or nowhere. With HOST, show
what holds for that registry. The options of push can be given to see their
effect.`,
		Example: `  docker gitea config
  docker gitea config git.example.com
  docker gitea config --format json git.example.com`,
		Args:                  cobra.MaximumNArgs(1),
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeHosts,
		RunE: func(command *cobra.Command, args []string) error {
			found, err := a.configuration(command.Flags(), strings.Join(args, ""))
			if err != nil {
				return err
			}
			if format.IsText() {
				return printSettings(a.Stdout, found)
			}
			return format.Write(a.Stdout, found)
		},
	}
	new(options.Settings).Register(command.Flags())
	command.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = f.Name != "config-file" })
	format.Register(command.Flags())
	return command
}

// configuration is what holds for a registry, or in general if that is empty.
func (a *app) configuration(flags *pflag.FlagSet, name string) ([]options.Setting, error) {
	var host string
	if name != "" {
		var err error
		if host, err = registry.NormalizeHost(name); err != nil {
			return nil, fault.Usage(err)
		}
	}
	_, l, err := a.configured(flags, host)
	if err != nil {
		return nil, err
	}
	var s options.Settings
	resolved, err := l.Resolve(&s, host)
	if err != nil {
		return nil, err
	}
	var found []options.Setting
	for _, each := range resolved {
		if !options.PerCall[each.Option] {
			found = append(found, each)
		}
	}
	if host == "" {
		return append(found, a.hostSetting()), nil
	}
	credential, err := a.credentialSetting(s, host)
	return append(found, credential), err
}

// hostSetting is the registry of destinations that name none.
func (a *app) hostSetting() options.Setting {
	s := options.Setting{Option: "host", Value: a.Getenv("DOCKER_GITEA_HOST"), From: "DOCKER_GITEA_HOST"}
	if s.Value == "" {
		s.From = options.FromDefault
	}
	return s
}

// credentialSetting says where the credential is looked for first, and not
// what it is.
func (a *app) credentialSetting(s options.Settings, host string) (options.Setting, error) {
	inEnvironment, _, err := a.environmentCredential(host, s.Username)
	switch {
	case err != nil:
		return options.Setting{}, err
	case s.PasswordStdin:
		return options.Setting{Option: "credential", Value: "standard input", From: "--password-stdin"}, nil
	case !inEnvironment.IsZero():
		return options.Setting{Option: "credential", Value: "a token in the environment", From: inEnvironment.Origin.Name}, nil
	case s.CredentialSource != nil:
		return options.Setting{Option: "credential", Value: describeSource(*s.CredentialSource), From: s.CredentialBy}, nil
	}
	return options.Setting{Option: "credential", Value: "docker's", From: options.FromDefault}, nil
}

func describeSource(source v1alpha1.CredentialSource) string {
	switch {
	case source.Helper != "":
		return "helper docker-credential-" + source.Helper
	case source.Env != "":
		return "variable " + source.Env
	case source.File != "":
		return "file " + source.File
	}
	return "docker's in " + source.DockerConfig
}

func printSettings(w io.Writer, all []options.Setting) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "OPTION\tVALUE\tFROM")
	for _, s := range all {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", s.Option, registry.Printable(s.Value), s.From)
	}
	return table.Flush()
}

// configured reads docker's configuration, and the configuration file that flags
// or the environment name, or else the one in docker's directory, for a command
// about the registries named.
func (a *app) configured(flags *pflag.FlagSet, named ...string) (*dockerconfig.Config, options.Layers, error) {
	l := options.Layers{Flags: flags, Getenv: a.Getenv, Named: named}
	config, err := a.dockerConfig()
	if err != nil {
		return nil, l, err
	}
	path, err := l.ConfigFile()
	if err != nil {
		return nil, l, err
	}
	l.File, err = a.readConfigFile(path, config.Dir)
	return config, l, err
}

// readConfigFile reads the file called path or, if that is empty, the one in
// docker's configuration directory dir. Neither that nor the file in it need
// exist.
func (a *app) readConfigFile(path, dir string) (*options.File, error) {
	named := path != ""
	switch {
	case named:
	case dir == "":
		return nil, nil //nolint:nilnil // nil is the empty file
	default:
		path = filepath.Join(dir, options.FileName)
	}
	content, err := ownfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil //nolint:nilnil // nil is the empty file
	}
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("read configuration file: %w", err))
	}
	a.hidden.hideFile(content)
	file, err := options.ParseFile(path, content)
	if err != nil {
		return nil, fault.Usage(fault.WithHint(fmt.Errorf("read configuration file: %w", err), "docs/configuration.md has the fields of the file"))
	}
	for _, item := range file.List.Items {
		a.hidden.hideSpec(item.Spec, a.Getenv)
	}
	return file, nil
}
