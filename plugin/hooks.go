package plugin

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// hookRequest is what docker tells after a command of its own, if the user
// wants that (docker/cli, cli-plugins/hooks).
type hookRequest struct {
	// RootCmd is the command: "push" or "image push".
	RootCmd string `json:"RootCmd"` //nolint:tagliatelle // docker's spelling
	// Flags are those that were given; only switches have their value.
	Flags map[string]string `json:"Flags"` //nolint:tagliatelle // docker's spelling
	// CommandError is what the command printed, if it failed.
	CommandError string `json:"CommandError"` //nolint:tagliatelle // docker's spelling
}

// hookResponse is what docker shows below. An empty template is silence.
type hookResponse struct {
	Type     int    `json:"Type"`               //nolint:tagliatelle // docker's spelling
	Template string `json:"Template,omitempty"` //nolint:tagliatelle // docker's spelling
}

// newHooksCommand answers docker after a push that failed for a reason that
// docker gitea push goes around, or explains.
func (a *app) newHooksCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "docker-cli-plugin-hooks",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			var request hookRequest
			if len(args) > 0 {
				// A request that is not understood is from a newer docker; the answer is silence.
				_ = json.Unmarshal([]byte(args[len(args)-1]), &request)
			}
			return json.NewEncoder(a.Stdout).Encode(hookResponse{Template: advice(request, a.silent().knownHosts())})
		},
	}
}

// hookImage stands for the image that docker was to push. The templates of all
// versions of docker know it.
const hookImage = "{{$image}}"

// remedy is what to do about a failure of docker's push.
type remedy struct {
	fault *regexp.Regexp
	lines []string
}

// remedies are tried in this order. PUSH stands for the command that repeats
// the push.
var remedies = []remedy{
	{regexp.MustCompile(`x509:|certificate signed by unknown authority`), []string{
		"docker's daemon does not trust the certificate of {{$host}}. To push past the daemon:",
		"    docker gitea trust {{$host}}    (once, unless that is done)",
		"    PUSH",
	}},
	{regexp.MustCompile(`server gave HTTP response to HTTPS client`), []string{
		"{{$host}} speaks plain HTTP, for which docker's daemon has to be configured. To push past the daemon:",
		"    PUSH --plain-http",
	}},
	{regexp.MustCompile(`\b413\b|Request Entity Too Large|Payload Too Large`), []string{
		"A proxy in front of {{$host}} limits the size of requests. To keep within the limit:",
		"    PUSH",
	}},
	// The classic store leaves out what Gitea says.
	{regexp.MustCompile(`reqPackageAccess|unauthorized: authentication required|insufficient_scope`), []string{
		"{{$host}} refused this for your account. To see which account, and what it lacks:",
		"    docker gitea check " + hookImage,
	}},
	// Gitea's answer for an owner that there is not is no JSON.
	{regexp.MustCompile(`HTTP 404 response body: .*Not found\.`), []string{
		"{{$host}} has no such owner, or hides it from you. For details:",
		"    docker gitea check " + hookImage,
	}},
	{regexp.MustCompile(`(?i)blob upload (unknown|invalid)|BLOB_UPLOAD_(UNKNOWN|INVALID)`), []string{
		"{{$host}} lost an upload. To begin it again, and send only what is missing:",
		"    PUSH",
	}},
}

// advice is the template that docker fills in and shows. Docker does not tell
// the plugin which image was pushed, but its templates know: the template
// compares that with the known hosts, and fails for any other, which docker
// passes over in silence. (An empty text would leave older ones with a title
// and nothing below.)
func advice(request hookRequest, hosts []string) string {
	if request.CommandError == "" || request.RootCmd != "push" && request.RootCmd != "image push" || len(hosts) == 0 {
		return ""
	}
	for _, r := range remedies {
		if r.fault.MatchString(request.CommandError) {
			text := strings.ReplaceAll(strings.Join(r.lines, "\n"), "PUSH", repeated(request.Flags))
			return onlyFor(hosts) + text
		}
	}
	return ""
}

// repeated is the push command that does what docker's was to do.
func repeated(flags map[string]string) string {
	command := "docker gitea push"
	if flags["all-tags"] == "true" {
		command += " --all-tags"
	}
	if flags["quiet"] == "true" {
		command += " --quiet"
	}
	if _, given := flags["platform"]; given {
		command += ` --platform {{flag . "platform"}}`
	}
	return command + " " + hookImage
}

// onlyFor is the beginning of a template that fails unless the image is on one
// of the hosts.
func onlyFor(hosts []string) string {
	var b strings.Builder
	b.WriteString(`{{$image := arg . 0}}{{$host := ""}}`)
	for _, host := range hosts {
		prefix := host + "/"
		fmt.Fprintf(&b, `{{if ge (len $image) %d}}{{if eq (slice $image 0 %d) %q}}{{$host = %q}}{{end}}{{end}}`, len(prefix), len(prefix), prefix, host)
	}
	b.WriteString(`{{if not $host}}{{index $host 0}}{{end}}`)
	return b.String()
}
