package options

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// Every option and field is in the map, or has nothing to do with trust.
func TestTrustMapIsComplete(t *testing.T) {
	inMap := func(setting string) bool {
		return slices.ContainsFunc(TrustMap, func(row Bound) bool { return row.Setting == setting })
	}
	neutral := []string{ // these neither carry nor weaken trust
		"config-file", "connect-timeout", "stall-timeout", "retries", "to", "tag", "all-tags", "all-images", "compose", "bake", "platform", "image", "timeout", "jobs",
		"chunk-size", "limit-rate", "compression", "compression-level", "quiet", "dry-run", "via", "link", "progress", "verify", "no-clobber", "force-compression", "no-attestations", "include-foreign",
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(Settings).Register(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		if slices.Contains(neutral, f.Name) == inMap("--"+f.Name) {
			t.Errorf("--%s is to be in the map of trust, or among those that have nothing to do with it", f.Name)
		}
		if variable := EnvironmentVariable(f.Name); variable != "" && inMap("--"+f.Name) != inMap(variable) {
			t.Errorf("%s is to be in the map of trust, as --%s is", variable, f.Name)
		}
	})
	neutralFields := []string{"timeout", "connectTimeout", "stallTimeout", "jobs", "retries", "chunkSize", "limitRate", "platform", "compression", "progress", "credential"}
	for path, of := range map[string]reflect.Type{"spec.": reflect.TypeFor[v1alpha1.RegistrySpec](), "spec.credential.": reflect.TypeFor[v1alpha1.CredentialSource]()} {
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if slices.Contains(neutralFields, name) == inMap(path+name) {
				t.Errorf("%s%s is to be in the map of trust, or among those that have nothing to do with it", path, name)
			}
		}
	}
}
