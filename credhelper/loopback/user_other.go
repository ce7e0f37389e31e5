//go:build !linux

package loopback

// sameUser knows no better: only Linux tells whose a connection is.
func sameUser(string, string) bool { return true }
