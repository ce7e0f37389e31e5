// Package cache is what one push leaves to the next, in files of the user: what
// layers and images became, what a tag was pointed at, how a host takes blobs, and
// where an upload was broken off. It is a hint: the registry is asked before it is
// relied on. What may be kept, and under which key, those decide who keep it
// (remember.go of package push).
//
//   - cache.go: the entries
//   - session.go: uploads that another process goes on with
package cache

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Cache remembers what compressing a layer gave and which manifest an image
// became, so that an unchanged image is pushed without reading it, what a tag
// was pointed at, and in which ways a host takes blobs. It is a directory of small files, safe to be
// used by several processes at once and to be deleted at any time. What it
// says is a hint: the registry is asked before it is relied on.
type Cache struct{ dir string }

// maxEntries bounds the files of each kind; the oldest go first.
const maxEntries = 4096

// New returns a cache in dir, which need not exist.
func New(dir string) *Cache { return &Cache{dir: dir} }

// Layer is what a raw layer became.
type Layer struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
}

// Image is the manifest that an image became.
type Image struct {
	MediaType string `json:"mediaType"`
	Manifest  []byte `json:"manifest"`
}

// Host is what was learned about a host: the ways in which it takes blobs,
// and when the first of that was found out. It cannot be wrong, since it is
// about speed alone. Smaller requests than a host would take, more of them, and
// bodies sent without asking first are what every registry has to take; and
// what becomes of an upload is told by its answers, whatever was tried first. A
// limit in time was met on a line that may be quicker or slower today: then parts
// are smaller than they need be, or are found too large once more.
type Host struct {
	Chunk    int64     `json:"chunk,omitempty"`
	Jobs     int       `json:"jobs,omitempty"`
	NoSingle bool      `json:"noSingle,omitempty"`
	NoExpect bool      `json:"noExpect,omitempty"`
	Found    time.Time `json:"found"`
}

// hostMemory is how long that is believed. A proxy may be mended and a registry
// be replaced, and who refuses a large request says so before it is sent.
const hostMemory = 7 * 24 * time.Hour

// clockSteps is how far back a clock may be set now and then that is right.
const clockSteps = time.Minute

// Layer is what a raw layer became in one form, if that is known.
func (c *Cache) Layer(diffID digest.Digest, compression image.Compression) (Layer, bool) {
	var e Layer
	ok := c.read(&e, "layers", cacheKey(diffID, compression))
	return e, ok && e.Digest.Validate() == nil && e.Size > 0
}

// KeepLayer notes what a raw layer became in one form.
func (c *Cache) KeepLayer(diffID digest.Digest, compression image.Compression, e Layer) error {
	return c.write(e, "layers", cacheKey(diffID, compression))
}

// Beginning is the digest of the first bytes of a raw layer, see
// standin.go of package relay; empty where that is not known.
func (c *Cache) Beginning(diffID digest.Digest) digest.Digest {
	var d digest.Digest
	_ = c.read(&d, "beginnings", diffID.Encoded()) // absent is as good as empty
	return d
}

// KeepBeginning notes what a raw layer begins with.
func (c *Cache) KeepBeginning(diffID, d digest.Digest) error {
	return c.write(d, "beginnings", diffID.Encoded())
}

// Image is the manifest that an image became in one form, if that is known.
func (c *Cache) Image(id digest.Digest, compression image.Compression, platform string) (Image, bool) {
	var e Image
	ok := c.read(&e, "images", imageKey(id, compression, platform))
	return e, ok && len(e.Manifest) > 0
}

// KeepImage notes it.
func (c *Cache) KeepImage(id digest.Digest, compression image.Compression, platform string, e Image) error {
	return c.write(e, "images", imageKey(id, compression, platform))
}

// Host is what is known of host, which may be nothing. What a clock noted that was
// ahead is not believed: nobody knows how old it is.
func (c *Cache) Host(host string, now time.Time) Host {
	var e Host
	known := c.read(&e, "hosts", digest.FromString(host).Encoded())
	if age := now.Sub(e.Found); !known || age < -clockSteps || age > hostMemory {
		return Host{Found: now}
	}
	e.Chunk, e.Jobs = max(e.Chunk, 0), max(e.Jobs, 0)
	return e
}

