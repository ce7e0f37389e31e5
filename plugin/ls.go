package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	digest "github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/giteaapi"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// imageList is what `ls` prints of a registry or of an owner.
type imageList struct {
	Host   string      `json:"host"`
	Owner  string      `json:"owner,omitempty"`
	Images []imageItem `json:"images"`
}

// imageItem is an image of a registry. All but Image are left out where the
// registry does not tell.
type imageItem struct {
	// Image is "owner/name".
	Image string `json:"image"`
	// Tags is how many there are.
	Tags *int `json:"tags,omitempty"`
	// Pushed is when one of them was set last.
	Pushed *time.Time `json:"pushed,omitempty"`
	// Repository is what the image is linked to, "owner/repository".
	Repository string `json:"repository,omitempty"`
}

// tagList is what `ls` prints of an image.
type tagList struct {
	Host       string    `json:"host"`
	Image      string    `json:"image"`
	Repository string    `json:"repository,omitempty"`
	Tags       []tagItem `json:"tags"`
}

// tagItem is a tag of an image.
type tagItem struct {
	Tag       string        `json:"tag"`
	Digest    digest.Digest `json:"digest"`
	MediaType string        `json:"mediaType"`
	// Size is the bytes of all that the tag leads to, each blob once.
	Size int64 `json:"size"`
	// Platforms are those of an index.
	Platforms []string   `json:"platforms,omitempty"`
	Pushed    *time.Time `json:"pushed,omitempty"`
}

func (a *app) newListCommand() *cobra.Command {
	var format print.Format
	var quiet bool
	command := &cobra.Command{
		Use:   "ls [OPTIONS] HOST[/OWNER[/NAME]]",
		Short: "List the images of a registry, or the tags of an image",
		Long: `List the images of a registry or of an owner, or the tags of an image.

Gitea and Forgejo also tell when a tag was pushed, and which repository an
image is linked to. A template is filled in for each image or tag.`,
		Example: `  docker gitea ls git.example.com/me
  docker gitea ls git.example.com/me/app
  docker gitea ls --format json git.example.com/me/app
  docker gitea ls --format '{{.Tag}} {{.Digest}}' git.example.com/me/app`,
		Args:                  cobra.MaximumNArgs(1),
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeRemote(depthImage),
		RunE: func(command *cobra.Command, args []string) error {
			return a.list(command.Context(), command.Flags(), strings.Join(args, ""), &format, quiet)
		},
	}
	new(options.Inquiry).Register(command.Flags())
	format.Register(command.Flags())
	command.Flags().BoolVarP(&quiet, "quiet", "q", false, "Print only the names")
	return command
}

func (a *app) list(ctx context.Context, flags *pflag.FlagSet, arg string, format *print.Format, quiet bool) error {
	names, err := a.naming(ctx)
	if err != nil {
		return err
	}
	if arg == "" && names.Host == "" {
		return fault.Usage(errors.New("a HOST is needed, or DOCKER_GITEA_HOST"))
	}
	r, err := target.ParseRemote(arg, names)
	switch {
	case err != nil:
		return err
	case r.Reference != "":
		return fault.Usage(fault.WithHint(fmt.Errorf("%s is one version of an image", r), "docker gitea ls "+r.Familiar()+" lists them all"))
	case quiet && !format.IsText():
		return fault.Usage(errors.New("--quiet and --format exclude each other"))
	}
	client, err := a.connect(ctx, flags, r)
	if err != nil {
		return err
	}
	defer a.asking(r.Host)()
	if r.Name != "" {
		return a.listTags(ctx, client, r, format, quiet)
	}
	return a.listImages(ctx, client, r, format, quiet)
}

func (a *app) listImages(ctx context.Context, client *remote.Client, r target.Remote, format *print.Format, quiet bool) error {
	items, err := findImages(ctx, client, r.Owner)
	switch {
	case err != nil:
		return err
	case quiet:
		for _, item := range items {
			if _, err := fmt.Fprintf(a.Stdout, "%s/%s\n", r.Host, item.Image); err != nil {
				return err
			}
		}
		return nil
	case format.IsTemplate():
		return writeEach(a, format, items)
	case !format.IsText():
		return format.Write(a.Stdout, imageList{Host: r.Host, Owner: r.Owner, Images: items})
	}
	if len(items) == 0 {
		_, err := fmt.Fprintln(a.Stderr, "no images that you can see")
		return err
	}
	rows := [][]string{{"IMAGE", "TAGS", "PUSHED", "LINKED TO"}}
	for _, item := range items {
		tags := ""
		if item.Tags != nil {
			tags = strconv.Itoa(*item.Tags)
		}
		rows = append(rows, []string{item.Image, tags, ago(item.Pushed), item.Repository})
	}
	return print.Table(a.Stdout, withoutEmptyColumns(rows))
}

