package plugin

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

// bounded gives the whole command the time of --timeout, whatever it waits for:
// a credential helper and the daemon come before the push. within is what the
// registry's client would say of its own part.
func bounded(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	if within <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, within, fmt.Errorf("%w after %v", context.DeadlineExceeded, within))
}

// longWait is after how long it is said what is waited for.
const longWait = 3 * time.Second

// waiting says, after a while, what has not answered, until done is called.
func (a *app) waiting(what string) (done func()) {
	return a.later(what + " has not answered for " + longWait.String())
}

// unanswered is err, or that the command's time has ended while it waited for what.
func unanswered(ctx context.Context, what string, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%s has not answered: %w", what, context.Cause(ctx))
}

// asking says, after a while, that a registry is still asked, until done is called:
// it makes requests that fail again, and nothing else tells of that.
func (a *app) asking(host string) (done func()) {
	return a.later(host + " has given no usable answer for " + longWait.String())
}

// later says something after a while, unless done is called before. It is
// silent with --quiet, and where JSON is read.
func (a *app) later(text string) (done func()) {
	if a.unheard {
		return func() {}
	}
	said := make(chan struct{})
	timer := time.AfterFunc(longWait, func() {
		defer close(said)
		a.complain("waiting", text)
	})
	return func() {
		if !timer.Stop() {
			<-said // two do not write at once
		}
	}
}

// interruptible returns a reader of r that ends with ctx. A terminal or pipe
// cannot be interrupted while it is read, so a goroutine does that and is
// left behind if need be; the process is about to end then.
func interruptible(ctx context.Context, r io.Reader) io.ReadCloser {
	reader, writer := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = writer.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(writer, r)
		_ = writer.CloseWithError(err)
		stop()
	}()
	return reader
}

// socketVariable holds the address of a socket that docker keeps open while
// it wants the plugin to run (docker/cli, cli-plugins/socket). When docker's
// output is no terminal, closing it is all that docker does on Ctrl-C.
const socketVariable = "DOCKER_CLI_PLUGIN_SOCKET"

// watchSocket returns a context that ends when docker closes the socket at
// address, and a function that stops watching. Without an address, or when
// nobody listens there, only signals end the program.
func watchSocket(parent context.Context, address string) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	if address == "" {
		return ctx, cancel
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", address)
	if err != nil {
		return ctx, cancel
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Docker sends nothing; any end of the connection means that it is
		// gone, one that is not tidy too.
		for buffer := make([]byte, 1); err == nil; {
			_, err = conn.Read(buffer)
		}
		cancel()
	}()
	return ctx, func() {
		_ = conn.Close()
		<-done
	}
}
