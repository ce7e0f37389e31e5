package plugin

import (
	"encoding/pem"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
)

// A puller is a program that pulls images, on this machine or another, and
// reads from a file of its own which authorities it trusts.
type puller struct {
	name string
	// certificates is where the authority of a host goes: it stands for HOST.
	certificates string
	// config is a second file, which names the first as CA; empty where the
	// program looks for that by itself.
	config, content string
	// shared: config is about all registries, so that one may be there already.
	shared bool
	// notes are what else there is to know, a line each.
	notes []string
}

var pullers = []puller{
	{
		name: "docker", certificates: "/etc/docker/certs.d/HOST/ca.crt",
		notes: []string{
			"For dockerd, which reads it at the next pull; rootless, the directory is",
			"~/.config/docker/certs.d/HOST. In a build, the docker command itself asks",
			"the registry to be let in: SSL_CERT_FILE=CA docker build …",
		},
	},
	{
		name: "containerd", certificates: "/etc/containerd/certs.d/HOST/ca.crt",
		config: "/etc/containerd/certs.d/HOST/hosts.toml", content: "server = \"https://HOST\"\nca = \"CA\"\n",
		notes: []string{
			"For containerd, which reads it at the next pull. Before version 2,",
			"/etc/containerd/config.toml needs config_path = \"/etc/containerd/certs.d\"",
			"in [plugins.\"io.containerd.grpc.v1.cri\".registry].",
		},
	},
	{
		name: "k3s", certificates: "/etc/rancher/k3s/certs.d/HOST/ca.crt",
		config: "/etc/rancher/k3s/registries.yaml", content: "configs:\n  \"HOST\":\n    tls:\n      ca_file: \"CA\"\n", shared: true,
		notes: []string{"For k3s, on each node; then: systemctl restart k3s (or k3s-agent)."},
	},
	{
		name: "podman", certificates: "/etc/containers/certs.d/HOST/ca.crt",
		notes: []string{"For podman, buildah, skopeo and CRI-O, which read it at the next pull.", "Of a user, the directory is ~/.config/containers/certs.d/HOST."},
	},
	{
		name: "buildkit", certificates: "/etc/buildkit/certs.d/HOST/ca.crt",
		config: "/etc/buildkit/buildkitd.toml", content: "[registry.\"HOST\"]\n  ca = [\"CA\"]\n", shared: true,
		notes: []string{
			"For buildkitd, which reads it when it starts. For a container of it:",
			"docker buildx create --use --buildkitd-config /etc/buildkit/buildkitd.toml",
		},
	},
}

// pullerNames are what --print takes.
func pullerNames() (names []string) {
	for _, r := range pullers {
		names = append(names, r.name)
	}
	return names
}

// printPin writes a shell script that makes another program trust what is
// pinned for the host.
func (a *app) printPin(name, host string) error {
	i := slices.IndexFunc(pullers, func(r puller) bool { return r.name == name })
	if i < 0 {
		return fault.Usage(fmt.Errorf("--print %q is not one of %s", name, strings.Join(pullerNames(), ", ")))
	}
	host, err := registry.NormalizeHost(host)
	if err != nil {
		return fault.Usage(err)
	}
	pins, err := certs.Pins()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(pins, func(p certs.Pin) bool { return p.Host == host })
	if at < 0 {
		return fault.WithHint(fmt.Errorf("nothing is pinned for %s", host), "docker gitea trust "+host)
	}
	var certificates strings.Builder
	for _, c := range pins[at].Certificates {
		certificates.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	_, err = io.WriteString(a.Stdout, pullers[i].script(host, certificates.String()))
	return err
}

// sharedScript writes a file that is about other registries as well. One that
// is there and lacks the certificate is for its owner to change.
const sharedScript = `config=%s
grep -qsF '%s' $config && exit 0
if test -e $config; then
	echo "$config is there already; add to it:" >&2
	config=/dev/stderr
fi
cat >$config <<'END'
%sEND
test $config != /dev/stderr
`

// script is for a shell on the machine that pulls, as root.
func (r puller) script(host, certificates string) string {
	ca := strings.ReplaceAll(r.certificates, "HOST", host)
	filled := strings.NewReplacer("HOST", host, "CA", ca)
	var b strings.Builder
	for _, note := range r.notes {
		fmt.Fprintln(&b, "#", filled.Replace(note))
	}
	fmt.Fprintln(&b, "set -e")
	fmt.Fprintf(&b, "mkdir -p %s\n", shellWord(path.Dir(ca)))
	writeFile := func(file, content string) {
		fmt.Fprintf(&b, "cat >%s <<'END'\n%sEND\n", shellWord(file), content)
	}
	writeFile(ca, certificates)
	if r.config == "" {
		return b.String()
	}
	config := filled.Replace(r.config)
	if !r.shared {
		writeFile(config, filled.Replace(r.content))
		return b.String()
	}
	fmt.Fprintf(&b, sharedScript, config, ca, filled.Replace(r.content))
	return b.String()
}

// shellWord quotes the name of a file for a shell, where that is needed: for
// the brackets of an address.
func shellWord(file string) string {
	if strings.ContainsAny(file, "[]%") {
		return "'" + file + "'"
	}
	return file
}
