//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// site is a Gitea as larger sites run it.
var site = servers.GiteaOptions{Database: servers.PostgreSQL, Storage: servers.S3}

// atSite is what is compared there.
func atSite(t tools) []scenario {
	limits := map[before]string{
		nothing:   "Gitea, its database and its storage have the two processors.",
		unchanged: "What is left is starting, the connection, Gitea's hashing of the password, and its writing to the database.",
		same:      "What is left is starting, the connection, and Gitea's hashing of the password, which others pay as well.",
	}
	on := func(name, image string, tools []tool, first before, e expectation) scenario {
		return scenario{name: name + ", PostgreSQL and S3", expect: e, limit: limits[first], image: image, store: servers.Classic, tools: tools, before: first, site: site}
	}
	return []scenario{
		on("OCI layout, first push", toolchain, t.layout[:3], nothing, expectation{wall: 1.00}),
		on("OCI layout, nothing changed", toolchain, t.layout[:3], same, expectation{wall: 0.50, requests: 3}),
		on("OCI layout, one small layer more", toolchain, t.layout[:3], unchanged, expectation{wall: 1.00}),
		on("50 images at once", crowd, t.crowding, nothing, expectation{wall: 1.00}),
	}
}

// crowd is many images, each of which is pushed by a program of its own.
const (
	crowd      = "crowd"
	crowdSize  = 50
	crowdLayer = 200_000
)

// crowd makes a folder of layouts, each with one image of one layer.
func (i *images) crowd() (subject, error) {
	s := subject{crowd: filepath.Join(i.dir, crowd)}
	if _, err := os.Stat(s.crowd); err == nil {
		return s, nil
	}
	for n := range crowdSize {
		l, err := newStock(filepath.Join(s.crowd, fmt.Sprint(n)))
		if err != nil {
			return s, err
		}
		layers, err := l.layers(fmt.Sprint(crowd, n), 1, crowdLayer)
		if err == nil {
			err = l.image("latest", "amd64", layers...)
		}
		if err != nil {
			return s, err
		}
		index, err := json.Marshal(l.index)
		if err = errors.Join(err, os.WriteFile(filepath.Join(l.dir, ocispec.ImageIndexFile), index, 0o600)); err != nil {
			return s, err
		}
	}
	return s, nil
}

// crowding starts a program for each image, and again where it fails.
func (p programs) crowding() []tool {
	each := func(name, program, push string) tool {
		script := `program=$1 all=$2 to=$3
push() { ` + push + `; }
for dir in "$all"/*; do
	( for try in 1 2 3 4 5; do push "$dir" "$to:${dir##*/}" && exit; done; exit 1 ) &
	pids="$pids $!"
done
for pid in $pids; do wait $pid || exit; done`
		return tool{name: name, args: func(s subject, ref string) []string {
			return []string{"sh", "-c", script, "sh", program, s.crowd, untagged(ref)}
		}}
	}
	return []tool{
		each("docker-gitea push", p.ours, `"$program" push --quiet "$1" "$2"`),
		each("crane", p.path["crane"], `"$program" push "$1" "$2"`),
		each(plainSkopeo, p.path["skopeo"], `"$program" copy --quiet --insecure-policy "oci:$1:latest" "docker://$2"`),
	}
}
