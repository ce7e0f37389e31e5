package image

import (
	"archive/tar"
	"io/fs"
	"path/filepath"
	"testing"

	digest "github.com/opencontainers/go-digest"
)

// FuzzCleanName takes anything for the name of a file, and for what it links
// to: what is accepted stays within the source.
func FuzzCleanName(f *testing.F) {
	f.Add("./a//b", "../c", false)
	f.Add("manifest.json", "/etc/passwd", true)
	f.Add("a/../../b", "..", false)
	f.Add("a/..", "\x00", true)
	f.Add(`..\a`, `C:\a`, false)
	f.Add("blobs/sha256/", "a/./b/", true)
	f.Fuzz(func(t *testing.T, name, link string, hard bool) {
		within := func(name string) {
			cleaned, err := cleanName(name)
			if err != nil {
				return
			}
			if again, err := cleanName(cleaned); !fs.ValidPath(cleaned) || !filepath.IsLocal(cleaned) || again != cleaned {
				t.Errorf("%q is taken for %q, then %q (%v)", name, cleaned, again, err)
			}
		}
		within(name)
		header := &tar.Header{Typeflag: tar.TypeSymlink, Linkname: link}
		if hard {
			header.Typeflag = tar.TypeLink
		}
		if cleaned, err := cleanName(name); err == nil {
			within(linkTarget(cleaned, header))
		}
	})
}

// FuzzBlobName takes anything for a digest.
func FuzzBlobName(f *testing.F) {
	f.Add(digest.FromString("a").String())
	f.Add("sha512:" + digest.SHA512.FromString("a").Encoded())
	f.Add("sha256:../../../../etc/passwd")
	f.Add("sha256")
	f.Fuzz(func(t *testing.T, text string) {
		name, err := blobName(digest.Digest(text), "index.json")
		if err != nil {
			return
		}
		if cleaned, err := cleanName(name); cleaned != name || err != nil || digestOf(name) != digest.Digest(text) {
			t.Errorf("%q is at %q, which is %q (%v)", text, name, digestOf(name), err)
		}
	})
}
