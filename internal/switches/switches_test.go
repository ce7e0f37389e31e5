package switches_test

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/internal/switches"
)

func TestShorten(t *testing.T) {
	options := pflag.NewFlagSet("", pflag.ContinueOnError)
	options.BoolP("quiet", "q", false, "say less")
	options.Bool("verify", true, "look again")
	options.BoolFunc("json", "as JSON", func(string) error { return nil })
	options.String("to", "here", "where to")
	switches.Shorten(options)
	const want = `      --json        as JSON
  -q, --quiet       say less
      --to string   where to (default "here")
      --verify      look again (default true)
`
	if got := options.FlagUsages(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
