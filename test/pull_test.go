//go:build e2e

package test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// blobs maps the digest of each blob, manifests among them, to its size.
type blobs map[string]int64

// pull fetches an image, all platforms of it, with skopeo and with crane, has
// crane validate it (the image for this platform: it takes attestations for
// broken images), and returns its blobs, every one hashed anew. Both
// programs must find the same. An empty user pulls without credentials.
func pull(t *testing.T, s *servers.Server, user, password, ref string) blobs {
	t.Helper()
	env, err := s.Env(t.TempDir(), user, password)
	servers.Need(t, err)
	got, byCrane := pullBySkopeo(t, s, user, password, ref), t.TempDir()
	run(t, env, program(t, "crane"), "pull", "--format=oci", ref, byCrane)
	run(t, env, program(t, "crane"), "validate", "--platform=linux/"+runtime.GOARCH, "--remote", ref)
	if tagged := strings.TrimSpace(run(t, env, program(t, "crane"), "digest", ref)); got[tagged] == 0 {
		t.Errorf("%s is %s, which skopeo did not pull", ref, tagged)
	}
	if diff := cmp.Diff(got, blobsIn(t, filepath.Join(byCrane, "blobs"))); diff != "" {
		t.Errorf("%s: skopeo (-) and crane (+) pull different blobs:\n%s", ref, diff)
	}
	return got
}

// pullBySkopeo is pull without crane, which follows no redirect to an address
// of a private network.
func pullBySkopeo(t *testing.T, s *servers.Server, user, password, ref string) blobs {
	t.Helper()
	env, err := s.Env(t.TempDir(), user, password)
	servers.Need(t, err)
	dir := t.TempDir()
	run(t, env, program(t, "skopeo"), "copy", "--quiet", "--all", "docker://"+ref, "dir:"+dir)
	return blobsIn(t, dir)
}

// blobsIn hashes the files below dir, and fails if one that is named after
// a digest holds something else.
func blobsIn(t *testing.T, dir string) blobs {
	t.Helper()
	found := blobs{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "version" { // skopeo's mark on the folder
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		digest := hex.EncodeToString(sum[:])
		if name, _, _ := strings.Cut(entry.Name(), "."); len(name) == len(digest) && name != digest {
			t.Errorf("blob sha256:%s holds sha256:%s", name, digest)
		}
		found["sha256:"+digest] = int64(len(data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// layoutBlobs returns the blobs of an OCI layout.
func layoutBlobs(t *testing.T, layout string) blobs {
	t.Helper()
	return blobsIn(t, filepath.Join(layout, "blobs"))
}

// assertBlobs compares what was pulled with what was expected, blob for blob.
func assertBlobs(t *testing.T, got, want blobs) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("blobs differ (-want +got):\n%s", diff)
	}
}

// run runs a command, in no environment but env, and returns what it prints.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// decode decodes JSON.
func decode[T any](t *testing.T, data []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("decode %T: %v", v, err)
	}
	return v
}
