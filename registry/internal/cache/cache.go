// Package cache is what one push leaves to the next, in files of the user: what
// layers and images became, what a tag was pointed at, how a host takes blobs, and
// where an upload was broken off. It is a hint: the registry is asked before it is
// relied on. What may be kept, and under which key, those decide who keep it
// (remember.go of package push).
//
// It takes and gives entries, reads and writes files in one directory, and logs by itself
// what it cannot write. It makes no request. Begin with blob.go.
//
//   - cache.go: images, tags, hosts, and the entries as files; blob.go: what is asked
//     of a blob before it is sent, and what is learned of it
//   - session.go: uploads that another process goes on with
package cache

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// Cache remembers what a layer became when it was compressed and which manifest an
// image became, so that an unchanged image is pushed without reading it. It also
// remembers what a tag was pointed at, and the ways that a host takes blobs. It is a
// directory of small files. Several processes may use it at once, and anybody may delete
// it at any time. It is a hint: the registry is asked before anything relies on it. If a
// file cannot be written, the cache logs that, and callers need not mind.
type Cache struct {
	dir string
	log *slog.Logger
}

// maxEntries bounds the files of each kind; the oldest go first.
const maxEntries = 4096

// New returns a cache in dir, which need not exist; empty is none, in which nothing
// is found or kept.
func New(dir string, log *slog.Logger) *Cache { return &Cache{dir: dir, log: log} }

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

// Image is the manifest that an image became in one form, if that is known.
func (c *Cache) Image(id digest.Digest, compression image.Compression, platform string) (Image, bool) {
	var e Image
	ok := c.read(&e, "images", imageKey(id, compression, platform))
	return e, ok && len(e.Manifest) > 0
}

// KeepImage notes it.
func (c *Cache) KeepImage(id digest.Digest, compression image.Compression, platform string, e Image) {
	c.write(e, "images", imageKey(id, compression, platform))
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
func (c *Cache) KeepHost(host string, found Host, now time.Time) {
	e := c.Host(host, now)
	e.Chunk, e.Jobs = cmp.Or(found.Chunk, e.Chunk), cmp.Or(found.Jobs, e.Jobs)
	e.NoSingle = e.NoSingle || found.NoSingle
	e.NoExpect = e.NoExpect || found.NoExpect
	c.write(e, "hosts", digest.FromString(host).Encoded())
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
func (c *Cache) KeepTagged(reference string, d digest.Digest) {
	c.write(tagEntry{d}, "tags", digest.FromString(reference).Encoded())
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
func (c *Cache) KeepLoopback(e Place) { c.write(e, "hosts", "loopback") }

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
func (c *Cache) KeepStandsFor(repository string, d, diffID digest.Digest) {
	e := standInEntry{c.StandsFor(repository, d)}
	if slices.Contains(e.DiffIDs, diffID) {
		return
	}
	e.DiffIDs = append(e.DiffIDs, diffID)
	c.write(e, "standins", pairKey(repository, d))
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

// write replaces an entry, and logs where it cannot.
func (c *Cache) write(entry any, kind, key string) {
	if c == nil || c.dir == "" {
		return
	}
	c.failed("write "+kind, c.replace(entry, kind, key))
}

// failed logs what could not be done.
func (c *Cache) failed(what string, err error) {
	if err != nil {
		c.log.Debug("went on after a failure", slog.String("what", "cache: "+what), slog.String("cause", printable.Clean(err.Error())))
	}
}

// replace replaces an entry as a whole, so that no reader meets half of one. What
// root writes into a user's cache stays that user's.
func (c *Cache) replace(entry any, kind, key string) error {
	dir := filepath.Join(c.dir, kind)
	if err := ownfile.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	sealed := append([]byte(sealOf(kind, key, data)+"\n"), data...)
	if err := ownfile.WriteUnflushed(filepath.Join(dir, key), sealed, 0o600); err != nil {
		return err
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
