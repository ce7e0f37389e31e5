package gate_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/internal/gate/gatetest"
)

func TestWriter(t *testing.T) {
	var out bytes.Buffer
	var h gate.Hidden
	h.Add("CANARYcanary", "tiny")
	w := gate.New(&out, &h)
	text := "✓ a\tb\n\x1b[2Jc\u202ed\x07\x9b \r\nCANARYcanary tiny https://me:pass@h/ ssh://git@h http://token@h"
	if n, err := w.Write([]byte(text)); err != nil || n != len(text) {
		t.Errorf("got %d, %v, want %d", n, err, len(text))
	}
	if want := "✓ a\tb\n[2Jcd\uFFFD \n[not shown] tiny https://[not shown]@h/ ssh://git@h http://[not shown]@h"; out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
	for _, stream := range []io.Writer{w, gate.New(w, nil), &out} {
		if gate.Behind(stream) != io.Writer(&out) {
			t.Errorf("%T: the stream behind it is not found", stream)
		}
	}
	if err := os.ErrClosed; err != nil {
		if _, got := gate.New(failing{err}, nil).Write([]byte("x")); !errors.Is(got, err) {
			t.Errorf("got %v, want %v", got, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// A word is hidden in each form in which it is printed: folded, quoted, in a log
// that quotes a message with it, in JSON, and where a message had no room for the
// end of it.
func TestHiddenInEveryForm(t *testing.T) {
	for _, word := range []string{"CANARYcanary", `pass"word\with<&>`, "pässwörd\x01", strings.Repeat("CANARYcanary", 20)} {
		var h gate.Hidden
		h.Add(word)
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(gate.New(&log, &h), nil))
		logger.Error("failed", slog.String("error", "host \""+word+"\" is none"), slog.String("again", word))
		jsonLogger := slog.New(slog.NewJSONHandler(gate.New(&log, &h), nil))
		jsonLogger.Error("failed", slog.String("error", word))
		for _, text := range []string{
			word, strings.ToLower(word), "an address " + quoted(word) + " of", "error=" + quoted("host "+quoted(word)), log.String(),
			duration(word), word[:len(word)-3] + "…", quoted(word[:len(word)-3] + "…"), word[:6] + "… " + word[:6] + "… " + word, log.String() + " " + quoted(quoted(quoted(duration(word)))),
		} {
			got := h.Clean(text)
			if strings.Contains(strings.ToLower(got), strings.ToLower(word[:6])) || !strings.Contains(got, gate.NotShown) {
				t.Errorf("%q: got %q", text, got)
			}
		}
		if text := "a " + word[:6] + " of its own"; h.Clean(text) != gate.Standing(text) {
			t.Errorf("%q: got %q", text, h.Clean(text))
		}
	}
}

// duration is the error of package time, which quotes in its own way.
func duration(text string) string {
	_, err := time.ParseDuration("x" + text)
	return err.Error()
}

func quoted(text string) string {
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("", slog.String("", text+" "))
	_, value, _ := strings.Cut(strings.TrimSpace(out.String()), `""=`)
	return strings.TrimSuffix(strings.TrimSuffix(value, `"`), " ") + `"`
}

// What has the shape of a secret is hidden wherever it stands in a file, be that
// well-formed or not.
func TestAddJSON(t *testing.T) {
	token := strings.Repeat("c4a7cafe", 5)
	for _, text := range []string{
		`{"a":"` + token + `"}`, `{"` + token + `":1}`, `[["` + token + `"`, `{"a": nonsense, "b":"` + token + `"}`, `{"a" " :"` + token + `"}`, `{"b":"` + token, `"\u0063` + token[1:] + `"`,
		`{"a":"https://me:` + token + `@h"}`, `"-----BEGIN PRIVATE KEY-----\n` + token + `\n-----END PRIVATE KEY-----"`,
	} {
		var h gate.Hidden
		h.AddJSON([]byte(text))
		if got := h.Clean("it is " + token + "!"); got != "it is "+gate.NotShown+"!" {
			t.Errorf("%s: got %q", text, got)
		}
	}
	var none *gate.Hidden
	none.AddJSON([]byte(`"` + token + `"`))
	if got := none.Clean(token); got != token {
		t.Errorf("got %q", got)
	}
}

// The pushes of several images, and the log, share a stream.
func TestWritesSideBySide(t *testing.T) {
	t.Parallel()
	var to gatetest.Alone
	w := gate.New(&to, nil)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 200 {
				_, _ = w.Write([]byte("a line\n"))
			}
		})
	}
	writers.Wait()
	if beside := to.Beside(); beside > 0 {
		t.Errorf("%d lines were written beside another one", beside)
	}
}
