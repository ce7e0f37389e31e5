//go:build !darwin && !windows

package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/godbus/dbus/v5"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
)

const (
	secretService    = "org.freedesktop.secrets"
	secretInterface  = "org.freedesktop.Secret.Service"
	secretCollection = "org.freedesktop.Secret.Collection"
	propertiesGet    = "org.freedesktop.DBus.Properties.Get"
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
		return ErrNoKeyring
	}
	conn, err := dbus.Dial(address, dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoKeyring, err)
	}
	defer func() { _ = conn.Close() }()
	// The handshake reads without a context: closing ends it.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.Auth(nil); err != nil {
		return fmt.Errorf("%w: %w", ErrNoKeyring, err)
	}
	if err := conn.Hello(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoKeyring, err)
	}
	if err := findService(ctx, conn); err != nil {
		return err
	}
	if !hasCollection(ctx, conn) {
		return advice.Give(ErrNoCollection, "make one on the desktop (Passwords and Keys, or seahorse, has New > Password Keyring: call it Login), or here: gnome-keyring-daemon --replace --unlock, then a password for it and Ctrl-D; or keep logins elsewhere: --storage pass")
	}
	if asks || !isLocked(ctx, conn) {
		return nil
	}
	return ErrLocked
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
		return fmt.Errorf("%w: %w", ErrNoKeyring, err)
	}
	if running {
		return nil
	}
	var startable []string
	if err := bus.CallWithContext(ctx, "org.freedesktop.DBus.ListActivatableNames", 0).Store(&startable); err != nil {
		return fmt.Errorf("%w: %w", ErrNoKeyring, err)
	}
	if !slices.Contains(startable, secretService) {
		return ErrNoKeyring
	}
	return nil
}

// hasCollection reports whether the keyring has a place for secrets: the one that
// is called login, or a default. The library makes none. A keyring that does not
// say has one.
func hasCollection(ctx context.Context, conn *dbus.Conn) bool {
	var (
		all      []dbus.ObjectPath
		standard dbus.ObjectPath
		service  = conn.Object(secretService, "/org/freedesktop/secrets")
	)
	if err := service.CallWithContext(ctx, propertiesGet, 0, secretInterface, "Collections").Store(&all); err != nil || slices.Contains(all, loginCollection) {
		return true
	}
	err := service.CallWithContext(ctx, secretInterface+".ReadAlias", 0, "default").Store(&standard)
	return err != nil || standard != "/"
}

// isLocked reports whether reading would have the user asked to unlock the
// keyring.
func isLocked(ctx context.Context, conn *dbus.Conn) bool {
	for _, path := range []dbus.ObjectPath{loginCollection, defaultAlias} {
		var locked bool
		if conn.Object(secretService, path).CallWithContext(ctx, propertiesGet, 0, secretCollection, "Locked").Store(&locked) == nil {
			return locked
		}
	}
	return false
}
