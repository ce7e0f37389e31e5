package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/internal/dockerconfig"
	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/internal/home"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	pluginconfig "github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// setupSettings are the options of the setup command.
type setupSettings struct {
	system, pushLink, hooks bool
	helper, completion      []string
	dryRun, undo            bool
}

func (a *app) newSetupCommand() *cobra.Command {
	var s setupSettings
	command := &cobra.Command{
		Use:   "setup [OPTIONS]",
		Short: "Make docker know this program, and undo that",
		Long: `Make docker know this program: link it into docker's directory of plugins, and
do what the options say. Existing files stay as they are. The command notes what
it did in gitea-setup.json beside docker's config.json, and --undo takes exactly
that back.`,
		Example: `  docker-gitea setup
  docker gitea setup --hooks --completion bash --helper git.example.com
  docker gitea setup --undo --dry-run`,
		Args:                  noArguments,
		DisableFlagsInUseLine: true,
		RunE: func(command *cobra.Command, _ []string) error {
			return a.setup(command.Context(), s)
		},
	}
	flags := command.Flags()
	flags.BoolVar(&s.system, "system", false, "Link the plugin for all users of this machine")
	flags.BoolVar(&s.pushLink, "push-link", false, "Link docker-gitea-push into a directory of programs, too")
	flags.BoolVar(&s.hooks, "hooks", false, "Have docker ask for advice when a push fails")
	flags.StringArrayVar(&s.helper, "helper", nil, "Have docker-credential-gitea keep the logins to this host; may be repeated")
	flags.StringArrayVar(&s.completion, "completion", nil, `Install the completion of docker-gitea for a shell ("bash", "zsh", "fish")`)
	flags.BoolVar(&s.dryRun, "dry-run", false, "Say what would be done, and do nothing")
	flags.BoolVar(&s.undo, "undo", false, "Take back all that was set up")
	_ = command.RegisterFlagCompletionFunc("helper", func(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.silent().knownHosts(), cobra.ShellCompDirectiveNoFileComp
	})
	_ = command.RegisterFlagCompletionFunc("completion", cobra.FixedCompletions([]string{"bash", "zsh", "fish"}, cobra.ShellCompDirectiveNoFileComp))
	return command
}

// setupRecord is what was done, so that it can be undone.
type setupRecord struct {
	Links   []linkRecord   `json:"links,omitempty"`
	Files   []fileRecord   `json:"files,omitempty"`
	Config  []configRecord `json:"config,omitempty"`
	Helpers []string       `json:"helpers,omitempty"`
	// Created: there was no config.json. Blank is its text if it was empty.
	Created bool   `json:"created,omitempty"`
	Blank   string `json:"blank,omitempty"`
}

type linkRecord struct {
	Path   string `json:"path"`
	Target string `json:"target"`
}

type fileRecord struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

// configRecord is a value that was set in config.json.
type configRecord struct {
	Keys  []string `json:"keys"`
	Value string   `json:"value"`
	// Before is what was there, nil for nothing; Made counts the objects around
	// it that were not there either.
	Before *string `json:"before,omitempty"`
	Made   int     `json:"made,omitempty"`
}

// setup is one run of the command.
type setup struct {
	*app
	// dir is docker's configuration directory, user the home directory.
	dir, user string
	record    setupRecord
	dryRun    bool
	// said: there was something to do.
	said bool
}

const setupFileName = "gitea-setup.json"

func (a *app) setup(ctx context.Context, s setupSettings) error {
	config, err := a.dockerConfig()
	if err != nil {
		return err
	}
	if config.Broken() != nil {
		return fmt.Errorf("read docker config: %w", config.Broken())
	}
	user, err := home.Dir()
	if err != nil {
		return err
	}
	run := setup{app: a, dir: config.Dir, user: user, dryRun: s.dryRun}
	content, err := ownfile.Read(run.recordPath())
	if err == nil {
		err = json.Unmarshal(content, &run.record)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read what was set up: %w", err)
	}
	switch {
	case s.undo && content == nil:
		_, _ = fmt.Fprintln(a.Stderr, "nothing to do: setup has done nothing here")
		return nil
	case s.undo:
		err = run.undo(ctx)
	default:
		err = run.do(ctx, s, config)
		if err == nil && !run.said {
			_, _ = fmt.Fprintln(a.Stderr, "nothing to do: all of this is set up")
		}
	}
	if run.dryRun {
		return err
	}
	return errors.Join(err, run.save()) // what was done before a failure can be undone
}

func (s *setup) recordPath() string { return filepath.Join(s.dir, setupFileName) }

