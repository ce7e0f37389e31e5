package remote

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
)

func TestSpool(t *testing.T) {
	t.Parallel()
	s := newSpool(10)
	s.dir = t.TempDir()
	read := make(chan string)
	for _, offset := range []int64{0, 3, 12} {
		go func() {
			data, err := io.ReadAll(s.reader(t.Context(), offset))
			read <- fmt.Sprint(offset, string(data), err)
		}()
	}
	for _, part := range []string{"0123", "456789", "abc", "def"} {
		if _, err := io.WriteString(s, part); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, ok := s.complete(); ok {
		t.Error("complete before its end")
	}
	s.finish(nil)
	got := map[string]bool{<-read: true, <-read: true, <-read: true}
	if want := map[string]bool{"00123456789abcdef<nil>": true, "33456789abcdef<nil>": true, "12cdef<nil>": true}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if d, size, ok := s.complete(); !ok || size != 16 || d != digest.FromString("0123456789abcdef") {
		t.Errorf("got %v %d %v", d, size, ok)
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v: the temporary file has a name", left, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A passing spool has no more than its limit at a time, in the order in which
// it came, and says so where what is wanted is gone.
func TestPassingSpool(t *testing.T) {
	t.Parallel()
	const text = "the quick brown fox jumps over the lazy dog"
	for _, skip := range []int64{0, 4, 25} {
		s := newSpool(10)
		s.passing = true
		s.dir = filepath.Join(t.TempDir(), "absent")
		wrote := make(chan error)
		go func() {
			for part := range slices.Chunk([]byte(text), 7) {
				if _, err := s.Write(part); err != nil {
					wrote <- err
					return
				}
			}
			s.finish(nil)
			wrote <- nil
		}()
		if n, err := s.wait(t.Context(), 10); n != 10 || err != nil {
			t.Errorf("got %d, %v before anything is read, want all that there is room for", n, err)
		}
		if _, err := s.wait(t.Context(), 11); !errors.Is(err, errPassed) {
			t.Errorf("got %v, want no wait for more than there will be", err)
		}
		data, err := io.ReadAll(iotest.OneByteReader(s.reader(t.Context(), skip)))
		if string(data) != text[skip:] || err != nil || <-wrote != nil {
			t.Errorf("got %q, %v from %d on", data, err, skip)
		}
		if d, size, ok := s.complete(); !ok || size != int64(len(text)) || d != digest.FromString(text) {
			t.Errorf("got %v %d %v", d, size, ok)
		}
		if data, err := io.ReadAll(s.reader(t.Context(), int64(len(text)-10))); string(data) != text[len(text)-10:] || err != nil {
			t.Errorf("got %q, %v of the last bytes", data, err)
		}
		if _, err := io.ReadAll(s.reader(t.Context(), 0)); !errors.Is(err, errPassed) {
			t.Errorf("got %v of what is gone", err)
		}
	}
	s := newSpool(10)
	s.passing = true
	wrote := make(chan error)
	go func() {
		_, err := s.Write([]byte(text))
		wrote <- err
	}()
	s.giveUp()
	if err := <-wrote; !errors.Is(err, errPassed) {
		t.Errorf("got %v, want the writer to end with its reader", err)
	}
}

func TestSpoolReaderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSpool(10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.reader(ctx, 0).Read(make([]byte, 1))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSpoolTellsOfAFullDisk(t *testing.T) {
	t.Parallel()
	s := newSpool(1)
	s.dir = filepath.Join(t.TempDir(), "absent")
	if _, err := s.Write([]byte("abc")); err == nil || !strings.Contains(err.Error(), "temporary file") {
		t.Errorf("got %v", err)
	}
}
