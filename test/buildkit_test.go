//go:build e2e && linux

package test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// built is a form in which BuildKit writes images.
type built struct {
	// output are the options of --output, args the others; SCANNER becomes the
	// image that makes bills of materials.
	output string
	args   []string
	// shows is in the manifests, and tells that the form is this one; not is in
	// none.
	shows, not string
}

// What a build attests, and for which platforms.
const (
	unattested = "--provenance=false"
	provenance = "--provenance=mode=max"
	scanned    = "--sbom=generator=SCANNER"
	platforms  = "--platform=linux/amd64,linux/arm64,linux/arm/v7"
)

var builtForms = map[string]built{
	"as it is":            {shows: `"application/vnd.oci.image.layer.v1.tar+gzip"`},
	"gzip at level 1":     {"compression=gzip,compression-level=1", []string{unattested}, `.tar+gzip"`, "in-toto"},
	"zstd":                {"compression=zstd", []string{unattested}, `.tar+zstd"`, ".tar+gzip"},
	"zstd at level 19":    {"compression=zstd,compression-level=19,force-compression=true", []string{unattested}, `.tar+zstd"`, ".tar+gzip"},
	"estargz":             {"compression=estargz,force-compression=true", []string{unattested}, "containerd.io/snapshot/stargz/toc.digest", "in-toto"},
	"uncompressed":        {"compression=uncompressed", []string{unattested}, `.layer.v1.tar"`, ".tar+gzip"},
	"Docker's types":      {"oci-mediatypes=false", []string{unattested}, "application/vnd.docker.image.rootfs.diff.tar.gzip", "vnd.oci.image.manifest"},
	"provenance":          {"", []string{provenance}, "slsa.dev/provenance", "spdx.dev"},
	"provenance and SBOM": {"", []string{provenance, scanned}, "spdx.dev/Document", ""},
	"attestations as artifacts": {
		"oci-artifact=true", []string{provenance}, `"artifactType":`, "",
	},
	"attestations as images": {
		"oci-artifact=false", []string{provenance}, "in-toto", `"artifactType":`,
	},
	"platforms":                           {"", []string{unattested, platforms}, `"variant":"v7"`, "in-toto"},
	"platforms and attestations and zstd": {"compression=zstd", []string{provenance, scanned, platforms}, "spdx.dev/Document", ".tar+gzip"},
	"a directory":                         {"tar=false", []string{unattested}, ".tar+gzip", "in-toto"},
	"a directory of everything":           {"tar=false,compression=estargz", []string{provenance, scanned, platforms}, "spdx.dev/Document", ""},
	"timestamps": {
		"rewrite-timestamp=true", []string{unattested, "--build-arg=SOURCE_DATE_EPOCH=1000000000"}, `"created":"2001-09-09T01:46:40Z"`, "in-toto",
	},
	"annotations": {
		"annotation.one=1,annotation-manifest[linux/arm64].two=2,annotation-index.three=3,annotation-manifest-descriptor.four=4",
		[]string{provenance, platforms},
		`"three":"3"`, "",
	},
	"cache inside": {"", []string{unattested, "--cache-to=type=inline"}, "moby.buildkit.cache.v0", ""},
	"names":        {"name=docker.io/me/app:1", []string{provenance}, "slsa.dev/provenance", ""},
}

// TestWideBuildKit pushes what BuildKit writes with each option of --output
// type=oci: as a file or directory, and through standard input. All that it wrote
// comes back, whoever pulls it; with --no-attestations, all but these.
func TestWideBuildKit(t *testing.T) {
	wide(t)
	attest(t, "builder", "BuildKit", "pushes of `-o type=oci` with every option, pulled back; `--no-attestations`", "buildkitd", "docker-buildx")
	b, err := servers.StartBuildKit(t.Context(), servers.BuildKitOptions{})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, b.Stop) })
	env := []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	run(t, env, program(t, "docker-buildx"), "create", "--driver=remote", "--name=kit", b.Address())
	s := newBuildSite(t, append(env, "BUILDX_BUILDER=kit"))
	s.scanner = s.offerScanner(t)
	s.tryForms(t)
}

// TestWideBuildKitOfTheEngine is the same with the BuildKit that is part of
// dockerd, but for bills of materials: the engine has no network to make them in.
func TestWideBuildKitOfTheEngine(t *testing.T) {
	wide(t)
	attest(t, "builder", "the BuildKit of dockerd, containerd store", "pushes of `-o type=oci` with every option but SBOM, pulled back; `--no-attestations`", "dockerd", "docker-buildx")
	newBuildSite(t, engine(t, servers.Containerd).Env()).tryForms(t)
}

