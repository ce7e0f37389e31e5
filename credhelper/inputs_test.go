package credhelper

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every option of a command, every field of config.json and every variable that
// is read has a row in the map of inputs, and every row is of something.
func TestEveryInputIsInTheMap(t *testing.T) {
	var options, fields []string
	for _, cmd := range append((&helper{}).rootCommand().Commands(), (&helper{}).rootCommand()) {
		options = append(options, optionsOf(cmd)...)
	}
	for field := range reflect.TypeFor[settings]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	rows := map[string][]string{}
	for _, in := range inputs {
		rows["option"] = append(rows["option"], in.options...)
		rows["variable"] = append(rows["variable"], in.variables...)
		if in.field != "" {
			rows["field"] = append(rows["field"], in.field)
		}
	}
	for kind, found := range map[string][]string{"option": options, "field": fields, "variable": variablesRead(t)} {
		for _, name := range found {
			if !slices.Contains(rows[kind], name) {
				t.Errorf("the %s %s is in no row", kind, name)
			}
		}
		for _, name := range rows[kind] {
			if !slices.Contains(found, name) && name != "help" {
				t.Errorf("there is no %s %s", kind, name)
			}
		}
	}
}

func optionsOf(cmd *cobra.Command) (names []string) {
	for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	}
	return names
}

// variablesRead are those that some command or verb asks for.
func variablesRead(t *testing.T) (names []string) {
	t.Helper()
	g, m := newFakeGitea(t, ""), newHome(t)
	g.tokens["the-token"] = "all"
	for _, args := range [][]string{{"login", "--with-token", "--ca-file", g.caFile, g.host}, {"configure-docker", g.host}, {"doctor", g.host}, {"status"}, {"get"}} {
		Main(t.Context(), System{
			Args: args, Stdin: strings.NewReader("the-token"), Stdout: new(strings.Builder), Stderr: new(strings.Builder), Browser: noBrowser,
			LookupEnv: func(key string) (string, bool) {
				if !slices.Contains(names, key) {
					names = append(names, key)
				}
				value, set := m.env[key]
				return value, set
			},
		})
	}
	return names
}

// S33: a secret where a name, a path or an address belongs is shown nowhere, and
// nothing is made of it: for every option, argument and variable, with each form
// of a secret, at every level.
func TestSecretInAWrongPlaceIsNotShown(t *testing.T) {
	const word = "c4a7cafe"
	forms := map[string]string{
		"token":           strings.Repeat(word, 5),
		"web token":       "eyJhbGciOiJSUzI1NiJ9.eyJ" + word + "." + word,
		"key":             "-----BEGIN PRIVATE KEY-----\nMIG" + strings.Repeat(word, 7) + "\n-----END PRIVATE KEY-----\n",
		"password":        "https://me:" + word + "@git.example.com",
		"password alone":  "me:" + word + "@git.example.com",
		"state and code":  "http://127.0.0.1:61813/?code=" + word + "&state=" + word,
		"another forge's": "ghp_" + strings.Repeat(word, 3),
	}
	check := func(name string, m *userHome, out output) {
		t.Helper()
		if out.code == exitOK || strings.Contains(out.all(), word) {
			t.Errorf("%s: got %d %q", name, out.code, out.all())
		}
		if _, known := m.env[envLog]; known && m.env[envLog] == m.dir+"/log" && strings.Contains(readIfAny(m.env[envLog]), word) {
			t.Errorf("%s: it is in the log", name)
		}
	}
	for form, secret := range forms {
		for _, level := range [][]string{nil, {"--debug"}} {
			m := newHome(t)
			m.env[envLog] = m.dir + "/log"
			for _, cmd := range (&helper{}).rootCommand().Commands() {
				check(form+" to "+cmd.Name(), m, m.run(t, "", append(level, cmd.Name(), secret)...))
				for _, option := range append(optionsOf(cmd), "debug", "no-such") {
					name := form + " to " + cmd.Name() + " --" + option
					check(name, m, m.run(t, "", append(level, cmd.Name(), "--"+option+"="+secret, "git.example.com")...))
					check(name, m, m.run(t, "", append(level, cmd.Name(), "--"+option, secret)...))
				}
			}
			check(form+" as command", m, m.run(t, "", append(level, secret)...))
			check(form+" as option", m, m.run(t, "", append(level, "login", "--"+secret)...))
			check(form+" as -u", m, m.run(t, "", append(level, "login", "-u"+secret, "git.example.com")...))
		}
		for _, in := range inputs {
			for _, variable := range in.variables {
				if slices.Contains(secrets, variable) {
					continue
				}
				m := newHome(t)
				m.env[variable] = secret
				for _, args := range [][]string{{"status"}, {"doctor", "git.example.com"}, {"login", "--with-token", "git.example.com"}, {"get"}, {"store"}, {"erase"}, {"list"}} {
					check(form+" in "+variable, m, m.run(t, "git.example.com", args...))
				}
			}
		}
	}
}

func readIfAny(path string) string {
	data, _ := os.ReadFile(path)
	return string(data)
}
