package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Image is an image that the daemon has.
type Image struct {
	// ID is the digest of the config (classic store), or of the manifest or
	// index (containerd store).
	ID string `json:"Id"`
	// RepoTags are its names, in docker's short form.
	RepoTags []string `json:"RepoTags"`
	// RepoDigests are the names with the digest that the image had where it
	// came from.
	RepoDigests []string `json:"RepoDigests"`
	// Size is the bytes of the files in its layers.
	Size int64 `json:"Size"`
	// RootFS has the diff IDs of its layers, bottom first; a list of images
	// leaves them out.
	RootFS struct {
		Layers []string `json:"Layers"`
	} `json:"RootFS"`
	// Metadata has when it last got a name; a list of images leaves it out.
	Metadata struct {
		LastTagTime time.Time `json:"LastTagTime"`
	} `json:"Metadata"`
	// Manifests are what the containerd store has of it, from API 1.48 on; a
	// list of images leaves them out.
	Manifests []Manifest `json:"Manifests"`

	// Export is what to ask [Client.Save] for to get this image and no other.
	Export string `json:"-"`
}

// Manifest is one of the images, attestations and the like under a name.
type Manifest struct {
	// ID is its digest.
	ID string `json:"ID"`
	// Kind is "image" for an image.
	Kind string `json:"Kind"`
	// Available says that the daemon holds all of it.
	Available bool `json:"Available"`
	ImageData struct {
		Platform wirePlatform `json:"Platform"`
	} `json:"ImageData"`
}

// Lacks reports that the daemon does not hold all of the image, and so can
// neither push nor export it. The containerd store does not fetch what it has
// the files of already. platform is that of [Client.Save]; without one it is
// enough to hold the image for any. Before API 1.48 a daemon does not tell.
func (i Image) Lacks(platform string) bool {
	images := i.images(platform)
	return len(images) > 0 && !slices.ContainsFunc(images, func(m Manifest) bool { return m.Available })
}

// Pushed is the digest under which the content is known that the daemon gives
// for a platform, or without one: the ID of the image, but of an index the
// manifest of the one image that is for this platform, or that is all the daemon
// holds of the index. It is the ID of the image where a daemon before API 1.48
// does not tell, or where there are several.
func (i Image) Pushed(platform string) string {
	images := i.images(platform)
	if platform == "" {
		if i.whole() {
			return i.ID
		}
		images = i.available()
	}
	if len(images) != 1 || images[0].ID == "" {
		return i.ID
	}
	return images[0].ID
}

// Choices are the platforms to choose from, if one must be chosen: the daemon holds
// several images of an index, but not all that belongs to it. It would push the
// one for its own platform, without a word (moby, daemon/containerd/image_push.go,
// getPushDescriptor). Where there is nothing to choose there are none.
func (i Image) Choices() []string {
	images := i.available()
	if len(images) < 2 || i.whole() {
		return nil
	}
	var platforms []string
	for _, m := range images {
		platforms = append(platforms, m.ImageData.Platform.String())
	}
	return platforms
}

func (i Image) whole() bool {
	return !slices.ContainsFunc(i.Manifests, func(m Manifest) bool { return !m.Available })
}

// available are the images that the daemon holds completely.
func (i Image) available() []Manifest {
	return slices.DeleteFunc(i.images(""), func(m Manifest) bool { return !m.Available })
}

// images are those for a platform, or without one all, that are no attestations.
func (i Image) images(platform string) []Manifest {
	var images []Manifest
	for _, m := range i.Manifests {
		if m.Kind == "image" && (platform == "" || image.SamePlatform(m.ImageData.Platform.String(), platform)) {
			images = append(images, m)
		}
	}
	return images
}

// Origin is a repository that an image may have come from.
type Origin struct{ Host, Repository string }

// dockerHub is the domain of names without one. It is no host of a registry,
// and the one that stands for it has its token service on yet another.
const dockerHub = "docker.io"

