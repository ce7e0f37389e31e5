package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// UnreachableError is a daemon that does not answer.
type UnreachableError struct {
	Endpoint Endpoint
	Err      error
}

// Error names the address and where it comes from.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach the docker daemon at %s (from %s): %v", e.Endpoint.Host, e.Endpoint.Origin, e.Err)
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Hint says what to look at.
func (e *UnreachableError) Hint() string {
	text := e.Err.Error() // net/http has no types for these
	switch {
	case strings.HasPrefix(e.Endpoint.Host, "ssh://") && strings.Contains(text, "malformed HTTP"):
		host := strings.TrimPrefix(e.Endpoint.Host, "ssh://")
		return "the shell of that machine prints something before docker answers: \"ssh " + host + " true\" has to print nothing; in its ~/.bashrc or ~/.profile, print to terminals alone: [ -t 1 ]"
	case strings.Contains(text, "malformed HTTP"):
		return fmt.Sprintf("something else than docker is on that port: is %s right?", e.Endpoint.Origin)
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "the daemon speaks no TLS there: unset DOCKER_TLS_VERIFY and DOCKER_TLS, or give the port of TLS, which is mostly 2376"
	case errors.Is(e.Err, fs.ErrPermission):
		return "you may not use the socket: join its group (sudo usermod -aG docker $USER, then log in again), or use a rootless daemon"
	case strings.HasPrefix(e.Endpoint.Origin, "context"), e.Endpoint.Origin == "docker's default":
		return "is it running? \"docker version\" shows, \"docker context ls\" lists the others; an image in a file needs no daemon: docker gitea push ./image.tar DESTINATION"
	}
	return fmt.Sprintf("is it running, and is %s right? an image in a file needs no daemon: docker gitea push ./image.tar DESTINATION", e.Endpoint.Origin)
}

// ForeignError is an answer that no docker daemon gives.
type ForeignError struct {
	Endpoint Endpoint
	Status   int
	// Message is the beginning of the answer, empty for a page.
	Message string
}

// Error names who answered.
func (e *ForeignError) Error() string {
	text := fmt.Sprintf("what answers at %s (from %s) is no docker daemon: %d %s", e.Endpoint.Host, e.Endpoint.Origin, e.Status, http.StatusText(e.Status))
	if line, _, _ := strings.Cut(e.Message, "\n"); line != "" && !strings.HasPrefix(line, "<") {
		text += ": " + line
	}
	return text
}

// Hint says what it may be.
func (e *ForeignError) Hint() string {
	if strings.Contains(e.Message, "HTTP request to an HTTPS server") {
		return "the daemon speaks TLS there: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory with its ca.pem, cert.pem and key.pem (of docker:dind, /certs/client); or have it listen without TLS (DOCKER_TLS_CERTDIR=\"\") on port 2375"
	}
	return fmt.Sprintf("is %s right? where HTTP_PROXY or HTTPS_PROXY is set, name the host in NO_PROXY; an image in a file needs no daemon: docker gitea push ./image.tar DESTINATION", e.Endpoint.Origin)
}

// NotFoundError is an image that the daemon does not have.
type NotFoundError struct {
	Name     string
	Endpoint Endpoint
	// Similar are names that it has.
	Similar []string
}

// Error names the image and the daemon.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("no image %q in the docker daemon at %s", e.Name, e.Endpoint.Host)
}

// Hint offers the names that are near.
func (e *NotFoundError) Hint() string {
	if len(e.Similar) == 0 {
		return "\"docker images\" lists what it has"
	}
	return "did you mean " + strings.Join(e.Similar, ", ") + "?"
}

// ContextError is a docker context that cannot be used.
type ContextError struct {
	Name string
	Err  error
}

// Error names the context.
func (e *ContextError) Error() string { return fmt.Sprintf("docker context %q: %v", e.Name, e.Err) }

// Unwrap gives the cause.
func (e *ContextError) Unwrap() error { return e.Err }

// Hint names the command that lists the others.
func (e *ContextError) Hint() string { return "\"docker context ls\" lists the contexts" }

// Error is an answer of the daemon that is no success.
type Error struct {
	// Op is what was being done: "export image".
	Op     string
	Status int
	// Message is the daemon's own.
	Message string
}

// Error reads "docker daemon: export image: 500 Internal Server Error: …".
func (e *Error) Error() string {
	return fmt.Sprintf("docker daemon: %s: %d %s: %s", e.Op, e.Status, http.StatusText(e.Status), e.Message)
}

// cause takes away what the HTTP client and the dialler say of a URL and an
// address, which the reader knows better as the docker host.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if wrapped, ok := errors.AsType[*net.OpError](err); ok && !wrapped.Timeout() && !errors.Is(err, context.Canceled) {
		err = wrapped.Err
	}
	return err
}
