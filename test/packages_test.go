//go:build e2e

package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// shopper is a person who calls the plugin, logged in to one registry.
type shopper struct {
	plugin, dir string
	env         []string
}

func newShopper(t *testing.T, plugin string, s *servers.Server, user, password string) shopper {
	t.Helper()
	dir := t.TempDir()
	env, err := s.Env(dir, user, password)
	servers.Need(t, err)
	return shopper{plugin: plugin, dir: dir, env: env}
}

// try runs a command of the plugin, and returns all that it prints and its exit
// code.
func (s shopper) try(ctx context.Context, args ...string) (out string, code int) {
	cmd := exec.CommandContext(ctx, s.plugin, append([]string{"gitea"}, args...)...)
	cmd.Env, cmd.Dir = s.env, s.dir
	printed, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	}
	return string(printed), code
}

// expect runs a command and looks for what it must print.
func (s shopper) expect(t *testing.T, code int, want string, args ...string) string {
	t.Helper()
	out, got := s.try(t.Context(), args...)
	t.Logf("$ docker gitea %s\n%s", strings.Join(args, " "), out)
	if got != code || !strings.Contains(out, want) {
		t.Errorf("%q: got exit code %d, want %d with %q", args, got, code, want)
	}
	return out
}

// labelled is an OCI layout of one image with a label.
func labelled(t *testing.T, seed byte, label, value string) string {
	t.Helper()
	l := samples.NewLayout(t)
	layer := l.Layer(seed, 1000)
	config := map[string]any{
		"os": "linux", "architecture": runtime.GOARCH,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []any{l.DiffID(layer)}},
		"config": map[string]any{"Labels": map[string]string{label: value}},
	}
	image := l.JSON(ocispec.MediaTypeImageManifest, map[string]any{
		"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest,
		"config": l.JSON(ocispec.MediaTypeImageConfig, config), "layers": []any{layer},
	})
	samples.WriteFile(t, filepath.Join(l.Dir, "index.json"), mustJSON(samples.Index(image)))
	samples.WriteFile(t, filepath.Join(l.Dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return l.Dir
}

func newRepository(t *testing.T, g *servers.Gitea, owner, name string) {
	t.Helper()
	servers.Need(t, g.API(t.Context(), http.MethodPost, "/admin/users/"+owner+"/repos", map[string]any{"name": name}, nil))
}

// TestPackages runs what looks at packages, changes and deletes them.
func TestPackages(t *testing.T) {
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for name, test := range map[string]func(*testing.T, string){
		"own": testOwnPackages, "others": testPackagesOfOthers, "auto": testLinkAuto,
		"path": testPackagesUnderAPath, "elsewhere": testPackagesElsewhere, "Forgejo": testPackagesOfForgejo,
	} {
		t.Run(name, func(t *testing.T) { test(t, plugin) })
	}
}

// testOwnPackages lists, links and deletes what a real Gitea holds, with a
// token that may do nothing but write packages.
func testOwnPackages(t *testing.T, plugin string) {
	t.Helper()
	g := gitea(t)
	name := newUser(t, g)
	newRepository(t, g, name, "shop")
	newRepository(t, g, name, "site")
	token, err := g.CreateToken(t.Context(), name, "write:package")
	servers.Need(t, err)
	me := newShopper(t, plugin, g.Server, name, token)
	image := g.Host + "/" + name + "/app"
	one, two := samples.Layout(t, 50, 2000), samples.Layout(t, 51, 3000)

	me.expect(t, 0, "no images that you can see\n", "ls", g.Host+"/"+name)
	me.expect(t, 1, "no image "+name+"/app in "+g.Host, "ls", image)
	me.expect(t, 125, "they have different owners", "push", "--link", "other/shop", one, image+":1")
	me.expect(t, 0, image+": linked to "+name+"/shop\n", "push", "-t", "latest", "--link", "shop", one, image+":1")
	me.expect(t, 0, image+": linked to "+name+"/shop already", "push", "--link", name+"/shop", two, image+":2")
	me.expect(t, 0, "warning: pushed, but not linked: "+image+" is linked already, to "+name+"/shop\nhint: docker gitea unlink "+image,
		"push", "--link", "site", two, image+":3")
	report := decode[struct {
		Status struct{ LinkedRepository string }
	}](t,
		[]byte(me.expect(t, 0, `"type":"Linked","status":"True"`, "push", "-q", "--format", "json", "--link", "shop", two, image+":3")))
	if report.Status.LinkedRepository != name+"/shop" {
		t.Errorf("got %+v", report)
	}
	me.expect(t, 0, "Linked=False/Failed "+name+"/shop\n", "push", "-q", "--link", "site", two, image+":3",
		"--format", `{{range .Status.Conditions}}{{if eq .Type "Linked"}}{{.Type}}={{.Status}}/{{.Reason}}{{end}}{{end}} {{.Status.LinkedRepository}}`)
	me.expect(t, 0, "Mounted from "+name+"/app\n", "push", two, image+"/nested:1")

	me.expect(t, 0, name+"/app          4      ", "ls", g.Host+"/"+name)
	me.expect(t, 0, name+"/app/nested", "ls", g.Host)
	tags := me.expect(t, 0, "linked to "+name+"/shop", "ls", image)
	for _, want := range []string{"TAG ", "1 ", "2 ", "3 ", "latest", "linux/" + runtime.GOARCH, " kB ", "PUSHED"} {
		if !strings.Contains(tags, want) {
			t.Errorf("got no %q", want)
		}
	}
	list := decode[struct {
		Repository string
		Tags       []struct {
			Tag, Digest string
			Size        int
			Pushed      string
		}
	}](t, []byte(me.expect(t, 0, "", "ls", "--format", "json", image)))
	if len(list.Tags) != 4 || list.Repository != name+"/shop" || list.Tags[0].Digest != topDigest(t, one) || list.Tags[0].Size < 2000 || list.Tags[0].Pushed == "" {
		t.Errorf("got %+v", list)
	}
	me.expect(t, 0, "1 "+topDigest(t, one)+"\n2 ", "ls", "--format", "{{.Tag}} {{.Digest}}", image)
	me.expect(t, 0, image+":1\n"+image+":2\n", "ls", "-q", image)

	me.expect(t, 0, "no longer linked", "unlink", image)
	me.expect(t, 0, "not linked", "unlink", image)
	me.expect(t, 1, "there is no repository "+name+"/nothing", "link", image, "nothing")
	me.expect(t, 1, "there is no image "+image+"2", "link", image+"2", "shop")
	me.expect(t, 0, "linked to "+name+"/site", "link", image, name+"/site")

	me.expect(t, 0, g.URL+"/"+name+"/-/packages/container/app%2Fnested/1\n", "open", "--print", image+"/nested:1")
	me.expect(t, 0, g.URL+"/"+name+"/-/packages?type=container\n", "open", g.Host+"/"+name)
	if status, _ := get(t, g.Server, "/"+name+"/-/packages/container/app%2Fnested/1"); status != http.StatusOK {
		t.Errorf("the page that is opened: got %d", status)
	}

	me.expect(t, 125, "has neither tag nor digest", "rm", image)
	me.expect(t, 1, "no "+image+":7", "rm", "-y", image+":2", image+":7")
	me.expect(t, 1, "hint: --force deletes without a question", "rm", image+":2")
	me.expect(t, 0, "Deleted: "+image+":2\nDeleted: "+image+":3\n", "rm", "--force", image+":2", image+":3")
	shown := me.expect(t, 1, image+"@"+topDigest(t, one)+" with all of its tags: 1, latest\n", "rm", image+"@"+topDigest(t, one))
	if !strings.Contains(shown, "there is no terminal to ask on") {
		t.Error("it did not say that it cannot ask")
	}
	me.expect(t, 0, "Deleted: ", "rm", "-y", image+"@"+topDigest(t, one))
	me.expect(t, 0, "", "ls", "-q", image)
}

// Somebody else, and a token that may only read, see and may not touch.
func testPackagesOfOthers(t *testing.T, plugin string) {
	t.Helper()
	g := gitea(t)
	name, other := newUser(t, g), newUser(t, g)
	newRepository(t, g, name, "shop")
	image := g.Host + "/" + name + "/app"
	owner := newShopper(t, plugin, g.Server, name, servers.AdminPassword)
	owner.expect(t, 0, "", "push", samples.Layout(t, 52, 1000), image+":1")
	reading, err := g.CreateToken(t.Context(), name, "read:package")
	servers.Need(t, err)
	for who, password := range map[string]string{name: reading, other: servers.AdminPassword} {
		guest := newShopper(t, plugin, g.Server, who, password)
		guest.expect(t, 0, "TAG ", "ls", image)
		guest.expect(t, 77, "may not", "rm", "-y", image+":1")
		guest.expect(t, 77, "hint: a token needs the scope write:package", "link", image, "shop")
	}
	nobody := newShopper(t, plugin, g.Server, "", "")
	nobody.expect(t, 0, name+"/app", "ls", g.Host+"/"+name)
	nobody.expect(t, 77, "docker login "+g.Host, "rm", "-y", image+":1")
}

// --link auto goes by the image's label, and else by where the current
// directory was cloned from; what is elsewhere or another's is passed by.
func testLinkAuto(t *testing.T, plugin string) {
	t.Helper()
	g := gitea(t)
	name := newUser(t, g)
	newRepository(t, g, name, "shop")
	newRepository(t, g, name, "site")
	me := newShopper(t, plugin, g.Server, name, servers.AdminPassword)
	const label = "org.opencontainers.image.source"
	for i, source := range []string{g.URL + "/" + name + "/shop", g.URL + "/" + name + "/shop.git", "https://localhost/" + name + "/shop/"} {
		image := fmt.Sprintf("%s/%s/label%d", g.Host, name, i)
		me.expect(t, 0, "linked to "+name+"/shop\n", "push", "--link", "auto", labelled(t, 53, label, source), image+":1")
	}
	foreign := labelled(t, 54, label, "https://github.com/"+name+"/shop")
	me.expect(t, 0, "warning: pushed, but not linked: neither the label", "push", "--link", "auto", foreign, g.Host+"/"+name+"/foreign:1")
	for _, address := range []string{"git@localhost:" + name + "/site.git", "ssh://git@localhost:2222/" + name + "/site"} {
		run(t, me.env, "git", "-C", me.dir, "init", "-q")
		run(t, me.env, "git", "-C", me.dir, "config", "remote.origin.url", address)
		me.expect(t, 0, "linked to "+name+"/site", "link", g.Host+"/"+name+"/foreign", "auto")
	}
	if _, err := os.Stat(filepath.Join(me.dir, ".git")); err != nil {
		t.Fatal(err)
	}
}

// testPackagesUnderAPath has Gitea's pages and its API under a path, while the
// registry is at the root.
func testPackagesUnderAPath(t *testing.T, plugin string) {
	t.Helper()
	port, err := servers.FreePort()
	servers.Need(t, err)
	g := own(t, servers.GiteaOptions{PlainHTTP: true, Settings: map[string]string{
		"server.ROOT_URL": fmt.Sprintf("https://localhost:%d/gitea/", port),
	}})
	n := behind(t, servers.NginxOptions{
		Upstream: g.URL, Port: port, MaxBody: "0",
		Directives: `if ($request_uri !~ ^/(v2|gitea)/) { return 404; } rewrite ^/gitea(/.*)$ $1 break;`,
	})
	me := newShopper(t, plugin, n, servers.AdminUser, servers.AdminPassword)
	newRepository(t, g, servers.AdminUser, "shop")
	image := n.Host + "/" + servers.AdminUser + "/app"
	me.expect(t, 0, "linked to "+servers.AdminUser+"/shop", "push", "--link", "shop", samples.Layout(t, 55, 1000), image+":1")
	me.expect(t, 0, servers.AdminUser+"/app   1      ", "ls", n.Host+"/"+servers.AdminUser)
	me.expect(t, 0, n.URL+"/gitea/"+servers.AdminUser+"/-/packages/container/app\n", "open", image)
}

// testPackagesOfForgejo is shorter: the API is Gitea's, but for the links, which
// Forgejo 9 has on the pages alone.
func testPackagesOfForgejo(t *testing.T, plugin string) {
	t.Helper()
	g, err := sharedForgejo()
	servers.Need(t, err)
	name := newUser(t, g)
	newRepository(t, g, name, "shop")
	me := newShopper(t, plugin, g.Server, name, servers.AdminPassword)
	image := g.Host + "/" + name + "/app"
	dir := samples.Layout(t, 57, 1000)
	const unable = " links packages on their pages alone"
	me.expect(t, 0, "warning: pushed, but not linked: "+g.Host+unable, "push", "-t", "latest", "--link", "shop", dir, image+":1")
	me.expect(t, 0, "Mounted from "+name+"/app\n", "push", dir, image+"/nested:1")
	me.expect(t, 1, "hint: docker gitea open "+image, "link", image, "shop")
	me.expect(t, 1, unable, "unlink", image)
	me.expect(t, 0, name+"/app          2      ", "ls", g.Host+"/"+name)
	me.expect(t, 0, "PUSHED", "ls", image)
	me.expect(t, 0, g.URL+"/"+name+"/-/packages/container/app%2Fnested/1\n", "open", "--print", image+"/nested:1")
	if status, _ := get(t, g.Server, "/"+name+"/-/packages/container/app%2Fnested/1"); status != http.StatusOK {
		t.Errorf("the page that is opened: got %d", status)
	}
	me.expect(t, 0, "Deleted: "+image+":latest\n", "rm", "--force", image+":latest")
	me.expect(t, 0, image+":1\n", "ls", "-q", image)
}

// testPackagesElsewhere does with the distribution registry what it can do.
func testPackagesElsewhere(t *testing.T, plugin string) {
	t.Helper()
	s := registry(t)
	me := newShopper(t, plugin, s, "", "")
	image := s.Host + "/elsewhere/app"
	dir := samples.Layout(t, 56, 1000)
	me.expect(t, 0, "", "push", "-t", "2", dir, image+":1")
	me.expect(t, 0, "elsewhere/app\n", "ls", s.Host+"/elsewhere")
	me.expect(t, 0, "1     "+strings.TrimPrefix(topDigest(t, dir), "sha256:")[:12], "ls", image)
	me.expect(t, 1, "hint: many registries delete by digest alone", "rm", "-y", image+":1")
	me.expect(t, 1, "no API of Gitea or Forgejo", "link", image, "shop")
	me.expect(t, 1, "no API of Gitea or Forgejo", "open", image)
	me.expect(t, 0, "warning: pushed, but not linked", "push", "--link", "shop", dir, image+":3")
}
