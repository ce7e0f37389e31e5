package image

import (
	"slices"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestParsePlatform(t *testing.T) {
	for text, want := range map[string]string{
		"linux/amd64":                 "linux/amd64",
		"Linux/X86_64":                "linux/amd64",
		"linux/amd64/v1":              "linux/amd64",
		"linux/amd64/v3":              "linux/amd64/v3",
		"linux/arm64":                 "linux/arm64",
		"linux/arm64/v8":              "linux/arm64",
		"linux/aarch64":               "linux/arm64",
		"linux/arm":                   "linux/arm/v7",
		"linux/arm/6":                 "linux/arm/v6",
		"linux/armhf":                 "linux/arm/v7",
		"linux/armel":                 "linux/arm/v6",
		"linux/i686":                  "linux/386",
		"macos/arm64":                 "darwin/arm64",
		"windows(10.0.20348.1)/amd64": "windows(10.0.20348.1)/amd64",
		"linux":                       "",
		"":                            "",
		"linux/":                      "",
		"linux/amd64/v1/x":            "",
		"linux/../etc":                "",
		"linux/amd64\x1b":             "",
		"linux/ppc64le/power8":        "linux/ppc64le/power8",
	} {
		t.Run(text, func(t *testing.T) {
			p, err := parsePlatform(text)
			switch {
			case want == "" && err == nil:
				t.Errorf("got %s, want an error", formatPlatform(p))
			case want != "" && err != nil:
				t.Error(err)
			case want != "" && formatPlatform(p) != want:
				t.Errorf("got %s, want %s", formatPlatform(p), want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	platforms := []ocispec.Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "amd64", Variant: "v2"},
		{OS: "linux", Architecture: "arm", Variant: "v5"},
		{OS: "linux", Architecture: "arm", Variant: "v6"},
		{OS: "linux", Architecture: "arm64", Variant: "v8"},
		{OS: "windows", Architecture: "amd64", OSVersion: "10.0.1"},
		{OS: "windows", Architecture: "amd64", OSVersion: "10.0.2"},
		{OS: "unknown", Architecture: "unknown"},
		{},
	}
	for text, want := range map[string][]int{
		"linux/amd64":           {0},
		"linux/amd64/v2":        {1},
		"linux/amd64/v4":        {1},
		"linux/arm":             {3},
		"linux/arm/v6":          {3},
		"linux/arm/v5":          {2},
		"linux/arm/v4":          nil,
		"linux/arm64":           {4},
		"linux/arm64/v9":        {4},
		"windows/amd64":         {5, 6},
		"windows(10.0.2)/amd64": {6},
		"windows(10.0.3)/amd64": nil,
		"linux/s390x":           nil,
	} {
		t.Run(text, func(t *testing.T) {
			p, err := parsePlatform(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := nearest(p, platforms); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// Variants that are no numbers, and those that are not part of a line, fit only
// themselves.
func TestVariants(t *testing.T) {
	for _, test := range []struct {
		want, have string
		distance   int
	}{
		{"linux/riscv64/rva20u64", "linux/riscv64/rva23u64", -1},
		{"linux/riscv64/rva23u64", "linux/riscv64/rva23u64", 0},
		{"linux/riscv64/rva23u64", "linux/riscv64", -1},
		{"linux/ppc64le/power8", "linux/ppc64le/power10", -1},
		{"linux/ppc64le/power10", "linux/ppc64le/power8", -1},
		{"linux/mips64le/softfloat", "linux/mips64le/hardfloat", -1},
		{"linux/arm64/v8", "linux/arm64/v8.5", -1},
		{"linux/arm64/v8.5", "linux/arm64/v8", 5},
		{"linux/arm64/v8.5", "linux/arm64/v8.2", 3},
		{"linux/arm64/v9", "linux/arm64/v8.5", 95},
		{"linux/arm64/v9", "linux/arm64/v8.6", -1},
		{"linux/arm64/v9.1", "linux/arm64/v8.6", 95},
		{"linux/arm64/vx", "linux/arm64", -1},
		{"linux/amd64", "linux/amd64/v3", -1},
		{"linux/amd64/v3", "linux/amd64", 200},
		{"linux/arm/v6", "linux/arm/v7", -1},
	} {
		t.Run(test.want+" from "+test.have, func(t *testing.T) {
			want, err := parsePlatform(test.want)
			if err != nil {
				t.Fatal(err)
			}
			have, err := parsePlatform(test.have)
			if err != nil {
				t.Fatal(err)
			}
			if got := distance(want, have); got != test.distance {
				t.Errorf("got %d, want %d", got, test.distance)
			}
		})
	}
}

func FuzzPlatform(f *testing.F) {
	for _, seed := range []string{"linux/amd64", "linux/arm/v7", "windows(10.0.20348.1)/amd64", "linux/arm64/v8.1", "a/b/vv", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePlatform(text)
		if err != nil {
			return
		}
		again, err := parsePlatform(formatPlatform(p))
		if err != nil || formatPlatform(again) != formatPlatform(p) {
			t.Errorf("%q: got %s, then %s (%v)", text, formatPlatform(p), formatPlatform(again), err)
		}
		if distance(p, p) != 0 {
			t.Errorf("%q does not match itself", text)
		}
	})
}