// TestWideBuiltIntoTheStore pushes what the engine's BuildKit puts into the
// containerd store, whichever way the image leaves that.
func TestWideBuiltIntoTheStore(t *testing.T) {
	wide(t)
	attest(t, "builder", "the BuildKit of dockerd, into the containerd store", "pushes of zstd, estargz, platforms and attestations, by the daemon and by its export", "dockerd", "docker-buildx")
	e := engine(t, servers.Containerd)
	s := newBuildSite(t, e.Env())
	s.env = append(s.env, "DOCKER_HOST="+e.Host())
	for name, form := range map[string]built{
		"zstd": builtForms["zstd"], "estargz": builtForms["estargz"], "platforms": builtForms["platforms"],
		"provenance": builtForms["provenance"], "annotations": builtForms["annotations"],
	} {
		t.Run(name, func(t *testing.T) {
			tag, metadata := s.user+"/"+name+":1", filepath.Join(t.TempDir(), "made.json")
			output := "--output=type=image,name=" + tag + strings.TrimSuffix(","+form.output, ",")
			s.build(t, s.context, append(form.args, output, "--metadata-file="+metadata)...)
			made := decode[struct {
				Digest digest.Digest `json:"containerimage.digest"`
			}](t, []byte(readText(t, metadata)))
			var got []blobs
			for _, way := range []string{"daemon", "export"} {
				s.push(t, made.Digest, name+"-"+way, tag, "--via="+way)
				got = append(got, s.pulled(t, name+"-"+way))
			}
			assertBlobs(t, got[0], got[1])
		})
	}
}

// buildSite is a BuildKit, what it builds, and a Gitea to push to.
type buildSite struct {
	shopper
	gitea *servers.Gitea
	user  string
	// builder is the environment of buildx.
	builder []string
	context string
	// scanner is an image that makes bills of materials, where the builder runs it.
	scanner string
}

func newBuildSite(t *testing.T, builder []string) *buildSite {
	t.Helper()
	g := gitea(t)
	s := &buildSite{gitea: g, user: newUser(t, g), builder: builder, context: t.TempDir()}
	token, err := g.CreateToken(t.Context(), s.user, "write:package")
	servers.Need(t, err)
	s.shopper = newShopper(t, filepath.Join(pluginDir(t), "docker-gitea"), g.Server, s.user, token)
	for i, name := range []string{"one", "two"} {
		samples.WriteFile(t, filepath.Join(s.context, name), samples.Content(byte(90+i), 300_000))
	}
	samples.WriteFile(t, filepath.Join(s.context, "Dockerfile"), []byte("FROM scratch AS base\nCOPY one /\nFROM base\nCOPY two /\n"))
	return s
}

// offerScanner builds the image that makes bills of materials, in a registry of
// its own, and returns its name.
func (s *buildSite) offerScanner(t *testing.T) string {
	t.Helper()
	r, err := servers.StartCraneRegistry(t.Context())
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, r.Stop) })
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "scanner"), "testdata/scanner/main.go")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	samples.WriteFile(t, filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY --chmod=755 scanner /\nENTRYPOINT [\"/scanner\"]\n"))
	archive, name := filepath.Join(dir, "scanner.tar"), r.Host+"/scanner:1"
	s.build(t, dir, "--output=type=oci,dest="+archive, unattested)
	run(t, s.env, s.plugin, "gitea", "push", "--plain-http", archive, name)
	return name
}

func (s *buildSite) build(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "docker-buildx"), append([]string{"build", "--progress=plain", "--no-cache"}, append(args, dir)...)...)
	cmd.Env = s.builder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("buildx build %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (s *buildSite) tryForms(t *testing.T) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(builtForms)) {
		if form := builtForms[name]; s.scanner != "" || !slices.Contains(form.args, scanned) {
			t.Run(name, func(t *testing.T) { s.try(t, form) })
		}
	}
}

