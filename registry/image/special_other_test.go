//go:build !unix

package image_test

import "errors"

func mkfifo(string) error { return errors.ErrUnsupported }

func mkdevice(string) error { return errors.ErrUnsupported }
