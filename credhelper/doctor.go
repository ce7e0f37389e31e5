package credhelper

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/internal/dockerconfig"
	"github.com/docker-gitea/docker-gitea/internal/home"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
)

func (h *helper) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor HOST",
		Short: "Find out why a login does not work",
		Long: `Find out why a login does not work: is this program found, is it asked for
the host, does the store answer, does the server take the login, and is
anything kept in plain text. It changes nothing, but may refresh the login.

Example:
  docker-credential-gitea doctor git.example.com`,
		Args: oneHost,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := hosts(args)
			if err != nil {
				return err
			}
			key, err := dockerconfig.Key(args[0])
			if err != nil {
				return usageError{err}
			}
			return h.doctor(cmd.Context(), names[0], key)
		},
	}
}

// finding is the result of one examination: nothing when all is well.
type finding struct {
	// fault is what is wrong; advice says what to do. Without a fault,
	// detail says what is right.
	detail string
	fault  error
	advice string
	// cause is why it is so, where more is known of it than the fault.
	cause string
	// harmless faults do not make doctor fail.
	harmless bool
}

// failed is the finding that an error is.
func failed(err error) finding {
	advice := adviceOn(err)
	return finding{fault: err, cause: advice.Cause, advice: advice.Hint}
}

// doctor examines the way from Docker to the server, and fails when a part of
// it is broken. Key is what Docker calls the host.
func (h *helper) doctor(ctx context.Context, host, key string) error {
	examinations := []struct {
		name string
		do   func(context.Context, string) []finding
	}{
		{"program", h.examineProgram},
		{"docker", func(context.Context, string) []finding { return h.examineDocker(key) }},
		{"plain text", h.examinePlainText},
		{"environment", h.examineEnvironment},
		{"login", h.examineLogin},
	}
	broken := false
	for _, examination := range examinations {
		for _, f := range examination.do(ctx, host) {
			mark, text := "ok", f.detail
			if f.fault != nil {
				mark, text = "FAIL", f.fault.Error()
				if f.harmless {
					mark = "warn"
				}
				broken = broken || !f.harmless
			}
			fmt.Fprintf(h.Stdout, "%-4s  %s: %s\n", mark, examination.name, registry.Printable(text))
			printAdvice(h.Stdout, "      ", registry.Diagnosis{Cause: f.cause, Hint: f.advice})
		}
	}
	if broken {
		return errReported
	}
	return nil
}