// save writes down what was done, or removes the record of nothing.
func (s *setup) save() error {
	encoded, err := json.MarshalIndent(s.record, "", "  ")
	if err != nil {
		return err
	}
	if string(encoded) == "{}" {
		if err := os.Remove(s.recordPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return writeNew(s.recordPath(), append(encoded, '\n'))
}

func (s *setup) do(ctx context.Context, options setupSettings, config *pluginconfig.Config) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return err
	}
	plugins, programs := filepath.Join(s.dir, "cli-plugins"), s.home(".local", "bin")
	if options.system {
		plugins, programs = "/usr/local/lib/docker/cli-plugins", "/usr/local/bin"
		if runtime.GOOS == "windows" {
			plugins, programs = filepath.Join(s.Getenv("ProgramFiles"), "Docker", "cli-plugins"), filepath.Join(s.Getenv("ProgramFiles"), "docker-gitea")
		}
	}
	suffix := filepath.Ext(program)
	if suffix != ".exe" {
		suffix = ""
	}
	if err := s.link(program, filepath.Join(plugins, programName+suffix)); err != nil {
		return err
	}
	if options.pushLink {
		if err := s.link(program, filepath.Join(programs, pushLinkName+suffix)); err != nil {
			return err
		}
	}
	for _, shell := range options.completion {
		if err := s.installCompletion(shell); err != nil { //nolint:contextcheck // the commands get it when they run
			return err
		}
	}
	if options.hooks {
		if err := s.enableHooks(); err != nil {
			return err
		}
	}
	for _, host := range options.helper {
		if err := s.configureHelper(ctx, host, config); err != nil {
			return err
		}
	}
	return nil
}

func (s *setup) home(parts ...string) string {
	return filepath.Join(append([]string{s.user}, parts...)...)
}

// say prints what is done, or would be.
func (s *setup) say(format string, args ...any) {
	s.said = true
	prefix := ""
	if s.dryRun {
		prefix = "would "
	}
	_, _ = fmt.Fprintf(s.Stdout, prefix+format+"\n", args...)
}

// installCompletion writes the completion of a shell to where it looks.
func (s *setup) installCompletion(shell string) error {
	paths := map[string]string{
		"bash": s.home(".local", "share", "bash-completion", "completions", programName),
		"zsh":  s.home(".local", "share", "zsh", "site-functions", "_"+programName),
		"fish": s.home(".config", "fish", "completions", programName+".fish"),
	}
	path, known := paths[shell]
	if !known {
		return fault.Usage(fault.WithHint(fmt.Errorf("--completion %q is not one of bash, zsh and fish", shell),
			"docker gitea completion powershell prints that of PowerShell"))
	}
	var script bytes.Buffer
	if err := s.writeCompletion(&script, shell); err != nil {
		return err
	}
	before, err := ownfile.Read(path)
	if err == nil && bytes.Equal(before, script.Bytes()) {
		return nil
	}
	if err == nil && !slices.ContainsFunc(s.record.Files, func(f fileRecord) bool { return f.Path == path && f.Content == string(before) }) {
		return fault.WithHint(fmt.Errorf("%s is there already, and is left alone", path), "move it away first")
	}
	s.say("write %s", path)
	if s.dryRun {
		return nil
	}
	if err := writeNew(path, script.Bytes()); err != nil {
		return err
	}
	s.record.Files = slices.DeleteFunc(s.record.Files, func(f fileRecord) bool { return f.Path == path })
	s.record.Files = append(s.record.Files, fileRecord{Path: path, Content: script.String()})
	return nil
}

func writeNew(path string, content []byte) error {
	if err := ownfile.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // the link stays
	}
	return ownfile.Write(path, content, 0o600)
}

// enableHooks has docker ask the plugin after a push. Docker's switch for all
// hooks is a text.
func (s *setup) enableHooks() error {
	edit, err := dockerconfig.OpenEdit(s.dir)
	if err != nil {
		return err
	}
	blank, created := edit.Blank(), edit.Missing
	var changes []configRecord
	for _, change := range []configRecord{
		{Keys: []string{"features", "hooks"}, Value: "true"},
		{Keys: []string{"plugins", pluginName, "hooks"}, Value: "push,image push"},
		// Newer versions of docker ask for these only after a failure.
		{Keys: []string{"plugins", pluginName, "error-hooks"}, Value: "push,image push"},
	} {
		before, exists := edit.Get(change.Keys...)
		if exists && before == change.Value {
			continue
		}
		if exists {
			change.Before = &before
		}
		if change.Made, err = edit.Set(change.Value, change.Keys...); err != nil {
			return err
		}
		s.say("set %q to %q in %s", change.Keys, change.Value, edit.Path())
		changes = append(changes, change)
	}
	if len(changes) == 0 || s.dryRun {
		return nil
	}
	if err := edit.Save(); err != nil {
		return err
	}
	s.record.Config = append(s.record.Config, changes...)
	if created {
		s.record.Created = true
	} else if blank != "" {
		s.record.Blank = blank
	}
	return nil
}

