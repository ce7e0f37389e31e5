package servers

// A tool is a program that is built from a module under test/tools.
type tool struct {
	name   string // of the executable
	module string // folder under test/tools
	main   string // package
	source string // module that the package is of, for its version
	flags  []string
	cgo    bool
	data   []string // folders of the source that the program reads when it runs
}

// What every Gitea, and Forgejo, is built with and reads.
var (
	giteaFlags = []string{"-tags=sqlite,sqlite_unlock_notify,timetzdata", "-ldflags=-s -w -X main.Version=VERSION"}
	giteaData  = []string{"templates", "options", "public"}
)

// wide are the tools that are built only when asked for, see [Wide].
var wide = []string{"traefik", "ctr", "registry-3", "cosign", "helm", "buildkitd"}

// VERSION in a flag becomes the version of the source.
var tools = []tool{
	{
		name: "gitea", module: "gitea", main: "gitea.dev", source: "gitea.dev",
		flags: giteaFlags, cgo: true, data: giteaData,
	},
	{
		name: "gitea-1.26", module: "gitea126", main: "code.gitea.io/gitea", source: "code.gitea.io/gitea",
		flags: giteaFlags, cgo: true, data: giteaData,
	},
	{
		name: "forgejo", module: "forgejo", main: "code.gitea.io/gitea", source: "code.gitea.io/gitea",
		flags: []string{
			"-tags=sqlite,sqlite_unlock_notify,timetzdata",
			// A commit between two releases, called as Forgejo's Makefile does.
			"-ldflags=-s -w -X main.Version=10.0.0-dev-456d059982+gitea-1.22.0",
		},
		cgo:  true,
		data: giteaData,
	},
	{
		name: "versitygw", module: "storage",
		main: "github.com/versity/versitygw/cmd/versitygw", source: "github.com/versity/versitygw",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "conformance", module: "conformance",
		main: "github.com/opencontainers/distribution-spec/conformance", source: "github.com/opencontainers/distribution-spec/conformance",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "runner", module: "runner",
		main: "gitea.com/gitea/runner", source: "gitea.com/gitea/runner",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "traefik", module: "traefik",
		main: "github.com/traefik/traefik/v3/cmd/traefik", source: "github.com/traefik/traefik/v3",
		flags: []string{"-ldflags=-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=VERSION"},
	},
	{
		name: "registry-3", module: "distribution",
		main: "github.com/distribution/distribution/v3/cmd/registry", source: "github.com/distribution/distribution/v3",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "caddy", module: "caddy",
		main: "github.com/caddyserver/caddy/v2/cmd/caddy", source: "github.com/caddyserver/caddy/v2",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "golangci-lint", module: "lint",
		main: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", source: "github.com/golangci/golangci-lint/v2",
		flags: []string{"-ldflags=-s -w -X main.version=VERSION"},
	},
	{
		name: "controller-gen", module: "generate",
		main: "sigs.k8s.io/controller-tools/cmd/controller-gen", source: "sigs.k8s.io/controller-tools",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "nfpm", module: "dist",
		main: "github.com/goreleaser/nfpm/v2/cmd/nfpm", source: "github.com/goreleaser/nfpm/v2",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "cyclonedx-gomod", module: "dist",
		main: "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod", source: "github.com/CycloneDX/cyclonedx-gomod",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "containerd", module: "engine",
		main: "github.com/containerd/containerd/v2/cmd/containerd", source: "github.com/containerd/containerd/v2",
		flags: []string{"-tags=no_systemd,no_btrfs,no_devmapper,no_zfs", "-ldflags=-s -w"},
	},
	{
		name: "ctr", module: "engine",
		main: "github.com/containerd/containerd/v2/cmd/ctr", source: "github.com/containerd/containerd/v2",
		flags: []string{"-tags=no_systemd,no_btrfs,no_devmapper,no_zfs", "-ldflags=-s -w"},
	},
	{
		name: "dockerd", module: "engine",
		main: "github.com/moby/moby/v2/cmd/dockerd", source: "github.com/moby/moby/v2",
		flags: []string{
			"-tags=no_systemd,exclude_graphdriver_btrfs",
			"-ldflags=-s -w -X github.com/moby/moby/v2/dockerversion.Version=VERSION",
		},
	},
	{
		name: "docker", module: "dockercli",
		main: "github.com/docker/cli/cmd/docker", source: "github.com/docker/cli",
		flags: []string{
			// The module has no go.mod, so without this its language is that of Go 1.16.
			"-gcflags=github.com/docker/cli/...=-lang=go1.26",
			"-ldflags=-s -w -X github.com/docker/cli/cli/version.Version=VERSION",
		},
	},
	{
		name: "crane", module: "peers",
		main: "github.com/google/go-containerregistry/cmd/crane", source: "github.com/google/go-containerregistry",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "regctl", module: "peers",
		main: "github.com/regclient/regclient/cmd/regctl", source: "github.com/regclient/regclient",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "oras", module: "peers",
		main: "oras.land/oras/cmd/oras", source: "oras.land/oras",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "cosign", module: "cosign",
		main: "github.com/sigstore/cosign/v3/cmd/cosign", source: "github.com/sigstore/cosign/v3",
		flags: []string{"-ldflags=-s -w -X sigs.k8s.io/release-utils/version.gitVersion=vVERSION"},
	},
	{
		name: "helm", module: "helm",
		main: "helm.sh/helm/v4/cmd/helm", source: "helm.sh/helm/v4",
		flags: []string{"-ldflags=-s -w -X helm.sh/helm/v4/internal/version.version=vVERSION"},
	},
	{
		name: "buildkitd", module: "buildkit",
		main: "github.com/moby/buildkit/cmd/buildkitd", source: "github.com/moby/buildkit",
		flags: []string{"-ldflags=-s -w -X github.com/moby/buildkit/version.Version=vVERSION"},
	},
	{
		name: "docker-credential-pass", module: "credhelpers",
		main: "github.com/docker/docker-credential-helpers/pass/cmd", source: "github.com/docker/docker-credential-helpers",
		flags: []string{"-ldflags=-s -w"},
	},
	{
		name: "docker-buildx", module: "buildx",
		main: "github.com/docker/buildx/cmd/buildx", source: "github.com/docker/buildx",
		flags: []string{"-ldflags=-s -w"},
	},
}
