package target

import (
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
)

// What a name means under a registry that the environment names.
func TestNaming(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		Name, arg, Repository, want, notice string
	}{
		{Name: "owner", arg: "me/app:1", want: "git.example.com/me/app:1"},
		{Name: "owner with a dot", arg: "first.last/app:1", want: "git.example.com/first.last/app:1", notice: "for a registry called first.last, write first.last:443/app:1"},
		{Name: "owner with a dot, and a branch", arg: "first.last/app:feature/x", want: "git.example.com/first.last/app:feature/x", notice: "first.last:443"},
		{Name: "a registry with a port", arg: "first.last:443/app", want: "first.last:443/app"},
		{Name: "a registry that is known", arg: "known.example/app", want: "known.example/app"},
		{Name: "the registry itself", arg: "git.example.com/app", want: "git.example.com/app"},
		{Name: "three parts", arg: "first.last/app/sub", want: "git.example.com/first.last/app/sub", notice: "for a registry called first.last, write first.last:443/app/sub"},
		{Name: "three parts, and a branch", arg: "first.last/app/sub:feature/x", want: "git.example.com/first.last/app/sub:feature/x", notice: "first.last:443"},
		{Name: "three parts on a registry that is known", arg: "known.example/me/app", want: "known.example/me/app"},
		{Name: "an address of a machine", arg: "192.0.2.1/me/app", want: "192.0.2.1/me/app"},
		{Name: "below an owner with a dot", arg: "first.last/", want: "git.example.com/first.last/", notice: "write first.last:443/"},
		{Name: "this machine", arg: "localhost/app", want: "localhost/app"},
		{Name: "an address", arg: "https://first.last/app", want: "https://first.last/app"},
		{Name: "capitals", arg: "Me/App:V1", want: "git.example.com/me/app:V1", notice: "Me/App is pushed as me/app"},
		{Name: "capitals of an owner with a dot", arg: "First.Last/App", want: "git.example.com/first.last/app", notice: "First.Last/App is pushed as first.last/app"},
		{Name: "capitals on the registry itself", arg: "git.example.com/Me/App", want: "git.example.com/me/app", notice: "Me/App is pushed as me/app"},
		{Name: "capitals elsewhere", arg: "known.example/Me/App", want: "known.example/Me/App"},
		{Name: "a job's repository", arg: "Me/_My--App.", Repository: "Me/_My--App.", want: "git.example.com/me/my-app", notice: "Me/_My--App. is pushed as me/my-app"},
		{Name: "no job's repository", arg: "me/_my--app.", want: "git.example.com/me/_my--app."},
	} {
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			n := Naming{
				Host: "git.example.com", Repository: test.Repository,
				IsRegistry: func(host string) bool { return host == "known.example" || host == "git.example.com" },
			}
			got, notices := n.whole(test.arg)
			told := strings.Join(notices, "; ")
			if got != test.want || (test.notice == "") != (told == "") || !strings.Contains(told, test.notice) {
				t.Errorf("got %q, %q; want %q, %q", got, told, test.want, test.notice)
			}
			r, err := ParseRemote(test.arg, n)
			if want, wantErr := registry.ParseReference(test.want); err == nil && wantErr == nil && r.Name != "" && r.Familiar() != want.Familiar() {
				t.Errorf("ls and the like take it for %s, push for %s", r.Familiar(), want.Familiar())
			}
			if hint := test.notice != "" && strings.Contains(test.notice, ":443"); err == nil && r.Name != "" && hint != (r.Misread != "") {
				t.Errorf("ls and the like say %q", r.Misread)
			}
			if bare, _ := (Naming{}).whole(test.arg); bare != test.arg {
				t.Errorf("without a registry: got %q", bare)
			}
		})
	}
}

// The line of docs/ci.md works for every repository that Gitea lets people make: its
// names have letters, digits, and - _ . in any order.
func TestEveryRepositoryIsAName(t *testing.T) {
	t.Parallel()
	const letters = "aA0-_."
	var names []string
	for n, all := 1, []string{""}; n <= 5; n++ {
		var longer []string
		for _, before := range all {
			for _, letter := range letters {
				longer = append(longer, before+string(letter))
			}
		}
		names, all = append(names, longer...), longer
	}
	for _, name := range names {
		if name == "." || name == ".." || !strings.ContainsAny(name, "aA0") {
			continue // Gitea has no repository of the first two; of the others nothing is left
		}
		for _, owner := range []string{"me", "First.Last", "A-0_b"} {
			n := Naming{Host: "git.example.com", Repository: owner + "/" + name}
			got, _ := n.whole(n.Repository + ":latest")
			ref, err := registry.ParseReference(got)
			if err == nil {
				err = ref.CheckGitea(nil)
			}
			if err != nil || ref.Host != n.Host || ref.Owner() != strings.ToLower(owner) {
				t.Fatalf("%s: got %s, %v", n.Repository, got, err)
			}
		}
	}
}
