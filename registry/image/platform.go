package image

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var platformPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z0-9_]{1,32})(?:\(([a-z0-9_.-]{1,64})\))?/([a-z0-9_]{1,32})(?:/([a-z0-9_.]{1,32}))?$`)
})

// CheckPlatform is the error that [Options.Platform] would be; its kind is
// [ErrInvalid].
func CheckPlatform(s string) error {
	_, err := parsePlatform(s)
	return err
}

// parsePlatform reads "os/arch", "os/arch/variant" or, as containerd writes it
// for Windows, "os(version)/arch". Upper and lower case are the same.
func parsePlatform(s string) (ocispec.Platform, error) {
	m := platformPattern().FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return ocispec.Platform{}, fault(ErrInvalid, "", "platform %q is not of the form os/arch or os/arch/variant", clip(s))
	}
	return normalize(ocispec.Platform{OS: m[1], OSVersion: m[2], Architecture: m[3], Variant: m[4]}), nil
}

// normalize gives a platform its one proper spelling (containerd/platforms,
// database.go).
func normalize(p ocispec.Platform) ocispec.Platform {
	p.OS, p.Architecture, p.Variant = strings.ToLower(p.OS), strings.ToLower(p.Architecture), strings.ToLower(p.Variant)
	switch p.OS {
	case "macos":
		p.OS = "darwin"
	}
	switch p.Architecture {
	case "i386", "i486", "i586", "i686":
		p.Architecture, p.Variant = "386", ""
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	if p.Variant != "" && p.Variant[0] >= '0' && p.Variant[0] <= '9' {
		p.Variant = "v" + p.Variant
	}
	switch {
	case p.Architecture == "arm64" && p.Variant == "v8", p.Architecture == "amd64" && p.Variant == "v1":
		p.Variant = ""
	case p.Architecture == "arm" && p.Variant == "":
		p.Variant = "v7"
	}
	return p
}

// SamePlatform reports whether two platforms, as "os/arch[/variant]", are one:
// linux/arm64 is linux/arm64/v8.
func SamePlatform(a, b string) bool {
	one, err := parsePlatform(a)
	other, otherErr := parsePlatform(b)
	return err == nil && otherErr == nil && one.OS == other.OS && one.OSVersion == other.OSVersion &&
		one.Architecture == other.Architecture && one.Variant == other.Variant
}

// distance says how well an image for have runs on want: 0 is exact, more is
// an older variant of the architecture, -1 is not at all.
func distance(want, have ocispec.Platform) int {
	want, have = normalize(want), normalize(have)
	if want.OS != have.OS || want.Architecture != have.Architecture {
		return -1
	}
	if want.OSVersion != "" && want.OSVersion != have.OSVersion {
		return -1
	}
	if want.Variant == have.Variant {
		return 0
	}
	newer, knownNewer := parseVariant(want)
	older, knownOlder := parseVariant(have)
	if !knownNewer || !knownOlder {
		return -1
	}
	return newer.above(older)
}

// variant is the place of a variant in the line of its architecture: v8.5.
type variant struct{ major, minor int }

// parseVariant reads the variant of an architecture whose variants are a line,
// on which newer processors run what was built for older ones. Those of others
// (softfloat, power8, rva20u64) fit only themselves.
func parseVariant(p ocispec.Platform) (variant, bool) {
	base := map[string]int{"amd64": 1, "arm": 5, "arm64": 8}[p.Architecture]
	if base == 0 {
		return variant{}, false
	}
	if p.Variant == "" {
		return variant{major: base}, true
	}
	major, minor, found := strings.Cut(strings.TrimPrefix(p.Variant, "v"), ".")
	if !found {
		minor = "0"
	}
	m, errMajor := strconv.ParseUint(major, 10, 16)
	n, errMinor := strconv.ParseUint(minor, 10, 16)
	v := variant{int(m), int(n)}
	return v, errMajor == nil && errMinor == nil && v.major >= base && v.minor < variantSteps
}

// variantSteps is more than any architecture has of minor versions.
const variantSteps = 100

// above says how far v is above an older variant, -1 where it is below. Arm's
// v9.0 is made of v8.5, and so on: it runs nothing newer of the line of v8.
func (v variant) above(older variant) int {
	if v.major == 9 && older.major == 8 && older.minor > v.minor+5 {
		return -1
	}
	return max(-1, (v.major-older.major)*variantSteps+v.minor-older.minor)
}

// nearest gives the positions of the platforms that suit want best: none, one,
// or several that differ in nothing that want speaks of.
func nearest(want ocispec.Platform, platforms []ocispec.Platform) []int {
	var best []int
	least := -1
	for i, p := range platforms {
		d := distance(want, p)
		switch {
		case d < 0:
		case least < 0 || d < least:
			least, best = d, []int{i}
		case d == least:
			best = append(best, i)
		}
	}
	return best
}

// formatPlatform is the reverse of [parsePlatform].
func formatPlatform(p ocispec.Platform) string {
	p = normalize(p)
	s := cmp.Or(p.OS, "unknown")
	if p.OSVersion != "" {
		s += fmt.Sprintf("(%s)", p.OSVersion)
	}
	s += "/" + cmp.Or(p.Architecture, "unknown")
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return printable(s)
}

// listPlatforms names platforms in a message.
func listPlatforms(platforms []ocispec.Platform) string {
	var names []string
	for _, p := range platforms {
		names = append(names, formatPlatform(p))
	}
	slices.Sort(names)
	return list(slices.Compact(names))
}

// list joins names in a message, the first few of many.
func list(names []string) string {
	const most = 12
	if len(names) == 0 {
		return "none"
	}
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
