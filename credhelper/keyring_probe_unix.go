//go:build !darwin && !windows

package credhelper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/godbus/dbus/v5"
)

const (
	secretService    = "org.freedesktop.secrets"
	secretCollection = "org.freedesktop.Secret.Collection"
	loginCollection  = "/org/freedesktop/secrets/collection/login"
	defaultAlias     = "/org/freedesktop/secrets/aliases/default"
)

// probeKeyring reports why the Secret Service cannot be used, if it cannot.
// The library would start a message bus where there is none and leave it
// behind (godbus conn_other.go runs dbus-launch), and would wait forever for a
// service that does not answer. So the bus is asked first, on a connection of
// its own.
func probeKeyring(ctx context.Context, asks bool) error {
	address := busAddress()
	if address == "" {
		return errNoKeyring
	}
	conn, err := dbus.Dial(address, dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("%w: %w", errNoKeyring, err)
	}
	defer func() { _ = conn.Close() }()
	// The handshake reads without a context: closing ends it.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.Auth(nil); err != nil {
		return fmt.Errorf("%w: %w", errNoKeyring, err)
	}
	if err := conn.Hello(); err != nil {
		return fmt.Errorf("%w: %w", errNoKeyring, err)
	}
	if err := findService(ctx, conn); err != nil {
		return err
	}
	if asks {
		return nil
	}
	return checkLocked(ctx, conn)
}

// busAddress is the session bus's, or nothing: the same places as the
// library's, but for starting one.
func busAddress() string {
	if address, ok := os.LookupEnv("DBUS_SESSION_BUS_ADDRESS"); ok && address != "" && address != "autolaunch:" { //nolint:forbidigo // the library reads the same variable by itself
		return address
	}
	dir := filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	socket := filepath.Join(dir, "bus")
	if _, err := os.Stat(socket); err != nil {
		return ""
	}
	return "unix:path=" + socket
}

// findService reports whether the Secret Service runs or can be started.
func findService(ctx context.Context, conn *dbus.Conn) error {
	var running bool
	bus := conn.BusObject()
	if err := bus.CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, secretService).Store(&running); err != nil {
		return fmt.Errorf("%w: %w", errNoKeyring, err)
	}
	if running {
		return nil
	}
	var startable []string
	if err := bus.CallWithContext(ctx, "org.freedesktop.DBus.ListActivatableNames", 0).Store(&startable); err != nil {
		return fmt.Errorf("%w: %w", errNoKeyring, err)
	}
	if !slices.Contains(startable, secretService) {
		return errNoKeyring
	}
	return nil
}

// checkLocked reports whether reading would have the user asked to unlock the
// keyring.
func checkLocked(ctx context.Context, conn *dbus.Conn) error {
	for _, path := range []dbus.ObjectPath{loginCollection, defaultAlias} {
		var locked bool
		call := conn.Object(secretService, path).
			CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, secretCollection, "Locked")
		if err := call.Store(&locked); err != nil {
			continue
		}
		if locked {
			return advise(errLocked, "unlock it, or let it ask you: "+program+" doctor HOST")
		}
		return nil
	}
	// Without a collection there is nothing to unlock yet.
	return nil
}
