//go:build e2e

package test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// getLimit is how much longer than the yardstick a get from the file store may
// take. The yardstick is a get of docker-credential-pass, or the start of a
// program that does nothing and five milliseconds, whichever is larger.
const getLimit = 1.5

// BenchmarkCredentialHelperGet runs the three in turn and compares their
// medians.
func BenchmarkCredentialHelperGet(b *testing.B) {
	pass, err := servers.Program("docker-credential-pass")
	servers.Need(b, err)
	d := newDesk(b, &servers.Server{})
	d.startPass(b)
	d.env = append(d.env, "DOCKER_CREDENTIAL_GITEA_STORAGE=file")
	helper := filepath.Join(credhelperDir(b), credhelperName)
	const login = `{"ServerURL":"git.example.com","Username":"alice","Secret":"s"}`
	d.run(b, login, helper, "store")
	d.run(b, login, pass, "store")

	took := map[string][]time.Duration{}
	measure := func(name, program string, args ...string) {
		begin := time.Now()
		if out := d.run(b, "git.example.com", program, args...); name != "true" && !strings.Contains(out, "alice") {
			b.Fatalf("%s: got %s", name, out)
		}
		took[name] = append(took[name], time.Since(begin))
	}
	for b.Loop() {
		measure("get", helper, "get")
		measure("pass", pass, "get")
		measure("true", "/bin/true")
	}
	median := func(name string) time.Duration {
		slices.Sort(took[name])
		return took[name][len(took[name])/2]
	}
	for name := range took {
		b.ReportMetric(float64(median(name).Microseconds())/1000, name+"-ms")
	}
	idle := median("true") + 5*time.Millisecond
	ratio := median("get").Seconds() / max(idle, median("pass")).Seconds()
	b.ReportMetric(median("get").Seconds()/idle.Seconds(), "x-true+5ms")
	b.ReportMetric(median("get").Seconds()/median("pass").Seconds(), "x-pass")
	b.ReportMetric(0, "ns/op") // the sum of the three means nothing
	if b.N >= 10 && ratio > getLimit {
		b.Errorf("get takes %.2f times the yardstick, want at most %v", ratio, getLimit)
	}
}
