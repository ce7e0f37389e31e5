package remote_test

import (
	"context"
	"fmt"
	"os"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// A file of `docker save`, or an OCI layout, goes to a registry whose
// certificate comes from an authority of its own.
func ExampleClient_Push() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	server, err := registrytest.Listen(dir, registrytest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	client, err := remote.New(registry.RegistryConfig{
		URL:     server.URL,
		CAFiles: []string{server.CAFile},
		Auth:    registry.AuthConfig{Token: registrytest.Token},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := image.Open("testdata/hello", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()

	var result registry.Result
	err = client.Push(context.Background(), "alice/hello:1", registry.PushOptions{
		Source: source, Tags: []string{"latest"}, Result: &result,
	})
	fmt.Println(err, result.Tags, len(result.Blobs), "blobs")
	// Output: <nil> [1 latest] 2 blobs
}

// An image goes from one repository to another, gets another tag and loses its first.
// Tests of such a program need no Gitea: registrytest is one in memory.
func ExampleClient_Copy() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	server, err := registrytest.Listen(dir, registrytest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client, err := remote.New(server.Config(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := image.Open("testdata/hello", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()

	ctx := context.Background()
	fmt.Println(client.Push(ctx, "alice/hello:dev", registry.PushOptions{Source: source}))
	hello := remote.Member{Repository: "alice/hello", Reference: "dev"}
	fmt.Println(client.Copy(ctx, "alice/released:dev", hello, registry.PushOptions{}))
	tagged, err := client.Tag(ctx, "alice/released", "dev", []string{"1.0", "latest"}, remote.TagOptions{NoClobber: true})
	fmt.Println(tagged.Tags, err)
	fmt.Println(client.Delete(ctx, "alice/released", "dev"))
	fmt.Println(client.Tags(ctx, "alice/released"))
	// Output:
	// <nil>
	// <nil>
	// [1.0 latest] <nil>
	// <nil>
	// [1.0 latest] <nil>
}

// Jobs that build for one platform each have pushed an image each. One name leads to
// all of them, and stays whole when theirs are moved or deleted.
func ExampleClient_Join() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	server, err := registrytest.Listen(dir, registrytest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client, err := remote.New(server.Config(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	source, err := image.Open("testdata/hello-amd64", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()

	ctx := context.Background()
	fmt.Println(client.Push(ctx, "alice/hello:1-amd64", registry.PushOptions{Source: source}))
	images := []remote.Member{{Repository: "alice/hello", Reference: "1-amd64"}} // and those of other platforms
	joined, err := client.Join(ctx, "alice/hello:1", images, remote.JoinOptions{Annotations: map[string]string{"org.opencontainers.image.version": "1"}})
	fmt.Println(joined.Tags, joined.MediaType, err)
	// Output:
	// <nil>
	// [1] application/vnd.oci.image.index.v1+json <nil>
}
