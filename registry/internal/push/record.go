package push

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// record is what a push has done so far. It alone tells of that, and lets out one
// event at a time. It is safe for concurrent use, and nothing else holds its lock.
type record struct {
	progress           registry.ProgressFunc // may be nil
	bytesSent, retries atomic.Int64
	refused            atomic.Bool // a request was too large, and the user was told

	// mu guards the fields below.
	mu sync.Mutex
	// sent is what the blobs of the source became, by name.
	sent map[string]image.Sent
	// converted are the manifests that the registry got in another form, by the
	// digest of their own.
	converted map[digest.Digest]image.Manifest
	blobs     []registry.BlobResult
	// mounts has, for each blob that the registry was asked to mount, the
	// repository that the blob was mounted from; empty if it was not mounted.
	mounts map[digest.Digest]string
	// raw are the sizes of the uncompressed layers that manifests name.
	raw map[digest.Digest]int64
	// sampled is how many bytes of raw layers were looked at while they were sent, and
	// saved how many of these compression would save.
	sampled, saved int64
	// lasting are the blobs that can be opened again until the push ends, by
	// name.
	lasting map[string]*image.Blob
}

func newRecord(progress registry.ProgressFunc) *record {
	return &record{
		progress: progress, sent: map[string]image.Sent{}, converted: map[digest.Digest]image.Manifest{},
		mounts: map[digest.Digest]string{}, lasting: map[string]*image.Blob{},
		raw: map[digest.Digest]int64{},
	}
}

// emit passes an event on, one at a time.
func (r *record) emit(e registry.Event) {
	if r.progress == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress(e)
}

// note tells the user a sentence that belongs to no blob.
func (r *record) note(format string, args ...any) {
	r.emit(registry.Event{Note: fmt.Sprintf(format, args...)})
}

// waiting tells of a blob that is still to come.
func (r *record) waiting(blob *image.Blob) {
	e := registry.Event{Name: blob.Name, ID: shortID(blob), Status: registry.StatusWaiting, Total: blob.Size}
	if blob.Compress {
		e.Total = 0 // it will be less
	}
	r.emit(e)
}

// done records what became of a blob. A blob that exists may have been mounted.
func (r *record) done(blob *image.Blob, sent image.Sent, status registry.Status) {
	r.mu.Lock()
	r.sent[blob.Name] = sent
	from := r.mounts[sent.Digest]
	switch {
	case status != registry.StatusExists:
		from = ""
	case from != "":
		status = registry.StatusMounted
	}
	r.blobs = append(r.blobs, registry.BlobResult{Digest: sent.Digest, Size: sent.Size, Status: status, From: from})
	r.mu.Unlock()
	r.emit(registry.Event{
		Name: blob.Name, ID: shortID(blob), Status: status, Current: sent.Size, Total: sent.Size,
		Digest: sent.Digest, From: from,
	})
}

// shortID is what docker shows of a layer: the first digits of its diff ID or
// digest, if that is known from the beginning. So no layer changes its name.
func shortID(blob *image.Blob) string {
	name := blob.Name
	if blob.Digest.Validate() == nil {
		name = blob.Digest.Encoded()
	}
	return name[:min(12, len(name))]
}

// keep notes a blob that can be opened again.
func (r *record) keep(blob *image.Blob) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lasting[blob.Name] = blob
}

// again is the blob that became d, if it can be opened again. The record forgets
// what became of it.
func (r *record) again(d digest.Digest) *image.Blob {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs = slices.DeleteFunc(r.blobs, func(b registry.BlobResult) bool { return b.Digest == d })
	delete(r.mounts, d)
	for name, sent := range r.sent {
		if sent.Digest == d && r.lasting[name] != nil {
			return r.lasting[name]
		}
	}
	return nil
}

// became is what the blob with a name became.
func (r *record) became(name string) image.Sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent[name]
}

// all is what the blobs became, by name.
func (r *record) all() map[string]image.Sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.sent)
}

// compressedForm is the digest under which the layer with a diff ID was sent.
func (r *record) compressedForm(diffID digest.Digest) (digest.Digest, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sent := range r.sent {
		if sent.DiffID == diffID {
			return sent.Digest, true
		}
	}
	return "", false
}

// restart forgets the blobs, since they are those of another way to read the image.
func (r *record) restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.sent)
	r.blobs = nil
}

// results are what became of the blobs.
func (r *record) results() []registry.BlobResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.blobs)
}

// asks notes that the registry is asked to mount a blob from another
// repository. asked reports whether it was asked before, and from is the
// repository from which it mounted the blob then.
func (r *record) asks(d digest.Digest) (from string, asked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from, asked = r.mounts[d]
	if !asked {
		r.mounts[d] = ""
	}
	return from, asked
}

// unmounted forgets that the registry was asked to mount a blob from another
// repository.
func (r *record) unmounted(d digest.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mounts, d)
}

// mounted notes the repository from which the registry mounted a blob.
func (r *record) mounted(d digest.Digest, from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mounts[d] = from
}

// sentAs is m in the form in which the registry got it.
func (r *record) sentAs(m image.Manifest) image.Manifest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if other, ok := r.converted[m.Descriptor.Digest]; ok {
		return other
	}
	return m
}

// conversions are the manifests that the registry got in another form, by the digest
// of their own.
func (r *record) conversions() map[digest.Digest]image.Manifest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.converted)
}

// converts notes that the registry gets m in another form.
func (r *record) converts(m, other image.Manifest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.converted[m.Descriptor.Digest] = other
}

// names notes the uncompressed layers of manifests.
func (r *record) names(all ...image.Manifest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range all {
		for _, d := range m.Raw() {
			r.raw[d.Digest] = d.Size
		}
	}
}

// estimates notes what compression would save of a layer.
func (r *record) estimates(size, saved int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sampled, r.saved = r.sampled+size, r.saved+saved
}

// uncompressed is how many bytes the uncompressed layers have together, and how many of
// these compression would save; 0 if none of the layers was sent.
func (r *record) uncompressed() (size, saved int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.raw {
		size += n
	}
	if r.sampled > 0 {
		saved = int64(float64(size) * float64(r.saved) / float64(r.sampled))
	}
	return size, saved
}

// add takes over what a part of the push has done. The part has sent its events
// itself.
func (r *record) add(part *record) {
	blobs, converted := part.results(), part.conversions()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs = append(r.blobs, blobs...)
	maps.Copy(r.converted, converted)
	r.bytesSent.Add(part.bytesSent.Load())
	r.retries.Add(part.retries.Load())
}
