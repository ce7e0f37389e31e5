package registry_test

import (
	"errors"
	"fmt"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Names are parsed without a request. An error has the name that would do.
func ExampleParseReference() {
	ref, err := registry.ParseReference("git.example.com/me/app:1.2")
	fmt.Println(ref.Host, ref.Repository, ref.Tag, err)

	_, err = registry.ParseReference("git.example.com/Me/App:1.2")
	fmt.Println(errors.Is(err, registry.ErrNameInvalid))
	// Output:
	// git.example.com me/app 1.2 <nil>
	// true
}

// A secret cannot be printed by accident.
func ExampleSecret() {
	token := registry.NewSecret("0123456789abcdef")
	fmt.Printf("%v %d\n", token, len(token.Reveal()))
	// Output: [redacted] 16
}

// The error tells what went wrong, and Diagnose what to do about it.
func ExampleDiagnose() {
	_, err := registry.ParseReference("git.example.com/Me/App")
	fmt.Println(errors.Is(err, registry.ErrNameInvalid))
	fmt.Println(err)
	fmt.Println(registry.Diagnose(registry.ErrOwnerUnknown).Hint)
	// Output:
	// true
	// invalid name "git.example.com/Me/App": names are lower case (did you mean "git.example.com/me/app:latest"?)
	// check the spelling; a push creates no owner; create an organisation at https://HOST/org/create
}