// KeepHost adds found to what is known of host. What was found first says when all
// of it is forgotten: nothing is believed longer because more was found.
func (c *Cache) KeepHost(host string, found Host, now time.Time) error {
	e := c.Host(host, now)
	e.Chunk, e.Jobs = cmp.Or(found.Chunk, e.Chunk), cmp.Or(found.Jobs, e.Jobs)
	e.NoSingle = e.NoSingle || found.NoSingle
	e.NoExpect = e.NoExpect || found.NoExpect
	return c.write(e, "hosts", digest.FromString(host).Encoded())
}

// tagEntry is what a tag was made to point at.
type tagEntry struct {
	Digest digest.Digest `json:"digest"`
}

// Tagged is the manifest that the last push of a full reference gave it.
func (c *Cache) Tagged(reference string) digest.Digest {
	var e tagEntry
	_ = c.read(&e, "tags", digest.FromString(reference).Encoded()) // absent is as good as empty
	return e.Digest
}

// KeepTagged notes what a tag was made to point at.
func (c *Cache) KeepTagged(reference string, d digest.Digest) error {
	return c.write(tagEntry{d}, "tags", digest.FromString(reference).Encoded())
}

// Place is where a daemon was let push to.
type Place struct {
	Address    string `json:"address"`
	Repository string `json:"repository"`
}

// Loopback is where a daemon was let push to the last time, in this network.
func (c *Cache) Loopback() (Place, bool) {
	var e Place
	found := c.read(&e, "hosts", "loopback")
	left, valid := registry.ParseLeftover(e.Address + "/" + e.Repository + ":" + registry.LoopbackTag)
	return e, found && valid && left.Here
}

// KeepLoopback notes it.
func (c *Cache) KeepLoopback(e Place) error { return c.write(e, "hosts", "loopback") }

// Pushed returns how many of an image's layers, from the bottom on, were pushed
// to host before, in whichever way. They need not be compressed again.
func (c *Cache) Pushed(host string, diffIDs []digest.Digest) int {
	for i, d := range diffIDs {
		if !c.read(&struct{}{}, "pushed", pairKey(host, d)) {
			return i
		}
	}
	return len(diffIDs)
}

// KeepPushed notes that a host got a layer.
func (c *Cache) KeepPushed(host string, diffID digest.Digest) error {
	return c.write(struct{}{}, "pushed", pairKey(host, diffID))
}

// holdersEntry are repositories of a host that got a blob from here, the latest
// last.
type holdersEntry struct {
	Repositories []string `json:"repositories"`
}

// maxHolders is how many of them are kept.
const maxHolders = 16

// Holder is the repository of host that may have a blob: the destination
// itself, or one that the blob can be mounted from. It is empty where none is
// known.
func (c *Cache) Holder(host, destination string, d digest.Digest) string {
	var e holdersEntry
	_ = c.read(&e, "holders", pairKey(host, d)) // absent is as good as empty
	switch {
	case len(e.Repositories) == 0:
		return ""
	case slices.Contains(e.Repositories, destination):
		return destination
	}
	return e.Repositories[len(e.Repositories)-1]
}

// KeepHolder notes that a repository of host has a blob.
func (c *Cache) KeepHolder(host, repository string, d digest.Digest) error {
	var e holdersEntry
	_ = c.read(&e, "holders", pairKey(host, d)) // absent is as good as empty
	if slices.Contains(e.Repositories, repository) {
		return nil
	}
	e.Repositories = append(e.Repositories, repository)
	e.Repositories = e.Repositories[max(len(e.Repositories)-maxHolders, 0):]
	return c.write(e, "holders", pairKey(host, d))
}

// standInEntry is what a digest that a daemon uses at a loopback registry
// stands for; see package relay.
type standInEntry struct {
	DiffIDs []digest.Digest `json:"diffIDs"`
}

