//go:build e2e && linux

package test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/docker-gitea/docker-gitea/test/doctest"
)

// step is a part of a job: what it runs, in which environment.
type jobStep struct {
	script string
	env    map[string]string
}

// The jobs of docs/examples, told as the commands that they run. The one of
// Gitea Actions is run by the runner of that, in TestAction.
var jobs = map[string]func(t *testing.T, text []byte) []jobStep{
	"woodpecker.yaml": func(t *testing.T, text []byte) []jobStep {
		t.Helper()
		type step struct {
			Environment map[string]any
			Commands    []string
		}
		var steps []jobStep
		for _, s := range parseYAML[struct{ Steps []step }](t, text).Steps {
			env := map[string]string{}
			for name, value := range s.Environment {
				if env[name] = "…"; value != nil {
					if plain, ok := value.(string); ok {
						env[name] = plain
					}
				}
			}
			steps = append(steps, jobStep{strings.Join(s.Commands, "\n"), env})
		}
		return steps
	},
	"gitlab-ci.yaml": func(t *testing.T, text []byte) []jobStep {
		t.Helper()
		job := parseYAML[map[string]struct {
			Variables map[string]string
			Script    []string
		}](t, text)["image"]
		env := maps.Clone(job.Variables)
		env["DOCKER_GITEA_TOKEN"] = "…"
		return []jobStep{{strings.Join(job.Script, "\n"), env}}
	},
}

func parseYAML[T any](t *testing.T, text []byte) T {
	t.Helper()
	var value T
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// Each example of a job, run with the variables that it would have, leaves an
// image in Gitea under the tags that it names.
func TestExampleJobs(t *testing.T) {
	files, err := filepath.Glob("../docs/examples/*.yaml")
	if err != nil || len(files) != len(jobs)+1 {
		t.Fatalf("got examples %q (%v), want one for each of the jobs here, and that of Gitea Actions", files, err)
	}
	files = slices.DeleteFunc(files, func(file string) bool { return filepath.Base(file) == "gitea-actions.yaml" })
	// What runners set.
	const commit = "4d035f9c2b4c4a9a8d0f1e2d3c4b5a6978695a4b"
	runner := map[string]string{
		"CI_COMMIT_SHA": commit, "CI_REPO": "me/app", "CI_COMMIT_SHORT_SHA": commit[:8],
	}
	programs := released(t)
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := newReader(t, nil, programs)
			for _, step := range jobs[name](t, text) {
				var script strings.Builder
				for _, env := range []map[string]string{runner, step.env} {
					for _, key := range slices.Sorted(maps.Keys(env)) {
						script.WriteString("export " + key + "='" + env[key] + "'\n")
					}
				}
				r.try(t, doctest.Step{Text: script.String() + step.script + "\n"})
			}
			r.try(t, doctest.Step{Text: "docker pull -q git.example.com/me/app:latest\ncrane ls git.example.com/me/app | grep '^4d035f9'\n"})
		})
	}
}

// The page about jobs has the example of Gitea Actions as it is.
func TestCIPageHasTheExample(t *testing.T) {
	if !strings.Contains(readText(t, "../docs/ci.md"), readText(t, "../docs/examples/gitea-actions.yaml")) {
		t.Error("docs/ci.md and docs/examples/gitea-actions.yaml differ")
	}
}

// The example images build, the second one from the first as it is in Gitea,
// with another base in the place of docker's own.
func TestExampleImages(t *testing.T) {
	r := newReader(t, nil, released(t))
	r.try(t, doctest.Step{Text: `export DOCKER_GITEA_HOST=git.example.com DOCKER_GITEA_TOKEN=… DOCKER_BUILDKIT=0
mkdir bin
cp /usr/local/bin/docker-gitea /usr/local/bin/docker-credential-gitea bin/
docker build -q -t git.example.com/me/docker-gitea:1 -f "$PROJECT/docs/examples/Dockerfile" bin
docker gitea push git.example.com/me/docker-gitea:1
docker image rm git.example.com/me/docker-gitea:1
docker build -q -t docker:cli .
docker build -q -t git.example.com/me/ci:1 -f "$PROJECT/docs/examples/ci.Dockerfile" .
docker gitea push git.example.com/me/ci:1
crane export git.example.com/me/ci:1 - | tar -t >files
grep -qx usr/local/libexec/docker/cli-plugins/docker-gitea files
grep -qx usr/local/bin/docker-credential-gitea files
`})
}