// examineProgram sees whether Docker finds this program.
func (h *helper) examineProgram(context.Context, string) []finding {
	found, err := exec.LookPath(program)
	if err != nil {
		return []finding{{
			fault:  fmt.Errorf("%s is not on PATH, where Docker looks for it", program),
			advice: "move it to a directory on PATH; programs started from a desktop have a PATH of their own",
		}}
	}
	self, err := os.Executable()
	if err == nil && !sameFile(self, found) {
		return []finding{{fault: fmt.Errorf("another one is found first: %s", found), advice: "this one is " + self, harmless: true}}
	}
	return []finding{{detail: found}}
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// examineDocker sees whether Docker asks this program.
func (h *helper) examineDocker(key string) []finding {
	name, err := h.dockerHelper(key)
	configure := "run: " + program + " configure-docker " + key
	switch {
	case err != nil:
		return []finding{{fault: err}}
	case name == "":
		return []finding{{fault: fmt.Errorf("no helper is asked for %s", key), advice: configure}}
	case name != helperName:
		return []finding{{fault: fmt.Errorf("docker-credential-%s is asked for %s", name, key), advice: configure + " --force"}}
	}
	findings := []finding{{detail: "this program is asked for " + key}}
	// Docker looks there first (docker/cli cli/config/configfile/file.go).
	if slices.Contains(dockerconfig.PlainIn([]byte(h.Getenv("DOCKER_AUTH_CONFIG"))), key) {
		findings = append(findings, finding{
			fault:  fmt.Errorf("DOCKER_AUTH_CONFIG holds a login to %s, which takes precedence", key),
			advice: "unset DOCKER_AUTH_CONFIG",
		})
	}
	return findings
}

// examinePlainText looks for logins that anyone who gets the file can use.
func (h *helper) examinePlainText(_ context.Context, host string) []finding {
	var findings []finding
	logins, err := h.loadIndex()
	if err != nil {
		return []finding{{fault: err}}
	}
	if logins[host].Storage == store.File {
		findings = append(findings, finding{
			fault:    fmt.Errorf("the login is stored in plain text: %s", store.FilePath(h.dir, store.Key{Host: host, Slot: store.SlotLogin})),
			advice:   "log in again with --storage keyring or --storage pass",
			harmless: true,
		})
	}
	for _, path := range h.authFiles() {
		data, err := ownfile.Read(path)
		if err != nil {
			continue // most do not exist
		}
		h.hidden.AddJSON(data)
		for _, address := range dockerconfig.PlainIn(data) {
			findings = append(findings, finding{
				fault:    fmt.Errorf("a login to %q in plain text: %s", address, path),
				advice:   "docker logout, or podman logout, removes it",
				harmless: true,
			})
		}
	}
	if findings == nil {
		return []finding{{detail: "none found"}}
	}
	return findings
}

// authFiles are the places where Docker, Podman and skopeo keep logins
// (containers-auth.json(5)).
func (h *helper) authFiles() []string {
	var files []string
	if dir, err := dockerconfig.Dir(h.Getenv); err == nil {
		files = append(files, filepath.Join(dir, "config.json"))
	}
	if dir := h.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		files = append(files, filepath.Join(dir, "containers", "auth.json"))
	}
	if dir, err := home.Config(); err == nil {
		files = append(files, filepath.Join(dir, "containers", "auth.json"))
	}
	if path := h.Getenv("REGISTRY_AUTH_FILE"); path != "" {
		files = append(files, path)
	}
	return files
}

// examineEnvironment sees what the environment says about host.
func (h *helper) examineEnvironment(_ context.Context, host string) []finding {
	if _, ok := environmentCredential(h.Getenv, host); ok {
		return []finding{{detail: "a variable holds the token for " + host + ", which takes precedence over a login"}}
	}
	if h.Getenv(envToken) != "" && h.Getenv(envHost) == "" {
		return []finding{{fault: fmt.Errorf("%s is not used, because no host is given", envToken), advice: "set " + envHost}}
	}
	return []finding{{detail: "holds no token for " + host}}
}

// examineLogin fetches the credential as Docker would, and shows it to the
// server.
func (h *helper) examineLogin(ctx context.Context, host string) []finding {
	found, err := h.lookup(ctx, host)
	switch {
	case credentials.IsErrCredentialsNotFound(err):
		return []finding{{fault: fmt.Errorf("not logged in to %s", host), advice: loginHint(host)}}
	case err != nil:
		return []finding{failed(err)}
	}
	findings := []finding{{detail: fmt.Sprintf("the store gives a credential of %q", found.username)}}
	logins, err := h.loadIndex()
	if err != nil {
		return append(findings, finding{fault: err})
	}
	merged, err := h.settingsFor(host, settings{}, logins[host])
	if err != nil {
		return append(findings, finding{fault: err})
	}
	srv, err := h.server(host, host, &merged)
	if err != nil {
		return append(findings, failed(err))
	}
	defer srv.http.CloseIdleConnections()
	var id registry.Identity
	if err = srv.greet(ctx); err == nil {
		id, err = srv.identify(ctx, found)
	}
	if err == nil {
		err = srv.checkIdentity(id, found.from, false)
	}
	if err == nil {
		err = srv.checkAccount(ctx, found, id)
	}
	if err != nil {
		return append(findings, failed(err))
	}
	return append(findings, finding{detail: fmt.Sprintf("%s accepts it, for user number %d (push and pull)", host, id.UserID)})
}
