package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
)

func TestSpool(t *testing.T) {
	t.Parallel()
	s := newSpool(Announced{}, 10)
	s.dir = t.TempDir()
	read := make(chan string)
	for _, offset := range []int64{0, 3, 12} {
		go func() {
			data, err := io.ReadAll(s.Reader(t.Context(), offset))
			read <- fmt.Sprint(offset, string(data), err)
		}()
	}
	for _, part := range []string{"0123", "456789", "abc", "def"} {
		if _, err := io.WriteString(s, part); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, ok := s.Complete(); ok {
		t.Error("complete before its end")
	}
	s.Finish(nil)
	got := map[string]bool{<-read: true, <-read: true, <-read: true}
	if want := map[string]bool{"00123456789abcdef<nil>": true, "33456789abcdef<nil>": true, "12cdef<nil>": true}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if d, size, ok := s.Complete(); !ok || size != 16 || d != digest.FromString("0123456789abcdef") {
		t.Errorf("got %v %d %v", d, size, ok)
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v: the temporary file has a name", left, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A window has no more than its limit at a time, in the order in which
// it came, and says so where what is wanted is gone.
func TestWindow(t *testing.T) {
	t.Parallel()
	const text = "the quick brown fox jumps over the lazy dog"
	for _, skip := range []int64{0, 4, 25} {
		s := newWindow(Announced{}, 10)
		wrote := make(chan error)
		go func() {
			for part := range slices.Chunk([]byte(text), 7) {
				if _, err := s.Write(part); err != nil {
					wrote <- err
					return
				}
			}
			s.Finish(nil)
			wrote <- nil
		}()
		if n, err := s.Wait(t.Context(), 10); n != 10 || err != nil {
			t.Errorf("got %d, %v before anything is read, want all that there is room for", n, err)
		}
		if _, err := s.Wait(t.Context(), 11); !errors.Is(err, ErrPassed) {
			t.Errorf("got %v, want no wait for more than there will be", err)
		}
		data, err := io.ReadAll(iotest.OneByteReader(s.Reader(t.Context(), skip)))
		if string(data) != text[skip:] || err != nil || <-wrote != nil {
			t.Errorf("got %q, %v from %d on", data, err, skip)
		}
		if d, size, ok := s.Complete(); !ok || size != int64(len(text)) || d != digest.FromString(text) {
			t.Errorf("got %v %d %v", d, size, ok)
		}
		if data, err := io.ReadAll(s.Reader(t.Context(), int64(len(text)-10))); string(data) != text[len(text)-10:] || err != nil {
			t.Errorf("got %q, %v of the last bytes", data, err)
		}
		if _, err := io.ReadAll(s.Reader(t.Context(), 0)); !errors.Is(err, ErrPassed) {
			t.Errorf("got %v of what is gone", err)
		}
	}
	s := newWindow(Announced{}, 10)
	wrote := make(chan error)
	go func() {
		_, err := s.Write([]byte(text))
		wrote <- err
	}()
	s.GiveUp()
	if err := <-wrote; !errors.Is(err, ErrPassed) {
		t.Errorf("got %v, want the writer to end with its reader", err)
	}
}

func TestSpoolReaderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSpool(Announced{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.Reader(ctx, 0).Read(make([]byte, 1))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSpoolTellsOfAFullDisk(t *testing.T) {
	t.Parallel()
	s := newSpool(Announced{}, 1)
	s.dir = filepath.Join(t.TempDir(), "absent")
	if _, err := s.Write([]byte("abc")); err == nil || !strings.Contains(err.Error(), "temporary file") {
		t.Errorf("got %v", err)
	}
}

// What is announced is believed at once, and nobody hashes what comes.
func TestAnnouncedContentIsComplete(t *testing.T) {
	t.Parallel()
	a := Announced{Digest: digest.FromString("abc"), Size: 3}
	spool, window := NewSpool(a), NewWindow(a)
	for name, got := range map[string]interface {
		Complete() (digest.Digest, int64, bool)
	}{"spool": spool, "window": window} {
		if d, size, ok := got.Complete(); !ok || d != a.Digest || size != a.Size {
			t.Errorf("%s: got %v %d %v", name, d, size, ok)
		}
	}
	if spool.hash != nil || window.hash != nil {
		t.Error("what is known is computed once more")
	}
	data, err := io.ReadAll(Verified(strings.NewReader("abd"), a))
	if string(data) != "abd" || !errors.Is(err, registry.ErrDigestMismatch) {
		t.Errorf("got %q, %v, want the wrong content to be noticed at its end", data, err)
	}
}