// try builds, pushes and pulls one form.
func (s *buildSite) try(t *testing.T, form built) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "built")
	layout := source
	args := []string{"--output=type=oci,dest=" + source + strings.TrimSuffix(","+form.output, ",")}
	for _, arg := range form.args {
		args = append(args, strings.ReplaceAll(arg, "SCANNER", s.scanner))
	}
	s.build(t, s.context, args...)
	if isFile(t, source) {
		layout = t.TempDir()
		run(t, nil, "/usr/bin/tar", "-C", layout, "-xf", source)
	}
	w := samples.LayoutWriter{T: t, Dir: layout}
	index := decode[ocispec.Index](t, []byte(readText(t, filepath.Join(layout, "index.json"))))
	top := index.Manifests[0].Digest
	manifests := jsonIn(t, layout)
	if !strings.Contains(manifests, form.shows) || form.not != "" && strings.Contains(manifests, form.not) {
		t.Fatalf("this is not the form, which has %q and not %q: %s", form.shows, form.not, manifests)
	}
	s.push(t, top, "whole", source)
	assertBlobs(t, s.pulled(t, "whole"), layoutBlobs(t, layout))
	if isFile(t, source) {
		s.push(t, top, "stream", source)
	}
	s.withoutAttestations(t, w, top, source)
}

// push pushes, and compares the digest where one is wanted. Standard input is a
// file.
func (s *buildSite) push(t *testing.T, want digest.Digest, tag, source string, options ...string) {
	t.Helper()
	word := source
	if tag == "stream" {
		word = "-"
	}
	cmd := exec.CommandContext(t.Context(), s.plugin, append([]string{"gitea", "push", "--quiet", word, s.ref(tag)}, options...)...)
	cmd.Env = s.env
	if word == "-" {
		f, err := os.Open(source)
		servers.Need(t, err)
		defer f.Close()
		cmd.Stdin = f
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || want != "" && !strings.HasSuffix(strings.TrimSpace(string(out)), "@"+want.String()) {
		t.Errorf("%s: %v, want %s: %s%s", tag, err, want, out, &stderr)
	}
}

func (s *buildSite) ref(tag string) string { return s.gitea.Host + "/" + s.user + "/app:" + tag }

// pulled is what crane and skopeo fetch, which have to agree.
func (s *buildSite) pulled(t *testing.T, tag string) blobs {
	t.Helper()
	got, dir := pullBySkopeo(t, s.gitea.Server, s.user, servers.AdminPassword, s.ref(tag)), t.TempDir()
	run(t, s.env, program(t, "crane"), "pull", "--format=oci", s.ref(tag), dir)
	assertBlobs(t, got, blobsIn(t, filepath.Join(dir, "blobs")))
	return got
}

// withoutAttestations pushes the image without these: the images that an index
// names stay, and one alone is no index any more.
func (s *buildSite) withoutAttestations(t *testing.T, w samples.LayoutWriter, top digest.Digest, source string) {
	t.Helper()
	want := imagesOf(t, top, readText(t, w.Path(top)))
	s.push(t, "", "plain", source, "--no-attestations")
	blobs := s.pulled(t, "plain")
	manifest := run(t, s.env, program(t, "crane"), "manifest", s.ref("plain"))
	if got := imagesOf(t, digest.FromString(manifest), manifest); !slices.Equal(got, want) {
		t.Errorf("got the images %s, want %s: %s", got, want, manifest)
	}
	if isIndex := strings.Contains(manifest, `"manifests"`); isIndex != (len(want) > 1) || strings.Contains(manifest, "attestation") {
		t.Errorf("of %d images this is left: %s", len(want), manifest)
	}
	if most := len(layoutBlobs(t, w.Dir)); len(blobs) > most {
		t.Errorf("%d blobs are there, and %d were built", len(blobs), most)
	}
}

// imagesOf are the images that a manifest names, or is.
func imagesOf(t *testing.T, d digest.Digest, manifest string) (images []digest.Digest) {
	t.Helper()
	for _, m := range decode[ocispec.Index](t, []byte(manifest)).Manifests {
		if m.Annotations["vnd.docker.reference.type"] == "" {
			images = append(images, m.Digest)
		}
	}
	if images == nil {
		return []digest.Digest{d}
	}
	return images
}

func isFile(t *testing.T, path string) bool {
	t.Helper()
	info, err := os.Stat(path)
	servers.Need(t, err)
	return info.Mode().IsRegular()
}

// jsonIn are the indexes, manifests, configs and statements of a layout.
func jsonIn(t *testing.T, layout string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(layout, "blobs/*/*"))
	servers.Need(t, err)
	var all strings.Builder
	for _, file := range append(files, filepath.Join(layout, "index.json")) {
		if text := readText(t, file); strings.HasPrefix(text, "{") {
			all.WriteString(strings.ReplaceAll(text, `": `, `":`) + "\n")
		}
	}
	return all.String()
}
