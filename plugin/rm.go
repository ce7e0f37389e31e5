package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	digest "github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

func (a *app) newRemoveCommand() *cobra.Command {
	var force bool
	command := &cobra.Command{
		Use:   "rm [OPTIONS] HOST/OWNER/NAME:TAG|@DIGEST...",
		Short: "Delete tags, or images with all of their tags",
		Long: `Delete tags from a registry, or by its digest an image with all of its tags.

It shows what it would delete, and asks. When Gitea cleans up, it deletes every
manifest and blob that no tag names any more.`,
		Example: `  docker gitea rm git.example.com/me/app:1.1 git.example.com/me/app:1.2

  # In a script
  docker gitea rm --force git.example.com/me/app:pr-17`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fault.Usage(errors.New("a HOST/OWNER/NAME:TAG is needed"))
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeRemotes(depthTag),
		RunE: func(command *cobra.Command, args []string) error {
			return a.remove(command.Context(), command.Flags(), args, force)
		},
	}
	new(options.Inquiry).Register(command.Flags())
	command.Flags().BoolVarP(&force, "force", "y", false, "Delete without a question")
	return command
}

// doomed is one thing to delete.
type doomed struct {
	target.Remote
	client *remote.Client
	digest digest.Digest
	// tags are those that a digest takes with it.
	tags []string
}

func (d doomed) String() string {
	switch {
	case !d.ByDigest():
		return fmt.Sprintf("%s (%s)", d.Remote, d.digest)
	case len(d.tags) == 0:
		return d.Remote.String() + ", which has no tag"
	}
	return fmt.Sprintf("%s with all of its tags: %s", d.Remote, strings.Join(d.tags, ", "))
}

// remove finds everything before it deletes anything, so that a mistyped name
// stops the rest.
func (a *app) remove(ctx context.Context, flags *pflag.FlagSet, args []string, force bool) error {
	remotes, err := a.parseImages(ctx, args)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(remotes, func(r target.Remote) bool { return r.Reference == "" }); i >= 0 {
		return fault.Usage(fault.WithHint(fmt.Errorf("%s has neither tag nor digest", remotes[i]), "docker gitea ls "+remotes[i].Familiar()))
	}
	clients := map[string]*remote.Client{}
	var all []doomed
	for _, r := range remotes {
		if clients[r.Host] == nil {
			if clients[r.Host], err = a.connect(ctx, flags, r, remotes...); err != nil {
				return err
			}
		}
		done := a.asking(r.Host)
		found, err := lookUp(ctx, clients[r.Host], r)
		done()
		if err != nil {
			return imageFailure(r, err)
		}
		all = append(all, found)
	}
	if !force {
		if err := a.confirmRemoval(ctx, all); err != nil {
			return err
		}
	}
	return a.removeAll(ctx, all)
}

// lookUp finds what is to be deleted.
func lookUp(ctx context.Context, client *remote.Client, r target.Remote) (doomed, error) {
	d := doomed{Remote: r, client: client}
	var err error
	if d.digest, err = client.ManifestDigest(ctx, r.Repository(), r.Reference); err != nil || !r.ByDigest() {
		return d, err
	}
	d.tags, err = tagsOf(ctx, client, r.Repository(), d.digest)
	return d, err
}

// tagsOf are the tags of a repository that are the manifest of a digest.
func tagsOf(ctx context.Context, client *remote.Client, repository string, wanted digest.Digest) ([]string, error) {
	tags, err := client.Tags(ctx, repository)
	if err != nil {
		return nil, err
	}
	digests := make([]digest.Digest, len(tags))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for i, tag := range tags {
		group.Go(func() (err error) {
			digests[i], err = client.ManifestDigest(ctx, repository, tag)
			if errors.Is(err, registry.ErrManifestUnknown) { // deleted meanwhile
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var found []string
	for i, tag := range tags {
		if digests[i] == wanted {
			found = append(found, tag)
		}
	}
	return found, nil
}

func (a *app) confirmRemoval(ctx context.Context, all []doomed) error {
	_, _ = fmt.Fprintln(a.Stderr, "This deletes")
	for _, d := range all {
		_, _ = fmt.Fprintf(a.Stderr, "  %s\n", d)
	}
	err := a.confirm(ctx, "Delete? [y/N] ", "--force deletes without a question")
	if errors.Is(err, errNo) {
		return errors.New("nothing was deleted")
	}
	return err
}

// removeAll deletes one after another, and goes on after a failure.
func (a *app) removeAll(ctx context.Context, all []doomed) error {
	var errs []error
	for _, d := range all {
		done := a.asking(d.Host)
		err := d.client.Delete(ctx, d.Repository(), d.Reference)
		done()
		if errors.Is(err, registry.ErrManifestUnknown) {
			err = nil // it was there: an answer was lost, or something else deleted it
		}
		if err != nil {
			errs = append(errs, removalFailure(d, err))
			continue
		}
		if _, err := fmt.Fprintf(a.Stdout, "Deleted: %s\n", d.Remote); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

func removalFailure(d doomed, err error) error {
	if !errors.Is(err, registry.ErrUnsupported) {
		return imageFailure(d.Remote, err)
	}
	hint := "the registry does not delete at all; the distribution registry does with REGISTRY_STORAGE_DELETE_ENABLED=true"
	if !d.ByDigest() {
		hint = fmt.Sprintf("many registries delete by digest alone, with all tags that it has: docker gitea rm %s@%s", d.Familiar(), d.digest)
	}
	return fault.WithHint(fmt.Errorf("%s: %w", d.Remote, err), hint)
}
