//go:build e2e

package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestLayersThatTheDaemonDoesNotHold has the containerd store pull an image of
// whose layers it has the files already, compressed otherwise: it leaves those
// layers in the registry. A push to another registry takes them from there, and
// one that cannot names them.
func TestLayersThatTheDaemonDoesNotHold(t *testing.T) {
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	g, other := gitea(t), registry(t)
	e, err := servers.StartEngine(t.Context(), servers.Containerd, servers.EngineOptions{Args: []string{"--insecure-registry", g.Host}})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, e.Stop) })
	name := newUser(t, g)
	built, pulled := name+"/app:built", g.Host+"/"+name+"/app:1"
	servers.Need(t, e.Build(t.Context(), built, samples.BuildContext(t, 50, 5<<20)))
	archive := filepath.Join(t.TempDir(), "built.tar")
	save(t, e, built, archive)
	auth, err := g.Env(t.TempDir(), name, servers.AdminPassword)
	servers.Need(t, err)
	run(t, auth, program(t, "skopeo"), "copy", "--quiet", "--format", "oci", "--dest-compress-format", "zstd",
		"docker-archive:"+archive, "docker://"+pulled)
	authorities := filepath.Join(t.TempDir(), "authorities.pem")
	run(t, nil, "bash", "-c", `cat "$0" "$1" >"$2"`, g.CAFile, other.CAFile, authorities)
	// The variable is for the registry that is pushed to; the image's own has to
	// be known from the file.
	config := filepath.Join(t.TempDir(), "gitea.yaml")
	servers.Need(t, os.WriteFile(config, []byte("apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n- spec: {caFiles: ["+authorities+"]}\n"), 0o600))
	token, err := g.CreateToken(t.Context(), name, "read:package")
	servers.Need(t, err)
	env := append(e.Env(), "HOME="+t.TempDir(), "PLUGIN="+plugin, "PULLED="+pulled, "DOCKER="+program(t, "docker"),
		"OTHER="+other.Host+"/"+name, "HOST="+g.Host, "NAME="+name, "TOKEN="+token, "DOCKER_GITEA_CONFIG_FILE="+config, "CA="+other.CAFile)
	out := run(t, env, "bash", "-c", `set -e
"$DOCKER" login -u "$NAME" --password-stdin "$HOST" <<<"$TOKEN" 2>&1
"$DOCKER" pull -q "$PULLED"
if DOCKER_GITEA_CONFIG_FILE= DOCKER_GITEA_CA_FILE="$CA" "$PLUGIN" gitea push --progress plain --format json "$PULLED" "$OTHER/app:1" 2>&1; then exit 1; fi
if "$PLUGIN" gitea push --via daemon "$PULLED" "$OTHER/app:1" 2>&1; then exit 1; fi
"$PLUGIN" gitea push "$PULLED" "$OTHER/app:1" 2>&1
"$DOCKER" image rm "$PULLED" "$NAME/app:built"
"$DOCKER" builder prune -af
"$DOCKER" pull -q "$PULLED"
"$DOCKER" image save "$PULLED" | tar t | grep -c blobs/sha256/.
`)
	for _, want := range []string{
		"neither the source nor the registry has sha256:", "hint: docker gitea trust " + g.Host + " ", `"bytesSent":0,`,
		"the daemon could not push: it does not hold all layers of the image", "hint: --via export", "\n1: digest: sha256:", "\n4\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the output:\n%s", want, out)
		}
	}
}
