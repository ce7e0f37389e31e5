package target

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
)

func TestParseDestinations(t *testing.T) {
	for _, test := range []struct {
		Name        string
		args        string
		Tags        string
		allTags     bool
		defaultHost string
		want        string
		notice      string
	}{
		{Name: "tag", args: "h.example/me/app:1", want: "h.example/me/app:1"},
		{Name: "no tag", args: "h.example/me/app", want: "h.example/me/app:latest", notice: "Using default tag: latest"},
		{Name: "--tag in place of none", args: "h.example/me/app", Tags: "1 2", want: "h.example/me/app:1,2"},
		{Name: "--tag beside another", args: "h.example/me/app:1", Tags: "2 1", want: "h.example/me/app:1,2"},
		{Name: "same repository", args: "h.example/me/app:1 H.example:443/me/app:2", want: "h.example/me/app:1,2"},
		{Name: "several repositories", args: "h.example/me/app:1 i.example:3000/me/app:1 h.example/me/app2:1", want: "h.example/me/app:1 i.example:3000/me/app:1 h.example/me/app2:1"},
		{Name: "port without tag", args: "h.example:3000/me/app", want: "h.example:3000/me/app:latest", notice: "Using default tag: latest"},
		{Name: "no owner, which only Gitea wants", args: "h.example/app:1 h.example/me/a__b:1", want: "h.example/app:1 h.example/me/a__b:1"},
		{Name: "default host", args: "me/app:1", defaultHost: "h.example", want: "h.example/me/app:1"},
		{Name: "all tags", args: "h.example/me/app", allTags: true, want: "h.example/me/app:"},
	} {
		t.Run(test.Name, func(t *testing.T) {
			names, _ := Naming{Host: test.defaultHost}.All(strings.Fields(test.args))
			got, err := ParseDestinations(names, strings.Fields(test.Tags), test.allTags)
			if err != nil {
				t.Fatal(err)
			}
			if targets := strings.Trim(fmt.Sprint(got.Targets), "[]"); targets != test.want {
				t.Errorf("got %s, want %s", targets, test.want)
			}
			if notices := strings.Join(got.Notices, "; "); notices != test.notice {
				t.Errorf("got the notice %q, want %q", notices, test.notice)
			}
		})
	}
}

// Whatever is accepted as destinations is a valid reference again.
func FuzzParseDestinations(f *testing.F) {
	f.Add("git.example.com/me/app:1", "2", "")
	f.Add("me/app", "", "h.example:3000")
	f.Add("[::1]:443/me/a/b", "", "")
	f.Fuzz(func(t *testing.T, arg, tags, defaultHost string) {
		whole, _ := Naming{Host: defaultHost}.whole(arg)
		d, err := ParseDestinations([]string{whole}, strings.Fields(tags), false)
		if err != nil || CheckTags(strings.Fields(tags)) != nil {
			return
		}
		if host, err := registry.NormalizeHost(defaultHost); defaultHost != "" && (err != nil || host != defaultHost) {
			return
		}
		for _, target := range d.Targets {
			for _, tag := range target.Tags {
				if _, err := registry.ParseReference(target.Familiar() + ":" + tag); err != nil {
					t.Errorf("%q became %v: %v", arg, target, err)
				}
			}
		}
	})
}
