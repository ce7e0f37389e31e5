package plugin

import (
	"context"
	"net"
)

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
