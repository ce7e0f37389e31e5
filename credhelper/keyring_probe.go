//go:build darwin || windows

package credhelper

import "context"

// probeKeyring has nothing to find out: the keyring is part of the system.
func probeKeyring(context.Context, bool) error { return nil }