// StandsFor are the layers that a digest stands for at a loopback registry; several may begin alike.
func (c *Cache) StandsFor(repository string, d digest.Digest) []digest.Digest {
	var e standInEntry
	_ = c.read(&e, "standins", pairKey(repository, d)) // absent is as good as empty
	return e.DiffIDs
}

// KeepStandsFor notes one.
func (c *Cache) KeepStandsFor(repository string, d, diffID digest.Digest) error {
	e := standInEntry{c.StandsFor(repository, d)}
	if slices.Contains(e.DiffIDs, diffID) {
		return nil
	}
	e.DiffIDs = append(e.DiffIDs, diffID)
	return c.write(e, "standins", pairKey(repository, d))
}

// Taught reports whether the daemon has a digest for a layer at the loopback
// registry.
func (c *Cache) Taught(repository string, diffID digest.Digest) bool {
	return c.read(&struct{}{}, "taught", pairKey(repository, diffID))
}

// KeepTaught notes that the daemon has a digest for a layer.
func (c *Cache) KeepTaught(repository string, diffID digest.Digest) error {
	return c.write(struct{}{}, "taught", pairKey(repository, diffID))
}

// Named reports whether a layer of that name in its archive was sent to a
// repository of host before. Another layer may have the name by now: it is
// worth waiting for the digest, and no more.
func (c *Cache) Named(host, repository, name string) bool {
	return c.read(&struct{}{}, "names", namedKey(host, repository, name))
}

// KeepNamed notes that a layer of that name was sent.
func (c *Cache) KeepNamed(host, repository, name string) error {
	return c.write(struct{}{}, "names", namedKey(host, repository, name))
}

func namedKey(host, repository, name string) string {
	return digest.FromString(fmt.Sprintf("%s %s %s", host, repository, name)).Encoded()
}

func pairKey(name string, d digest.Digest) string {
	return digest.FromString(name + " " + d.String()).Encoded()
}

func cacheKey(id digest.Digest, compression image.Compression) string {
	return digest.FromString(fmt.Sprintf("%s %s", id, compression)).Encoded()
}

func imageKey(id digest.Digest, compression image.Compression, platform string) string {
	return digest.FromString(fmt.Sprintf("%s %s %s", id, compression, platform)).Encoded()
}

// read reports whether there was a usable entry, whole and written under this
// key. Anything else counts as none.
func (c *Cache) read(entry any, kind, key string) bool {
	if c == nil || c.dir == "" {
		return false
	}
	file, err := ownfile.Read(filepath.Join(c.dir, kind, key))
	seal, data, sealed := bytes.Cut(file, []byte("\n"))
	return err == nil && sealed && string(seal) == sealOf(kind, key, data) && json.Unmarshal(data, entry) == nil
}

// sealOf is the first line of an entry's file. It shows that the rest has not
// been damaged, nor copied from the file of another key.
func sealOf(kind, key string, data []byte) string {
	return digest.FromString(kind + " " + key + "\n" + string(data)).Encoded()
}

// write replaces an entry as a whole, so that no reader meets half of one. What
// root writes into a user's cache stays that user's.
func (c *Cache) write(entry any, kind, key string) error {
	if c == nil || c.dir == "" {
		return nil
	}
	dir := filepath.Join(c.dir, kind)
	if err := ownfile.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write cache: %w", err)
	}
	data, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("write cache: %w", err)
	}
	sealed := append([]byte(sealOf(kind, key, data)+"\n"), data...)
	if err := ownfile.WriteUnflushed(filepath.Join(dir, key), sealed, 0o600); err != nil {
		return fmt.Errorf("write cache: %w", err)
	}
	return prune(dir)
}

// prune removes the oldest entries of a directory that has too many.
func prune(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) <= maxEntries {
		return err
	}
	age := func(e fs.DirEntry) time.Time {
		info, err := e.Info()
		if err != nil {
			return time.Time{} // another process removed it
		}
		return info.ModTime()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return age(a).Compare(age(b)) })
	var errs []error
	for _, e := range entries[:len(entries)-maxEntries/2] {
		errs = append(errs, ownfile.Remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}
