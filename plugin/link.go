package plugin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/giteaapi"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/progress"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

func (a *app) newLinkCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "link [OPTIONS] HOST/OWNER/NAME OWNER/REPOSITORY|auto",
		Short: "Link an image to the repository that it is built from",
		Long: `Link an image to the repository that it is built from. In Gitea, the page of the
image then shows the repository, and the page of the repository the image. Both
must have the same owner.

"auto" takes the repository from the image's label or annotation
org.opencontainers.image.source, or else from the git remotes of the current
directory.`,
		Example: `  docker gitea link git.example.com/me/app me/shop`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fault.Usage(errors.New("an image HOST/OWNER/NAME and a repository are needed"))
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		ValidArgsFunction: func(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return []string{linkAuto}, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeRemote(depthImage)(command, args, typed)
		},
		RunE: func(command *cobra.Command, args []string) error {
			return a.linkCommand(command.Context(), command.Flags(), args[0], args[1])
		},
	}
	new(options.Inquiry).Register(command.Flags())
	return command
}

func (a *app) newUnlinkCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "unlink [OPTIONS] HOST/OWNER/NAME",
		Short:   "Remove the link between an image and its repository",
		Example: `  docker gitea unlink git.example.com/me/app`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.Usage(errors.New("one HOST/OWNER/NAME is needed"))
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeRemote(depthImage),
		RunE: func(command *cobra.Command, args []string) error {
			return a.unlinkCommand(command.Context(), command.Flags(), args[0])
		},
	}
	new(options.Inquiry).Register(command.Flags())
	return command
}