// Origins are the repositories that the image was pulled from, or is to be
// pushed to, other than those of Docker Hub.
func (i Image) Origins() []Origin {
	var origins []Origin
	for _, name := range i.RepoDigests {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil || reference.Domain(named) == dockerHub {
			continue
		}
		origin := Origin{Host: reference.Domain(named), Repository: reference.Path(named)}
		if !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return origins
}

// CheckName refuses what no image can be called.
func CheckName(name string) error {
	if _, err := reference.ParseAnyReference(name); err != nil {
		return fmt.Errorf("image %q: %w", name, err)
	}
	return nil
}

// Image finds an image by its name, with or without a tag, or by its ID,
// which may be shortened. One that the daemon does not have is a
// [*NotFoundError].
func (c *Client) Image(ctx context.Context, name string) (Image, error) {
	if err := CheckName(name); err != nil {
		return Image{}, err
	}
	found, err := c.inspect(ctx, name)
	if err != nil {
		return Image{}, err
	}
	found.Export = exportName(name, found)
	return found, nil
}

// Listed adds to an image of [Client.Tags] what the list leaves out of what the
// daemon holds of it, where a daemon tells.
func (c *Client) Listed(ctx context.Context, listed Image) (Image, error) {
	if !c.api.atLeast(48) {
		return listed, nil
	}
	found, err := c.inspect(ctx, listed.ID)
	found.Export = listed.Export
	return found, err
}

func (c *Client) inspect(ctx context.Context, name string) (found Image, err error) {
	var query url.Values
	if c.api.atLeast(48) {
		query = url.Values{"manifests": {"1"}}
	}
	err = c.getJSON(ctx, "inspect image", "/images/"+name+"/json", query, &found)
	if answer, ok := errors.AsType[*Error](err); ok && answer.Status == http.StatusNotFound {
		return Image{}, c.notFound(ctx, name)
	}
	return found, err
}

// exportName is name with its tag if name is among the image's names, and its
// ID otherwise: a daemon exports every tag of a name without one.
func exportName(name string, image Image) string {
	if named, err := reference.ParseNormalizedNamed(name); err == nil {
		tagged := reference.FamiliarString(reference.TagNameOnly(named))
		if slices.Contains(image.RepoTags, tagged) {
			return tagged
		}
	}
	return image.ID
}

// Save returns the stream of `docker save` for the Export name of an image;
// the caller closes it. platform is "os/arch[/variant]", or empty for all
// that the daemon has. Before API 1.48 a daemon does not choose, and
// platform is ignored.
//
// With the classic store nothing comes before the daemon has written the
// whole image to its own disk, so that only ctx bounds the wait.
func (c *Client) Save(ctx context.Context, export, platform string) (io.ReadCloser, error) {
	query := url.Values{"names": {export}}
	if platform != "" && c.api.atLeast(48) {
		query.Set("platform", platformJSON(platform))
	}
	resp, err := c.get(ctx, "export image", "/images/get", query) //nolint:bodyclose // the caller closes it
	if err != nil {
		return nil, err
	}
	return &exported{ReadCloser: resp.Body}, nil
}

// wirePlatform is a platform as the API has it.
type wirePlatform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// String is the platform as "os/arch[/variant]".
func (p wirePlatform) String() string {
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

func parsePlatform(platform string) wirePlatform {
	parts := append(strings.SplitN(platform, "/", 3), "", "")
	return wirePlatform{parts[0], parts[1], parts[2]}
}

func platformJSON(platform string) string {
	encoded, _ := json.Marshal(parsePlatform(platform)) // three strings cannot fail
	return string(encoded)
}

// Tags returns the tags that the daemon has of the repository called name,
// which has none itself, each with its image.
func (c *Client) Tags(ctx context.Context, name string) (map[string]Image, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", name, err)
	}
	images, err := c.list(ctx, nil)
	if err != nil {
		return nil, err
	}
	// Podman has names in full, and "localhost" in those without a registry.
	for _, called := range []string{reference.FamiliarName(named), "localhost/" + reference.FamiliarName(named), named.Name()} {
		if tags := tagsOf(called, images); len(tags) > 0 {
			return tags, nil
		}
	}
	return nil, &NotFoundError{Name: name, Endpoint: c.endpoint, Similar: similar(name, images)}
}

func tagsOf(name string, images []Image) map[string]Image {
	tags := map[string]Image{}
	for _, image := range images {
		for _, repoTag := range image.RepoTags {
			if tag, found := strings.CutPrefix(repoTag, name+":"); found {
				image.Export = repoTag
				tags[tag] = image
			}
		}
	}
	return tags
}

// Names returns the names of all images, sorted.
func (c *Client) Names(ctx context.Context) ([]string, error) {
	images, err := c.list(ctx, nil)
	return names(images), err
}

func (c *Client) list(ctx context.Context, query url.Values) ([]Image, error) {
	var images []Image
	err := c.getJSON(ctx, "list images", "/images/json", query, &images)
	return images, err
}

// notFound looks for names that may have been meant. That the list fails too
// is no news.
func (c *Client) notFound(ctx context.Context, name string) error {
	images, _ := c.list(ctx, nil)
	return &NotFoundError{Name: name, Endpoint: c.endpoint, Similar: similar(name, images)}
}

func names(images []Image) []string {
	var all []string
	for _, image := range images {
		for _, name := range image.RepoTags {
			// The classic store calls what has lost its name so.
			if name != "<none>:<none>" {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

const maxSimilar = 3

// similar returns the names nearest to name: other tags of the same
// repository first, then what is a few letters away.
func similar(name string, images []Image) []string {
	distance := func(candidate string) int {
		if withoutTag(candidate) == withoutTag(name) {
			return 0
		}
		return editDistance(name, candidate)
	}
	var near []string
	for _, candidate := range names(images) {
		if distance(candidate) <= max(2, len(name)/3) {
			near = append(near, candidate)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(distance(a), distance(b)) })
	return near[:min(len(near), maxSimilar)]
}

// editDistance is how many letters are to be put in, taken out or replaced to
// make b of a.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1) // for what has been seen of a
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// withoutTag is the repository of a name.
func withoutTag(name string) string {
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		return name[:i]
	}
	return name
}