// findImages asks Gitea's API about an owner, and the registry about all or
// where there is no such API.
func findImages(ctx context.Context, client *remote.Client, owner string) ([]imageItem, error) {
	if owner != "" {
		versions, err := askVersions(ctx, client, owner, "")
		if err == nil {
			return gather(owner, versions), nil
		}
		if !isUnhelpful(err) {
			return nil, err
		}
	}
	names, err := client.Repositories(ctx)
	if err != nil {
		return nil, err
	}
	items := []imageItem{}
	for _, name := range names {
		if owner == "" || name == owner || strings.HasPrefix(name, owner+"/") {
			items = append(items, imageItem{Image: name})
		}
	}
	return items, nil
}

// askVersions asks Gitea's API for the versions of one image, or of all that
// the owner has.
func askVersions(ctx context.Context, client *remote.Client, owner, name string) ([]giteaapi.Version, error) {
	api, err := giteaapi.Find(ctx, client)
	if err != nil {
		return nil, err
	}
	return api.Versions(ctx, owner, name)
}

// isUnhelpful reports an API that is not there, or does not answer this
// client: the registry itself may, and if not, it knows why.
func isUnhelpful(err error) bool {
	_, answered := errors.AsType[*giteaapi.Error](err)
	return answered || errors.Is(err, giteaapi.ErrNone)
}

// gather makes a list of images of a list of versions, sorted by name.
func gather(owner string, versions []giteaapi.Version) []imageItem {
	byName := map[string]*imageItem{}
	for _, v := range versions {
		item := byName[v.Name]
		if item == nil {
			item = &imageItem{Image: owner + "/" + v.Name, Tags: new(int), Repository: v.Linked()}
			byName[v.Name] = item
		}
		if !isTag(v.Version) {
			continue
		}
		*item.Tags++
		if item.Pushed == nil || item.Pushed.Before(v.Created) {
			item.Pushed = &v.Created
		}
	}
	items := []imageItem{}
	for _, item := range byName {
		items = append(items, *item)
	}
	slices.SortFunc(items, func(a, b imageItem) int { return strings.Compare(a.Image, b.Image) })
	return items
}

// isTag tells a tag from the digest that Gitea calls a manifest without a tag.
func isTag(version string) bool { return !strings.Contains(version, ":") }

func (a *app) listTags(ctx context.Context, client *remote.Client, r target.Remote, format *print.Format, quiet bool) error {
	tags, err := client.Tags(ctx, r.Repository())
	if err != nil {
		return imageFailure(r, err)
	}
	if quiet {
		for _, tag := range tags {
			if _, err := fmt.Fprintf(a.Stdout, "%s:%s\n", r.Familiar(), tag); err != nil {
				return err
			}
		}
		return nil
	}
	list := tagList{Host: r.Host, Image: r.Repository()}
	if list.Tags, err = describeTags(ctx, client, r.Repository(), tags); err != nil {
		return err
	}
	versions, err := askVersions(ctx, client, r.Owner, r.Name)
	if err != nil && !isUnhelpful(err) {
		return err
	}
	list.add(versions)
	switch {
	case format.IsTemplate():
		return writeEach(a, format, list.Tags)
	case !format.IsText():
		return format.Write(a.Stdout, list)
	}
	return a.printTags(list)
}

// imageFailure names the image that the registry has not.
func imageFailure(r target.Remote, err error) error {
	switch {
	case errors.Is(err, registry.ErrRepositoryUnknown):
		return fault.WithHint(fmt.Errorf("no image %s in %s: %w", r.Repository(), r.Host, err), "docker gitea ls "+r.Host+"/"+r.Owner)
	case errors.Is(err, registry.ErrManifestUnknown):
		return fault.WithHint(fmt.Errorf("no %s: %w", r, err), "docker gitea ls "+r.Familiar())
	}
	return fmt.Errorf("%s: %w", r, err)
}

