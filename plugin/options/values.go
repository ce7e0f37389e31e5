package options

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/docker-gitea/docker-gitea/plugin/progress"
)

// byteSize is a number of bytes, written as "90MB", "64MiB" or "1048576".
type byteSize int64

// Set implements [pflag.Value].
func (b *byteSize) Set(s string) error {
	n, err := humanize.ParseBytes(s)
	if err != nil || n > 1<<62 {
		return fmt.Errorf(`%q is no size such as "90MB" or "64MiB"`, s)
	}
	*b = byteSize(n)
	return nil
}

// String implements [pflag.Value].
func (b *byteSize) String() string { return fmt.Sprint(int64(*b)) }

// Type implements [pflag.Value].
func (b *byteSize) Type() string { return "size" }

// byteRate is a number of bytes a second, written as "5MB/s" or "5MB".
type byteRate int64

// leastRate is the least that a rate can be: less is a number whose unit was
// forgotten.
const leastRate = 1000

// Set implements [pflag.Value].
func (b *byteRate) Set(s string) error {
	size := strings.TrimSuffix(strings.TrimSpace(s), "/s")
	n, err := humanize.ParseBytes(size)
	switch {
	case err != nil || n > 1<<62:
		return fmt.Errorf(`%q is no rate such as "5MB/s" or "500KB/s"`, s)
	case bitsPattern.MatchString(size):
		return fmt.Errorf(`%q may be meant in bits, and rates are in bytes: 8 Mbit/s are "1MB/s"`, s)
	case n > 0 && n < leastRate:
		return fmt.Errorf(`%q is less than 1KB/s; write the unit, as in "5MB/s"`, s)
	}
	*b = byteRate(n)
	return nil
}

// bitsPattern are units that others read as bits: Mb is a million of them.
var bitsPattern = regexp.MustCompile(`[KMGT]i?b$`)

// String implements [pflag.Value].
func (b *byteRate) String() string { return fmt.Sprint(int64(*b)) }

// Type implements [pflag.Value].
func (b *byteRate) Type() string { return "rate" }

// progressMode makes a flag of a [progress.Mode].
type progressMode progress.Mode

// Set implements [pflag.Value].
func (m *progressMode) Set(s string) error {
	mode, err := progress.ParseMode(s)
	if err == nil {
		*m = progressMode(mode)
	}
	return err
}

// String implements [pflag.Value].
func (m *progressMode) String() string { return string(*m) }

// Type implements [pflag.Value].
func (m *progressMode) Type() string { return "string" }

// Via is how an image leaves the daemon.
type Via string

const (
	// ViaAuto chooses the quicker of the others.
	ViaAuto Via = "auto"
	// ViaExport reads the stream of `docker save`.
	ViaExport Via = "export"
	// ViaDaemon lets the daemon push to a loopback port of ours, from where
	// the registry's client passes everything on.
	ViaDaemon Via = "daemon"
)

// Set implements [pflag.Value].
func (v *Via) Set(s string) error {
	switch Via(s) {
	case ViaAuto, ViaExport, ViaDaemon:
		*v = Via(s)
		return nil
	}
	return fmt.Errorf("%q is not one of auto, export, daemon", s)
}

// String implements [pflag.Value].
func (v *Via) String() string { return string(*v) }

// Type implements [pflag.Value].
func (v *Via) Type() string { return "string" }
