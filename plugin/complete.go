package plugin

import (
	"context"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/giteaapi"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/source"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// completionPatience is how long a daemon or a registry is waited for: the shell waits
// for what it is offered. What goes wrong is silence.
const completionPatience = 2 * time.Second

// completer gives the values that an argument may have, after args.
type completer = func(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// flagValues are the values that options offer.
var flagValues = map[string][]string{
	"compression": {"gzip", "zstd", "none"},
	"format":      {print.FormatText, print.FormatJSON, print.FormatYAML},
	"link":        {linkAuto},
	"platform":    {"linux/amd64", "linux/arm64", "linux/arm/v7"},
	"print":       pullerNames(),
	"via":         {"auto", "export", "daemon"},
	"progress":    {"auto", "tty", "plain", "json", "quiet"},
}

// completeFlags makes the options of a command and those below it offer their
// values. An option that names no file offers none.
func completeFlags(command *cobra.Command) {
	for name, values := range flagValues {
		if command.Flags().Lookup(name) != nil {
			// It fails only for an option that there is not.
			_ = command.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	for _, below := range command.Commands() {
		completeFlags(below)
	}
}

// silent is the program for completion: nothing that it does may print.
func (a *app) silent() *app {
	quiet := *a
	quiet.Stderr = io.Discard
	quiet.Stdin = strings.NewReader("")
	return &quiet
}

// completePush offers the images of the daemon, or files to who begins a path,
// and then destinations, which with --to stand elsewhere.
func (a *app) completePush(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if to := command.Flags().Lookup("to"); len(args) == 0 || to != nil && to.Changed {
		if strings.HasPrefix(typed, ".") || strings.HasPrefix(typed, "/") {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return a.silent().localImages(command.Context()), cobra.ShellCompDirectiveDefault
	}
	found, directive := a.completeRemote(depthImage)(command, nil, typed)
	// Under an owner, the name that the image has here is the likeliest.
	if i := strings.LastIndex(typed, "/"); strings.Count(typed, "/") == 2 && i > 0 {
		name := strings.ToLower(path.Base(strings.TrimPrefix(args[0], source.DaemonPrefix)))
		if !slices.Contains(found, typed[:i+1]+name) && source.Parse(args[0], source.IsLayout).Kind == source.Daemon {
			found = append(found, typed[:i+1]+name)
		}
	}
	return found, directive
}

func (a *app) localImages(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	config, err := a.dockerConfig()
	if err != nil {
		return nil
	}
	endpoint, err := daemon.Resolve(a.globals.daemon, config, a.Getenv)
	if err != nil {
		return nil
	}
	client, err := daemon.Connect(ctx, endpoint)
	if err != nil {
		return nil
	}
	defer client.Close()
	names, _ := client.Names(ctx)
	return names
}

// knownHosts are the registries that this machine has been used with: those of
// the environment, of the configuration file, of the pinned certificates and
// of docker's logins. Docker Hub is none of ours.
func (a *app) knownHosts() []string {
	hosts := map[string]bool{}
	add := func(address string) {
		if host, err := registry.NormalizeHost(address); err == nil && !isDockerHub(host) {
			hosts[host] = true
		}
	}
	add(a.Getenv("DOCKER_GITEA_HOST"))
	if pins, err := certs.Pins(); err == nil {
		for _, pin := range pins {
			add(pin.Host)
		}
	}
	if config, err := a.dockerConfig(); err == nil {
		for _, host := range config.Hosts() {
			add(host)
		}
		if file, err := a.readConfigFile(a.Getenv("DOCKER_GITEA_CONFIG_FILE"), config.Dir); err == nil && file != nil {
			for _, item := range file.List.Items {
				add(item.Spec.URL)
			}
		}
	}
	return slices.Sorted(maps.Keys(hosts))
}

// completeHosts offers the known registries.
func (a *app) completeHosts(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.silent().knownHosts(), cobra.ShellCompDirectiveNoFileComp
}

// How deep into a registry an argument may lead.
const (
	depthOwner = iota + 1
	depthImage
	depthTag
)

// completeRemote offers the part of HOST/OWNER/NAME:TAG that is being typed,
// down to depth. Only the first argument is one.
func (a *app) completeRemote(depth int) completer {
	return func(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		quiet := a.silent()
		before, found := quiet.remoteParts(command, typed, depth)
		for i := range found {
			found[i] = before + found[i]
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if slices.ContainsFunc(found, func(s string) bool { return strings.HasSuffix(s, "/") }) {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return found, directive
	}
}

// completeRemotes is completeRemote where every argument is one.
func (a *app) completeRemotes(depth int) completer {
	return func(command *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return a.completeRemote(depth)(command, nil, typed)
	}
}

// remoteParts are the candidates for what is typed; before is the part of it that is
// decided already.
func (a *app) remoteParts(command *cobra.Command, typed string, depth int) (before string, found []string) {
	host, rest, decided := strings.Cut(typed, "/")
	if !decided {
		return "", withSlash(a.knownHosts())
	}
	ctx, cancel := context.WithTimeout(command.Context(), completionPatience)
	defer cancel()
	r, err := target.ParseRemote(host, target.Naming{})
	if err != nil || depth < depthOwner {
		return "", nil
	}
	client, err := a.connect(ctx, command.Flags(), r)
	if err != nil {
		return "", nil
	}
	owner, name, decided := strings.Cut(rest, "/")
	if !decided {
		found = owners(ctx, client)
		if depth > depthOwner {
			found = withSlash(found)
		}
		return host + "/", found
	}
	name, _, tagged := strings.Cut(name, ":")
	switch {
	case tagged && depth >= depthTag:
		found, _ = client.Tags(ctx, owner+"/"+name)
		return host + "/" + owner + "/" + name + ":", found
	case depth >= depthImage:
		images, _ := findImages(ctx, client, owner)
		for _, image := range images {
			found = append(found, image.Image)
		}
	}
	return host + "/", found
}

// owners are those that the client may push to, as far as it may ask, or else
// those whose images it may see.
func owners(ctx context.Context, client *remote.Client) []string {
	if api, err := giteaapi.Find(ctx, client); err == nil {
		if found, err := api.Owners(ctx); err == nil {
			return lower(found)
		}
	}
	names, _ := client.Repositories(ctx)
	var found []string
	for _, name := range names {
		owner, _, _ := strings.Cut(name, "/")
		found = append(found, owner)
	}
	return slices.Compact(found)
}

func lower(names []string) []string {
	for i := range names {
		names[i] = strings.ToLower(names[i])
	}
	return names
}

func withSlash(names []string) []string {
	for i := range names {
		names[i] += "/"
	}
	return names
}