// lookups is how many manifests are asked for side by side.
const lookups = 8

// describeTags looks at the manifests of tags. A tag that is deleted meanwhile
// is left out.
func describeTags(ctx context.Context, client *remote.Client, repository string, tags []string) ([]tagItem, error) {
	items := make([]tagItem, len(tags))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for i, tag := range tags {
		group.Go(func() error {
			item, err := describeTag(ctx, client, repository, tag)
			if err == nil {
				items[i] = item
			}
			if errors.Is(err, registry.ErrManifestUnknown) {
				return nil
			}
			return err
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(items, func(item tagItem) bool { return item.Tag == "" }), err
}

func describeTag(ctx context.Context, client *remote.Client, repository, tag string) (tagItem, error) {
	root, err := client.Manifest(ctx, repository, tag)
	if err != nil {
		return tagItem{}, err
	}
	item := tagItem{Tag: tag, Digest: root.Descriptor.Digest, MediaType: registry.Printable(root.Descriptor.MediaType)}
	blobs := map[digest.Digest]int64{item.Digest: root.Descriptor.Size}
	if err := collect(ctx, client, repository, root, blobs); err != nil {
		return tagItem{}, err
	}
	for _, d := range root.References {
		if p := d.Platform; p != nil && p.OS != "" && p.OS != "unknown" {
			item.Platforms = append(item.Platforms, registry.Printable(strings.Trim(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")))
		}
	}
	for _, size := range blobs {
		item.Size += size
	}
	return item, nil
}

// collect adds what a manifest names to blobs, and what the manifests of an
// index name. One that the registry lacks counts by itself.
func collect(ctx context.Context, client *remote.Client, repository string, m image.Manifest, blobs map[digest.Digest]int64) error {
	for _, d := range m.References {
		_, seen := blobs[d.Digest]
		blobs[d.Digest] = d.Size
		if seen || !isManifest(d.MediaType) {
			continue
		}
		child, err := client.Manifest(ctx, repository, d.Digest.String())
		if errors.Is(err, registry.ErrManifestUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		for _, d := range child.References {
			blobs[d.Digest] = d.Size
		}
	}
	return nil
}

func isManifest(mediaType string) bool {
	return strings.Contains(mediaType, ".manifest.") || strings.Contains(mediaType, ".index.")
}

// add puts in what Gitea's API knows beside the registry.
func (l *tagList) add(versions []giteaapi.Version) {
	for _, v := range versions {
		l.Repository = v.Linked()
		for i := range l.Tags {
			if l.Tags[i].Tag == v.Version {
				l.Tags[i].Pushed = &v.Created
			}
		}
	}
}

func (a *app) printTags(list tagList) error {
	rows := [][]string{{"TAG", "DIGEST", "SIZE", "PUSHED", "PLATFORMS"}}
	for _, t := range list.Tags {
		platforms := strings.Join(t.Platforms, ", ")
		if len(t.Platforms) > 2 {
			platforms = strconv.Itoa(len(t.Platforms)) + " platforms"
		}
		rows = append(rows, []string{
			t.Tag, t.Digest.Encoded()[:12], humanize.Bytes(uint64(max(t.Size, 0))), ago(t.Pushed), platforms,
		})
	}
	if err := print.Table(a.Stdout, withoutEmptyColumns(rows)); err != nil || list.Repository == "" {
		return err
	}
	_, err := fmt.Fprintf(a.Stdout, "\nlinked to %s\n", list.Repository)
	return err
}

// ago is a time as docker shows it: "2 hours ago".
func ago(t *time.Time) string {
	if t == nil {
		return ""
	}
	return humanize.Time(*t)
}

// withoutEmptyColumns leaves out columns that have nothing but a title.
func withoutEmptyColumns(rows [][]string) [][]string {
	for i := len(rows[0]) - 1; i > 0; i-- {
		if !slices.ContainsFunc(rows[1:], func(row []string) bool { return row[i] != "" }) {
			for j := range rows {
				rows[j] = slices.Delete(rows[j], i, i+1)
			}
		}
	}
	return rows
}

// writeEach fills in a template for each item.
func writeEach[T any](a *app, format *print.Format, items []T) error {
	for _, item := range items {
		if err := format.Write(a.Stdout, item); err != nil {
			return err
		}
	}
	return nil
}
