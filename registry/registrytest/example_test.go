package registrytest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// A program that pushes takes a registry.RegistryClient, and its tests give
// it the fake.
func ExampleClient() {
	fake := &registrytest.Client{PushErrors: []error{nil, registry.ErrDenied}}
	release := func(client registry.RegistryClient, ref string) error {
		return client.Push(context.Background(), ref, registry.PushOptions{Tags: []string{"latest"}})
	}

	fmt.Println(release(fake, "git.example.com/me/app:1"))
	err := release(fake, "git.example.com/other/app:1")
	fmt.Println(errors.Is(err, registry.ErrDenied))
	for _, push := range fake.Pushes() {
		fmt.Println(push.Reference, push.Options.Tags)
	}
	// Output:
	// <nil>
	// true
	// git.example.com/me/app:1 [latest]
	// git.example.com/other/app:1 [latest]
}

func ExampleRegistry_Fault() {
	reg := registrytest.New(registrytest.Config{})
	// The second chunk of every upload arrives in part.
	fault := reg.Fault(registrytest.Rule{
		Method: "PATCH", Path: "/blobs/uploads/", Skip: 1, Times: 1,
		Action: registrytest.Cut{After: 4096},
	})
	fmt.Println(fault.Hits())
	// Output: 0
}
