package daemon

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
)

// Info is what is to be known of a daemon before it is asked to push.
type Info struct {
	OperatingSystem string
	DriverStatus    [][2]string
	SecurityOptions []string
	RegistryConfig  registryConfig

	local bool
	api   apiVersion
}

// Info asks the daemon about itself.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	err := c.getJSON(ctx, "ask for information", "/info", nil, &info)
	proto, _, _ := c.endpoint.address() // it was good enough to connect
	info.local = proto == "unix"
	info.api = c.api
	return info, err
}

// Containerd reports whether images are in containerd's store, compressed, and
// not in that of a graph driver, unpacked.
func (i Info) Containerd() bool {
	return slices.Contains(i.DriverStatus, [2]string{"driver-type", "io.containerd.snapshotter.v1"})
}

// PushesPlatform reports whether the daemon's push sends the image for one
// platform when it is asked to. The classic store has one image, and sends it
// whatever it is for; before API 1.46 the option is ignored.
func (i Info) PushesPlatform() bool { return i.Containerd() && i.api.atLeast(46) }

// SharesLoopback reports whether 127.0.0.1 is, as far as one can tell, the
// same for the daemon as for this process. It is not for one that is remote,
// rootless, or in the virtual machine of a desktop.
func (i Info) SharesLoopback() bool {
	return i.local && runtime.GOOS == "linux" && i.OperatingSystem != "Docker Desktop" &&
		!slices.Contains(i.SecurityOptions, "name=rootless")
}

// Auth is a credential for a registry.
type Auth struct {
	Username string `json:"username"`
	Password string `json:"password"`
	// Server is the registry's host.
	Server string `json:"serveraddress"`
}

// push has the daemon push its image called repository:tag. platform is that
// of [Client.Save]; whether it matters says [Info.PushesPlatform].
func (c *Client) push(ctx context.Context, repository, tag, platform string, auth Auth) error {
	encoded, err := json.Marshal(auth) //nolint:gosec // this is what the header is for
	if err != nil {
		return err
	}
	query := url.Values{"tag": {tag}}
	if platform != "" && c.api.atLeast(46) {
		query.Set("platform", platformJSON(platform))
	}
	header := http.Header{"X-Registry-Auth": {base64.URLEncoding.EncodeToString(encoded)}}
	resp, err := c.do(ctx, "push", http.MethodPost, "/images/"+repository+"/push", query, header)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	for decoder := json.NewDecoder(resp.Body); ; {
		var message struct {
			Error string `json:"error"`
		}
		switch err := decoder.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("docker daemon: push: %w", err)
		case message.Error != "":
			return fmt.Errorf("docker daemon: push: %s", message.Error)
		}
	}
}

// tag gives an image one more name.
func (c *Client) tag(ctx context.Context, image, repository, tag string) error {
	resp, err := c.do(ctx, "tag image", http.MethodPost, "/images/"+image+"/tag", url.Values{"repo": {repository}, "tag": {tag}}, nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Untag takes a name from an image that has others. That somebody else did so
// is no error.
func (c *Client) Untag(ctx context.Context, name string) error {
	resp, err := c.do(ctx, "untag image", http.MethodDelete, "/images/"+name, url.Values{"noprune": {"1"}}, nil)
	if answer, ok := errors.AsType[*Error](err); ok && answer.Status == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Matching returns the names of images that match a pattern, as that of
// `docker images --filter reference=`.
func (c *Client) Matching(ctx context.Context, pattern string) ([]string, error) {
	filters, err := json.Marshal(map[string][]string{"reference": {pattern}})
	if err != nil {
		return nil, err
	}
	images, err := c.list(ctx, url.Values{"filters": {string(filters)}})
	return names(images), err
}

// TopSize returns how many bytes the files in the n topmost layers of an
// image have; more than that where some of those layers are empty.
func (c *Client) TopSize(ctx context.Context, id string, n int) (int64, error) {
	var history []struct{ Size int64 }
	if err := c.getJSON(ctx, "ask for history", "/images/"+id+"/history", nil, &history); err != nil {
		return 0, err
	}
	var size int64
	for _, step := range history {
		if n == 0 {
			break
		}
		if step.Size > 0 { // other steps have no layer, mostly
			size += step.Size
			n--
		}
	}
	return size, nil
}
