package options

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestSettingsValues(t *testing.T) {
	for _, test := range []struct {
		args string
		want string
		ok   bool
	}{
		{"--chunk-size 64MiB", "67108864", true},
		{"--chunk-size 1048576", "1048576", true},
		{"--chunk-size much", "", false},
		{"--chunk-size -1", "", false},
		{"--progress loud", "", false},
	} {
		var s Settings
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		s.Register(flags)
		err := flags.Parse(strings.Fields(test.args))
		if (err == nil) != test.ok || test.ok && s.ChunkSize.String() != test.want {
			t.Errorf("%s: got %s, %v; want %s", test.args, s.ChunkSize.String(), err, test.want)
		}
	}
	s := resolvedFor(t, Layers{Flags: flagsOf(t, "--retries", "0"), Getenv: emptyEnvironment}, "")
	if s.PushOptions().Retries >= 0 {
		t.Error("--retries 0 means the default")
	}
}

func FuzzByteSize(f *testing.F) {
	for _, seed := range []string{"90MB", "64MiB", "1048576", "-1", "1e30", "9EB", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var size byteSize
		if size.Set(s) == nil && size < 0 {
			t.Errorf("%q is %d", s, size)
		}
	})
}

func TestLimitRate(t *testing.T) {
	for _, test := range []struct {
		args string
		want byteRate // negative where it is refused
	}{
		{"--limit-rate 5MB/s", 5_000_000},
		{"--limit-rate 500KB", 500_000},
		{"--limit-rate 1MiB/s", 1 << 20},
		{"--limit-rate 1.5m/s", 1_500_000},
		{"--limit-rate 0", 0},
		{"--limit-rate 5", -1},
		{"--limit-rate 40Mb/s", -1},
		{"--limit-rate 40Mbit/s", -1},
		{"--limit-rate much", -1},
	} {
		var s Settings
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		s.Register(flags)
		err := flags.Parse(strings.Fields(test.args))
		if (err == nil) != (test.want >= 0) || err == nil && s.LimitRate != test.want {
			t.Errorf("%s: got %d, %v; want %d", test.args, s.LimitRate, err, test.want)
		}
	}
}
