package registrytest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
	"sync"

	digest "github.com/opencontainers/go-digest"
)

// store is what the registry holds. Gitea keeps a package for each image,
// with a version for each manifest reference and an internal version for
// uploaded blobs that no manifest names yet; each version has files, each file
// is a blob. A blob can be had as long as a file is it.
type store struct {
	discardAbove int64

	// mu guards the fields below.
	mu           sync.Mutex
	repositories map[string]*repository
	sessions     map[string]*session
	lastSession  int
}

// content is a blob, shared by all files that are it.
type content struct {
	digest string
	size   int64
	data   []byte
	// discarded says that the bytes were not kept.
	discarded bool
}

// is reports whether d, of whatever algorithm, is the digest of the bytes.
func (c *content) is(d string) bool {
	parsed := digest.Digest(d)
	return !c.discarded && parsed.Validate() == nil && parsed.Algorithm().FromBytes(c.data) == parsed
}

// file is a blob in a version, under the media type its manifest gives it.
type file struct {
	*content

	mediaType string
	// alias is another digest that the blob is known by. Empty means its own.
	alias string
}

// name is the digest that the file is found by.
func (f file) name() string { return cmp.Or(f.alias, f.digest) }

// version is a manifest under one reference, a tag or a digest.
type version struct {
	reference string
	tagged    bool
	manifest  file
	blobs     []file
}

// repository is an image of an owner.
type repository struct {
	name    string // "owner/image"
	owner   *account
	uploads []file
	// versions are ordered by their creation.
	versions []*version
}

func (s *store) init(discardAbove int64) {
	s.discardAbove = discardAbove
	s.repositories = make(map[string]*repository)
	s.sessions = make(map[string]*session)
}

// open returns the repository of that name, made if need be. The caller holds
// mu.
func (s *store) open(name string, owner *account) *repository {
	repo := s.repositories[name]
	if repo == nil {
		repo = &repository{name: name, owner: owner}
		s.repositories[name] = repo
	}
	return repo
}

// sorted are all repositories by name. The caller holds mu.
func (s *store) sorted() []*repository {
	var repos []*repository
	for _, repo := range s.repositories {
		repos = append(repos, repo)
	}
	slices.SortFunc(repos, func(a, b *repository) int { return strings.Compare(a.name, b.name) })
	return repos
}

// add keeps an uploaded blob until a manifest names it.
func (s *store) add(name string, owner *account, blob file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.open(name, owner)
	if !slices.ContainsFunc(repo.uploads, func(f file) bool { return f.name() == blob.name() }) {
		repo.uploads = append(repo.uploads, blob)
	}
}

// touch makes the repository exist, without content.
func (s *store) touch(name string, owner *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open(name, owner)
}

// blob finds a blob of that digest in one repository, manifests included.
func (s *store) blob(name, digest string) (file, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repositories[name].blob(digest)
}

// upload finds a blob of that digest in one repository, by itself.
func (s *store) upload(name, digest string) (file, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo := s.repositories[name]; repo != nil {
		if i := slices.IndexFunc(repo.uploads, func(f file) bool { return f.name() == digest }); i >= 0 {
			return repo.uploads[i], true
		}
	}
	return file{}, false
}

func (r *repository) blob(digest string) (file, bool) {
	if r == nil {
		return file{}, false
	}
	// An empty digest is no condition at all: models/packages/container/search.go.
	is := func(f file) bool { return digest == "" || f.name() == digest }
	if i := slices.IndexFunc(r.uploads, is); i >= 0 {
		return r.uploads[i], true
	}
	for _, v := range r.versions {
		if i := slices.IndexFunc(v.blobs, is); i >= 0 {
			return v.blobs[i], true
		}
		if is(v.manifest) {
			return v.manifest, true
		}
	}
	return file{}, false
}

// version finds a manifest by digest or by reference.
func (r *repository) version(reference string) *version {
	if r == nil {
		return nil
	}
	for _, v := range r.versions {
		if v.manifest.digest == reference || v.reference == reference {
			return v
		}
	}
	return nil
}

// files are all files of a repository.
func (r *repository) files() []file {
	all := slices.Clone(r.uploads)
	for _, v := range r.versions {
		all = append(append(all, v.blobs...), v.manifest)
	}
	return all
}

// spool takes the bytes of a blob as they come.
type spool struct {
	keep int64 // bytes kept at most, 0 for all
	hash hash.Hash

	size      int64
	data      []byte
	discarded bool
}

func (s *store) newSpool() *spool { return &spool{keep: s.discardAbove, hash: sha256.New()} }

// Write implements [io.Writer]. It never fails.
func (s *spool) Write(p []byte) (int, error) {
	s.hash.Write(p)
	s.size += int64(len(p))
	if s.keep > 0 && s.size > s.keep {
		s.data, s.discarded = nil, true
	}
	if !s.discarded {
		s.data = append(s.data, p...)
	}
	return len(p), nil
}

func (s *spool) content() *content {
	return &content{
		digest: "sha256:" + hex.EncodeToString(s.hash.Sum(nil)),
		size:   s.size, data: s.data, discarded: s.discarded,
	}
}

// deleteBlob removes every file of one repository that is that blob.
func (s *store) deleteBlob(name, digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repositories[name]
	if repo == nil {
		return
	}
	is := func(f file) bool { return f.name() == digest }
	repo.uploads = slices.DeleteFunc(repo.uploads, is)
	for _, v := range repo.versions {
		v.blobs = slices.DeleteFunc(v.blobs, is)
	}
}

// deleteManifest removes the versions of a reference, and reports whether
// there were any.
func (s *store) deleteManifest(name, reference string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repositories[name]
	if repo == nil {
		return false
	}
	before := len(repo.versions)
	repo.versions = slices.DeleteFunc(repo.versions, func(v *version) bool {
		return v.reference == reference || v.manifest.digest == reference
	})
	return len(repo.versions) < before
}
