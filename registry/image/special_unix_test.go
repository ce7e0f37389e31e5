//go:build unix

package image_test

import "syscall"

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }

// mkdevice makes a device such as /dev/tty.
func mkdevice(path string) error { return syscall.Mknod(path, syscall.S_IFCHR|0o600, 5<<8) }
