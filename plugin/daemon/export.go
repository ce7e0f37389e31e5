package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// exported is the stream of `docker save`. A daemon whose export fails when it has
// begun puts its error at the end of the archive, as a line of JSON
// (moby, daemon/server/router/image/image_routes.go, getImagesGet).
type exported struct {
	io.ReadCloser
	// tail is the end of what has been read.
	tail []byte
}

// maxTail is more than such an error has, in bytes.
const maxTail = 4 << 10

// Read gives the daemon's error in place of [io.EOF].
func (e *exported) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	e.keep(p[:n])
	if errors.Is(err, io.EOF) {
		if fault := e.fault(); fault != nil {
			return n, fault
		}
	}
	return n, err
}

// Close gives the daemon's error, if the reader of the archive stumbled over its
// beginning.
func (e *exported) Close() error {
	if bytes.Contains(e.tail, errorLine) {
		rest, _ := io.ReadAll(io.LimitReader(e.ReadCloser, maxTail)) // as much as there is
		e.keep(rest)
	}
	return errors.Join(e.fault(), e.ReadCloser.Close())
}

func (e *exported) keep(p []byte) {
	e.tail = append(e.tail, p[max(0, len(p)-maxTail):]...)
	if surplus := len(e.tail) - maxTail; surplus > 0 {
		e.tail = append(e.tail[:0], e.tail[surplus:]...)
	}
}

// errorLine is how the line begins.
var errorLine = []byte(`{"errorDetail":`)

// fault is the error at the end of the archive, once.
func (e *exported) fault() error {
	at := bytes.LastIndex(e.tail, errorLine)
	if at < 0 {
		return nil
	}
	var message struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(e.tail[at:], &message); err != nil || message.Error == "" {
		return nil //nolint:nilerr // a layer that ends so, and more to come
	}
	e.tail = nil
	return fmt.Errorf("docker daemon: export image: %s", message.Error)
}
