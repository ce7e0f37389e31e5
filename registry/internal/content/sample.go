package content

import (
	"bytes"
	"io"
	"sync"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Sample keeps parts of a raw layer while that is read, in order to estimate how large
// it would be compressed. The parts are spread evenly, whatever its size. It is safe for
// concurrent use.
type Sample struct {
	// mu guards the fields below.
	mu sync.Mutex
	// every is the distance from one part to the next, size how much has been read.
	every, size int64
	parts       [mostParts][]byte
	// is tells that this is a raw layer, was read that its first bytes have shown it.
	is, was bool
}

const (
	// partSize is as far as gzip looks back.
	partSize  = 32 << 10
	mostParts = 64
	// firstEvery is the distance until the parts are too many.
	firstEvery = 4 * partSize
)

// Reader takes its parts of what r reads from offset on.
func (s *Sample) Reader(r io.ReadCloser, offset int64) io.ReadCloser {
	return &sampledReader{ReadCloser: r, sample: s, offset: offset}
}

type sampledReader struct {
	io.ReadCloser
	sample *Sample
	offset int64
}

func (r *sampledReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.sample.take(r.offset, p[:n])
	r.offset += int64(n)
	return n, err
}

// isTar reports that data begins a tar (POSIX ustar, and GNU's).
func isTar(data []byte) bool {
	const at = 257
	return len(data) > at && bytes.HasPrefix(data[at:], []byte("ustar"))
}

// take takes what belongs to a part, unless it was taken before.
func (s *Sample) take(offset int64, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.was && offset == 0 {
		s.is, s.was, s.every = isTar(data), true, firstEvery
	}
	end := offset + int64(len(data))
	if !s.is || len(data) == 0 {
		return
	}
	s.size = max(s.size, end)
	for (end-1)/s.every >= mostParts {
		s.thin()
	}
	for i := offset / s.every; i*s.every < end; i++ {
		begin := i * s.every
		from, to := begin+int64(len(s.parts[i])), min(end, begin+partSize)
		if offset <= from && from < to {
			s.parts[i] = append(s.parts[i], data[from-offset:to-offset]...)
		}
	}
}

// thin leaves out every second part.
func (s *Sample) thin() {
	for i := range s.parts {
		var kept []byte
		if 2*i < mostParts {
			kept = s.parts[2*i]
		}
		s.parts[i] = kept
	}
	s.every *= 2
}

// Estimate is how many bytes were read of a raw layer, and how many fewer they would be
// compressed, as far as the parts tell. Both are 0 of anything else.
func (s *Sample) Estimate(form image.Compression) (size, saved int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var taken, compressed counter
	w, err := form.NewWriter(&compressed)
	if err != nil {
		return 0, 0, err
	}
	for _, part := range s.parts {
		if _, err := io.MultiWriter(&taken, w).Write(part); err != nil {
			_ = w.Close() // it may only fail for the same reason once more
			return 0, 0, err
		}
	}
	if err := w.Close(); err != nil || taken == 0 {
		return 0, 0, err
	}
	return s.size, int64(float64(s.size) * max(0, 1-float64(compressed)/float64(taken))), nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
