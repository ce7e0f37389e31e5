package image

import (
	"io"
	"runtime"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

const (
	// zstdFrame is how much goes into one frame, and the reach of a match.
	// Twice as much makes 0.7 % less of a layer and holds twice the memory.
	zstdFrame = 2 << 20
	// zstdThreads bounds the frames made at the same time, each of which takes
	// about 5 MiB.
	zstdThreads = 4
	// zstdHeavy is the level from which on an encoder takes 34 MiB by itself.
	zstdHeavy = zstd.SpeedBestCompression
)

// frames compresses with zstd, in frames of a fixed size that are made side by
// side: one frame is made on one processor, and decoders take many for one
// stream (RFC 8878, section 3.1).
type frames struct {
	encoder *zstd.Encoder
	block   []byte                // raw, to be filled
	free    chan []byte           // blocks to be used again
	spare   chan []byte           // frames that were written, likewise
	queue   chan chan []byte      // frames, in order
	written chan error            // of the goroutine that writes
	failed  atomic.Pointer[error] // why writing has ended
	begun   bool                  // there was a frame
}

func newFrames(w io.Writer, level zstd.EncoderLevel) (*frames, error) {
	threads := min(runtime.GOMAXPROCS(0), zstdThreads)
	if level >= zstdHeavy {
		threads = 1
	}
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(threads),
		zstd.WithWindowSize(zstdFrame), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	f := &frames{
		encoder: encoder, free: make(chan []byte, threads+1), spare: make(chan []byte, threads+1),
		queue: make(chan chan []byte, threads-1), written: make(chan error, 1),
	}
	go f.writeTo(w)
	return f, nil
}

// Write takes p. After a failure to write it takes no more, and says why.
func (f *frames) Write(p []byte) (int, error) {
	taken := 0
	for len(p) > 0 {
		if failed := f.failed.Load(); failed != nil {
			return taken, *failed
		}
		if f.block == nil {
			f.block = reuse(f.free, zstdFrame)
		}
		n := min(len(p), zstdFrame-len(f.block))
		f.block = append(f.block, p[:n]...)
		p, taken = p[n:], taken+n
		if len(f.block) == zstdFrame {
			f.flush()
		}
	}
	return taken, nil
}

// reuse takes a buffer that is not needed any more, or makes one.
func reuse(from chan []byte, capacity int) []byte {
	select {
	case buffer := <-from:
		return buffer[:0]
	default:
		return make([]byte, 0, capacity)
	}
}

// release gives a buffer to those to be used again, unless there are enough.
func release(to chan []byte, buffer []byte) {
	select {
	case to <- buffer:
	default:
	}
}

// flush has the block made into a frame; it waits while enough are being made.
func (f *frames) flush() {
	frame := make(chan []byte, 1)
	f.queue <- frame
	block := f.block
	f.block, f.begun = nil, true
	go func() {
		frame <- f.encoder.EncodeAll(block, reuse(f.spare, zstdFrame/2))
		release(f.free, block)
	}()
}

// writeTo writes the frames in their order, and lets those pass that come after
// a failure.
func (f *frames) writeTo(w io.Writer) {
	var failed error
	for frame := range f.queue {
		data := <-frame
		if failed == nil {
			if _, failed = w.Write(data); failed != nil {
				f.failed.Store(&failed)
			}
		}
		release(f.spare, data)
	}
	f.written <- failed
}

// Close makes the last frame and waits for all.
func (f *frames) Close() error {
	if len(f.block) > 0 || !f.begun {
		f.flush()
	}
	close(f.queue)
	err := <-f.written
	f.written <- err // for a second Close
	_ = f.encoder.Close()
	return err
}
