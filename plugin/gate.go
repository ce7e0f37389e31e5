package plugin

import (
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/registry"
)

// terminalFile is the file behind a stream, if that is one.
func terminalFile(stream any) (*os.File, bool) {
	if w, ok := stream.(io.Writer); ok {
		stream = gate.Behind(w)
	}
	file, ok := stream.(*os.File)
	return file, ok
}

// candidates is the gate of what is offered to the shell, in which a word may
// be run: bash expands the candidates of compgen -W. A line is
// "candidate\tdescription", or ":" and a number at the end. What is no plain
// word, or longer than any reference, is not offered, nor is a secret.
type candidates struct {
	to     io.Writer
	hidden *gate.Hidden
}

var plainWord = regexp.MustCompile(`^(?:-{0,2}[A-Za-z0-9\[][A-Za-z0-9._:/@\[\]-]*=?|:[0-9]+|[A-Za-z]:\\[A-Za-z0-9._\\-]*)$`)

// longestWord is what a screen can be offered: references end before.
const longestWord = 1024

// Write implements [io.Writer] for whole lines, which cobra writes.
func (c *candidates) Write(p []byte) (int, error) {
	var out strings.Builder
	for line := range strings.Lines(string(p)) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		line = gate.Standing(line)
		if len(word) <= longestWord && plainWord.MatchString(word) && c.hidden.Clean(line) == line {
			out.WriteString(line)
		}
	}
	if _, err := io.WriteString(c.to, out.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Behind is the stream behind the gate.
func (c *candidates) Behind() io.Writer { return c.to }

// printableValue is v with every text in it on one line and fit for a terminal,
// for templates, which print it as it is.
func printableValue(v any) any {
	if v == nil {
		return nil
	}
	return printableCopy(reflect.ValueOf(v)).Interface()
}

func printableCopy(v reflect.Value) reflect.Value {
	made := reflect.New(v.Type()).Elem()
	made.Set(v)
	switch v.Kind() {
	case reflect.String:
		made.SetString(registry.Printable(v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			made.Set(reflect.New(v.Type().Elem()))
			made.Elem().Set(printableCopy(v.Elem()))
		}
	case reflect.Interface:
		if !v.IsNil() {
			made.Set(printableCopy(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			made.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			made.Index(i).Set(printableCopy(v.Index(i)))
		}
	case reflect.Map:
		if !v.IsNil() {
			made.Set(reflect.MakeMap(v.Type()))
		}
		for key, value := range v.Seq2() {
			made.SetMapIndex(printableCopy(key), printableCopy(value))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				made.Field(i).Set(printableCopy(v.Field(i)))
			}
		}
	default: // numbers and the like
	}
	return made
}