const credentialHelper = "docker-credential-gitea" //nolint:gosec // G101: a program's name

// configureHelper leaves to the credential helper what it can do itself.
func (s *setup) configureHelper(ctx context.Context, host string, config *pluginconfig.Config) error {
	host, err := registry.NormalizeHost(host)
	if err != nil {
		return fault.Usage(err)
	}
	if config.Store(host) == credentialHelper {
		return nil
	}
	s.say("have %s keep the logins to %s", credentialHelper, host)
	if s.dryRun {
		return nil
	}
	if err := s.runHelper(ctx, "configure-docker", host); err != nil {
		return err
	}
	s.record.Helpers = append(s.record.Helpers, host)
	return nil
}

func (s *setup) runHelper(ctx context.Context, command, host string) error {
	program, err := exec.LookPath(credentialHelper)
	if err != nil {
		return fault.WithHint(fmt.Errorf("%s: %w", credentialHelper, err), "install it on PATH: docs/install.md")
	}
	run := exec.CommandContext(ctx, program, command, host) //nolint:gosec // G204: a program of this project, and a host
	run.Env = append(os.Environ(), "DOCKER_CONFIG="+s.dir)
	run.Stdout, run.Stderr = gate.Behind(s.Stderr), gate.Behind(s.Stderr)
	if err := run.Run(); err != nil {
		return fmt.Errorf("%s %s %s: %w", credentialHelper, command, host, err)
	}
	return nil
}

// undo takes back what the record says, the last first. What has been changed
// since is left, and said.
func (s *setup) undo(ctx context.Context) error {
	return errors.Join(s.undoHelpers(ctx), s.undoConfig(), s.undoFiles())
}

func (s *setup) undoHelpers(ctx context.Context) error {
	for _, host := range slices.Backward(slices.Clone(s.record.Helpers)) {
		s.say("have %s no longer keep the logins to %s", credentialHelper, host)
		if s.dryRun {
			continue
		}
		if err := s.runHelper(ctx, "unconfigure-docker", host); err != nil {
			return err
		}
		s.record.Helpers = slices.DeleteFunc(s.record.Helpers, func(h string) bool { return h == host })
	}
	return nil
}

func (s *setup) undoConfig() error {
	if len(s.record.Config) == 0 {
		return nil
	}
	edit, err := dockerconfig.OpenEdit(s.dir)
	if err != nil {
		return err
	}
	for _, change := range slices.Backward(s.record.Config) {
		now, exists := edit.Get(change.Keys...)
		switch {
		case !exists || now != change.Value:
			s.complain("warning", fmt.Sprintf("%q in %s has been changed since, and is left alone", change.Keys, edit.Path()))
			continue
		case change.Before != nil:
			_, err = edit.Set(*change.Before, change.Keys...)
		default:
			err = edit.Remove(change.Made, change.Keys...)
		}
		if err != nil {
			return err
		}
		s.say("take %q out of %s", change.Keys, edit.Path())
	}
	if s.dryRun {
		return nil
	}
	if edit.Restore(s.record.Blank); s.record.Created && edit.Empty() {
		err = edit.Delete()
	} else {
		err = edit.Save()
	}
	if err == nil {
		s.record.Config, s.record.Created, s.record.Blank = nil, false, ""
	}
	return err
}

func (s *setup) undoFiles() error {
	for _, f := range slices.Backward(s.record.Files) {
		if now, err := ownfile.Read(f.Path); err != nil || string(now) != f.Content {
			s.complain("warning", f.Path+" has been changed since, and is left alone")
			continue
		}
		s.say("remove %s", f.Path)
		if err := s.removeFile(f.Path); err != nil {
			return err
		}
	}
	for _, l := range slices.Backward(s.record.Links) {
		if now, err := os.Readlink(l.Path); err != nil || now != l.Target {
			s.complain("warning", l.Path+" has been changed since, and is left alone")
			continue
		}
		s.say("remove %s", l.Path)
		if err := s.removeFile(l.Path); err != nil {
			return err
		}
	}
	if !s.dryRun {
		s.record.Files, s.record.Links = nil, nil
	}
	return nil
}

func (s *setup) removeFile(path string) error {
	if s.dryRun {
		return nil
	}
	return os.Remove(path)
}
