package plugin

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// form is one of the ways in which the program is called.
type form int

const (
	// formDocker: docker ran the plugin, or someone did as docker does:
	// `docker-gitea [GLOBAL OPTIONS] gitea push …`, `docker-gitea help gitea`.
	formDocker form = iota
	// formStandalone: `docker-gitea push …`.
	formStandalone
	// formPush: through a link called docker-gitea-push.
	formPush
)

const (
	pluginName   = "gitea"
	programName  = "docker-gitea"
	pushLinkName = "docker-gitea-push"
)

// parseInvocation tells the form. Docker's variable in the environment is no
// sign: whatever docker runs inherits it.
func parseInvocation(program string, args []string) (form, []string) {
	base := strings.ToLower(filepath.Base(strings.ReplaceAll(program, `\`, "/")))
	if strings.TrimSuffix(base, ".exe") == pushLinkName {
		return formPush, args
	}
	if firstWord(args) == pluginName {
		return formDocker, args
	}
	return formStandalone, args
}

// passThrough are the words that docker puts in front of the plugin's name:
// for help, and cobra's for completion.
var passThrough = []string{"help", "__complete", "__completeNoDesc"}

// isCompletion reports a question of the shell's completion.
func isCompletion(args []string) bool {
	word, _ := cutWord(args)
	return strings.HasPrefix(word, "__complete")
}

// firstWord is the first argument that is no option of docker and no value of
// one, after a word of [passThrough].
func firstWord(args []string) string {
	word, rest := cutWord(args)
	for slices.Contains(passThrough, word) {
		word, rest = cutWord(rest)
	}
	return word
}

// cutWord is the first argument that is no option of docker and no value of one,
// and what follows it.
func cutWord(args []string) (word string, rest []string) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.SetInterspersed(false)
	flags.BoolP("help", "h", false, "")
	new(globals).register(flags)
	if flags.Parse(args) != nil || flags.NArg() == 0 {
		return "", nil
	}
	return flags.Arg(0), flags.Args()[1:]
}