func (a *app) linkCommand(ctx context.Context, flags *pflag.FlagSet, arg, repository string) error {
	images, err := a.parseImages(ctx, []string{arg})
	if err != nil {
		return err
	}
	r := images[0]
	if err := checkLink(r, repository); err != nil {
		return err
	}
	client, err := a.connect(ctx, flags, r)
	if err != nil {
		return err
	}
	defer a.asking(r.Host)()
	linked := link(ctx, client, r, repository)
	if linked.Err != nil {
		return linked.Err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s: %s\n", r.Familiar(), linked)
	return err
}

func (a *app) unlinkCommand(ctx context.Context, flags *pflag.FlagSet, arg string) error {
	images, err := a.parseImages(ctx, []string{arg})
	if err != nil {
		return err
	}
	r := images[0]
	client, err := a.connect(ctx, flags, r)
	if err != nil {
		return err
	}
	defer a.asking(r.Host)()
	api, err := giteaapi.Find(ctx, client)
	if err != nil {
		return noAPI(err)
	}
	done := "no longer linked"
	err = api.Unlink(ctx, r.Owner, r.Name)
	if hasStatus(err, http.StatusBadRequest) {
		done, err = "not linked", nil
	}
	if err != nil {
		return linkFailure(ctx, api, r, "", err)
	}
	_, err = fmt.Fprintf(a.Stdout, "%s: %s\n", r.Familiar(), done)
	return err
}

// repositoryName is what a repository may be called.
//
// Source: Gitea 1.26 models/repo/repo.go, IsUsableRepoName.
var repositoryName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// linkAuto stands for the repository that the image or the current directory
// names.
const linkAuto = "auto"

// checkLink refuses what Gitea would. A repository without an owner is of the
// image's; none at all is no link.
func checkLink(r target.Remote, repository string) error {
	owner, name := splitRepository(r, repository)
	switch {
	case repository == "", repository == linkAuto:
		return nil
	case !repositoryName.MatchString(name):
		return fault.Usage(fmt.Errorf("%q is not OWNER/REPOSITORY", repository))
	case !strings.EqualFold(owner, r.Owner):
		return fault.Usage(fault.WithHint(fmt.Errorf("%s cannot be linked to %s: they have different owners", r.Familiar(), repository),
			"Gitea links an image only to a repository of its own owner"))
	}
	return nil
}

func splitRepository(r target.Remote, repository string) (owner, name string) {
	owner, name, found := strings.Cut(repository, "/")
	if !found {
		return r.Owner, repository
	}
	return owner, name
}

// link links an image to a repository, or to the one that is found by
// [linkAuto].
func link(ctx context.Context, client *remote.Client, r target.Remote, repository string) print.Linked {
	api, err := giteaapi.Find(ctx, client)
	if err != nil {
		return print.Linked{Err: noAPI(err)}
	}
	if repository == linkAuto {
		if repository, err = findRepository(ctx, client, r); err != nil {
			return print.Linked{Err: err}
		}
	}
	owner, name := splitRepository(r, repository)
	repository = owner + "/" + name
	err = api.Link(ctx, r.Owner, r.Name, name)
	switch {
	case err == nil:
		return print.Linked{Repository: repository}
	case hasStatus(err, http.StatusBadRequest):
		return linkedAlready(ctx, api, r, repository, err)
	}
	return print.Linked{Err: linkFailure(ctx, api, r, repository, err)}
}

// linkPushed does what --link asks for. That it fails is a warning: the image
// is where it should be.
func (p *pusher) linkPushed(ctx context.Context, client *remote.Client, t target.Target, display progress.Display) print.Linked {
	s := p.plan.settings[t.Host]
	if s.Link == "" {
		return print.Linked{}
	}
	linked := link(ctx, client, t.Remote(), s.Link)
	switch {
	case linked.Err != nil && s.Mode() == progress.ModeJSON:
		display.Event(registry.Event{Note: "warning: pushed, but not linked: " + fault.Explain(linked.Err).String()})
	case linked.Err != nil:
		p.complain("warning", "pushed, but not linked: "+linked.Err.Error())
		p.complain("hint", fault.Diagnose(linked.Err).Hint)
	default:
		display.Event(registry.Event{Note: t.Familiar() + ": " + linked.String()})
	}
	return linked
}

// linkedAlready succeeds if the image is linked to that repository.
func linkedAlready(ctx context.Context, api *giteaapi.Client, r target.Remote, repository string, err error) print.Linked {
	versions, listErr := api.Versions(ctx, r.Owner, r.Name)
	if listErr != nil {
		return print.Linked{Err: errors.Join(err, listErr)}
	}
	linked := print.Linked{Already: true}
	for _, v := range versions {
		if v.Linked() != "" {
			linked.Repository = v.Linked()
		}
	}
	if !strings.EqualFold(linked.Repository, repository) {
		other := cmp.Or(linked.Repository, "a repository that you may not see")
		linked.Err = fault.WithHint(fmt.Errorf("%s is linked already, to %s", r.Familiar(), other), "docker gitea unlink "+r.Familiar())
	}
	return linked
}

// linkFailure says what the API's answer means.
//
// Source: Gitea 1.26 routers/api/v1/packages/package.go, LinkPackage.
func linkFailure(ctx context.Context, api *giteaapi.Client, r target.Remote, repository string, err error) error {
	switch {
	case giteaapi.Unknown(err):
		return fault.WithHint(fmt.Errorf("%s links packages on their pages alone: %w", r.Host, err), "docker gitea open "+r.Familiar()+", and link it in the settings there")
	case giteaapi.NotFound(err):
		versions, listErr := api.Versions(ctx, r.Owner, r.Name)
		if listErr == nil && len(versions) > 0 && strings.Contains(r.Name, "/") && giteaapi.NoPackage(err) {
			return fault.WithHint(fmt.Errorf("%s links images whose name has a slash on their pages alone, as Forgejo 11 to 14 do: %w", r.Host, err), "docker gitea open "+r.Familiar()+", and link it in the settings there")
		}
		if listErr == nil && len(versions) > 0 && repository != "" {
			return fault.WithHint(fmt.Errorf("there is no repository %s: %w", repository, err), "is it spelled right, and may you see it?")
		}
		return fault.WithHint(fmt.Errorf("there is no image %s: %w", r.Familiar(), err), "docker gitea ls "+r.Host+"/"+r.Owner)
	case errors.Is(err, registry.ErrUnauthorized):
		return fault.WithHint(err, "docker login "+r.Host)
	case errors.Is(err, registry.ErrDenied):
		return fault.WithHint(err, "a token needs the scope write:package, and you the right to write the packages of the repository")
	}
	return err
}

func hasStatus(err error, status int) bool {
	answer, ok := errors.AsType[*giteaapi.Error](err)
	return ok && answer.Status == status
}

// sourceLabel is the label of an image, or the annotation of its manifest, with
// the address of what it is built from (OCI image specification, annotations).
const sourceLabel = "org.opencontainers.image.source"

// findRepository is the repository that an image belongs to: the one that the
// image itself names, or one that the current directory is a clone of. What
// is on another host or has another owner is passed by: images inherit the
// labels of what they are built on.
func findRepository(ctx context.Context, client *remote.Client, r target.Remote) (string, error) {
	label, err := sourceOf(ctx, client, r)
	if err != nil {
		return "", err
	}
	for _, address := range append([]string{label}, gitRemotes(ctx)...) {
		if repository := repositoryOf(address, r); repository != "" {
			return repository, nil
		}
	}
	return "", fault.WithHint(fmt.Errorf("neither the label %s nor a git remote of this directory names a repository of %s on %s", sourceLabel, r.Owner, r.Host),
		"name it: OWNER/REPOSITORY")
}

// sourceOf is the address of its source that an image names, or nothing. Of an
// index it is that of the first image.
func sourceOf(ctx context.Context, client *remote.Client, r target.Remote) (string, error) {
	reference := r.Reference
	if reference == "" {
		tags, err := client.Tags(ctx, r.Repository())
		if err != nil || len(tags) == 0 {
			return "", err
		}
		reference = tags[len(tags)-1]
	}
	for range 2 { // an index, and one of its images
		m, err := client.Manifest(ctx, r.Repository(), reference)
		if err != nil {
			return "", imageFailure(r, err)
		}
		var document struct {
			Annotations map[string]string `json:"annotations"`
		}
		if err := json.Unmarshal(m.Data, &document); err != nil {
			return "", err
		}
		if source := document.Annotations[sourceLabel]; source != "" {
			return source, nil
		}
		first := firstReference(m)
		if !isManifest(first.MediaType) {
			return labelOf(ctx, client, r, first)
		}
		reference = first.Digest.String()
	}
	return "", nil
}

// firstReference is the first image of an index, or the config of an image.
func firstReference(m image.Manifest) ocispec.Descriptor {
	for _, d := range m.References {
		if d.Platform == nil || d.Platform.OS != "unknown" {
			return d
		}
	}
	return ocispec.Descriptor{}
}

// labelOf is the label in an image's config.
func labelOf(ctx context.Context, client *remote.Client, r target.Remote, config ocispec.Descriptor) (string, error) {
	if config.Digest == "" {
		return "", nil
	}
	data, err := client.Config(ctx, r.Repository(), config.Digest)
	if err != nil {
		return "", err
	}
	var document struct {
		Config struct {
			Labels map[string]string `json:"Labels"` //nolint:tagliatelle // docker's spelling
		} `json:"config"`
	}
	if json.Unmarshal(data, &document) != nil {
		return "", nil //nolint:nilerr // the config of something that is no image has no labels
	}
	return document.Config.Labels[sourceLabel], nil
}

// gitRemotes are the addresses of the remotes of the repository that the
// current directory is in, origin's first; none where there is no such, or no
// git.
func gitRemotes(ctx context.Context) []string {
	out, err := exec.CommandContext(ctx, "git", "config", "--get-regexp", `^remote\..*\.url$`).Output()
	if err != nil {
		return nil
	}
	var addresses []string
	for line := range strings.Lines(string(out)) {
		name, address, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "remote.origin.url" {
			addresses = slices.Insert(addresses, 0, address)
			continue
		}
		addresses = append(addresses, address)
	}
	return addresses
}

// repositoryOf is the "owner/repository" that an address leads to, if it is on
// the registry's host and of the image's owner: https://HOST[:PORT]/…/O/R[.git],
// ssh://git@HOST/O/R.git or git@HOST:O/R.git. Ports differ between git and the
// registry.
func repositoryOf(address string, r target.Remote) string {
	if !strings.Contains(address, "://") {
		userHost, path, _ := strings.Cut(address, ":")
		address = "ssh://" + userHost + "/" + strings.TrimPrefix(path, "/")
	}
	u, err := url.Parse(address)
	if err != nil || !strings.EqualFold(u.Hostname(), (&url.URL{Host: r.Host}).Hostname()) {
		return ""
	}
	parts := strings.Split(strings.Trim(strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), ".git"), "/"), "/")
	if len(parts) < 2 {
		return ""
	}
	repository := strings.Join(parts[len(parts)-2:], "/")
	if checkLink(r, repository) != nil {
		return ""
	}
	return repository
}
