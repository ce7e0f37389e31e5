package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

// composeFile is what is read of a compose file
// (https://github.com/compose-spec/compose-spec, spec.md).
type composeFile struct {
	Name     string                    `yaml:"name"`
	Include  yaml.Node                 `yaml:"include"`
	Services map[string]composeService `yaml:"services"`
}

type composeService struct {
	Image   string    `yaml:"image"`
	Build   yaml.Node `yaml:"build"`
	Extends yaml.Node `yaml:"extends"`
}

// Compose are the images of the daemon that the services of a compose file build,
// or with all those that they only use as well, in the order of the services'
// names. Variables are those of getenv, or of a file .env beside.
func Compose(file string, all bool, getenv func(string) string) ([]string, error) {
	content, err := ownfile.Read(file)
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("--compose: %w", err))
	}
	var project composeFile
	if err := yaml.Unmarshal(content, &project); err != nil {
		return nil, fault.Usage(fmt.Errorf("--compose: %s: %w", file, err))
	}
	lookup, err := variables(file, getenv)
	if err != nil {
		return nil, err
	}
	if !project.Include.IsZero() {
		return nil, notResolved(file, "include")
	}
	var images []string
	for _, name := range slices.Sorted(maps.Keys(project.Services)) {
		s := project.Services[name]
		switch {
		case !s.Extends.IsZero():
			return nil, notResolved(file, "services."+name+".extends")
		case s.Build.IsZero() && (!all || s.Image == ""):
			continue
		case s.Image == "":
			images = append(images, projectName(project.Name, file, lookup)+"-"+name)
			continue
		}
		image, err := expand(s.Image, lookup)
		if err != nil {
			return nil, fault.Usage(fmt.Errorf("--compose: %s: services.%s.image: %w", file, name, err))
		}
		if !slices.Contains(images, image) {
			images = append(images, image)
		}
	}
	if len(images) == 0 {
		return nil, fault.Usage(fault.WithHint(fmt.Errorf("--compose: no service of %s builds an image", file), "--all-images takes those that services only use as well"))
	}
	return images, nil
}

func notResolved(file, field string) error {
	return fault.Usage(fault.WithHint(fmt.Errorf("--compose: %s has %s, which compose alone resolves", file, field), "docker compose config >resolved.yaml, and give that"))
}

// projectName is what compose calls images that are given no name after.
func projectName(given, file string, lookup func(string) (string, bool)) string {
	name, found := lookup("COMPOSE_PROJECT_NAME")
	if given != "" && (!found || name == "") {
		name = given
	}
	if name == "" {
		if absolute, err := filepath.Abs(file); err == nil {
			name = filepath.Base(filepath.Dir(absolute))
		}
	}
	return strings.TrimLeft(regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(strings.ToLower(name), ""), "_-")
}

// variables are those of the environment, and below them of a file .env beside the
// compose file.
func variables(file string, getenv func(string) string) (func(string) (string, bool), error) {
	content, err := ownfile.Read(filepath.Join(filepath.Dir(file), ".env"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Usage(fmt.Errorf("--compose: %w", err))
	}
	beside := map[string]string{}
	for line := range strings.Lines(string(content)) {
		key, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if found && !strings.HasPrefix(key, "#") {
			beside[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return func(name string) (string, bool) {
		if value := getenv(name); value != "" {
			return value, true
		}
		value, found := beside[name]
		return value, found
	}, nil
}

// composeVariable is "$$", "$NAME", or "${NAME}" with what takes its place.
var composeVariable = regexp.MustCompile(`\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?+])([^}]*))?\})`)

// expand puts variables in, as compose does. One that is not set is an error: the
// name of an image would be another.
func expand(text string, lookup func(string) (string, bool)) (string, error) {
	var missing error
	expanded := composeVariable.ReplaceAllStringFunc(text, func(match string) string {
		part := composeVariable.FindStringSubmatch(match)
		if part[1] != "" {
			return "$"
		}
		name := part[2] + part[3]
		value, set := lookup(name)
		set = set && (value != "" || !strings.HasPrefix(part[4], ":"))
		switch operator := strings.TrimPrefix(part[4], ":"); {
		case operator == "+" && set:
			return part[5]
		case operator == "+":
			return ""
		case set:
			return value
		case operator == "-":
			return part[5]
		}
		missing = fmt.Errorf("the variable %s is not set", name)
		return ""
	})
	return expanded, missing
}

// Bake are the images that `docker buildx bake --metadata-file` says it made, in the
// order of the targets' names, by the first name of each.
func Bake(file string) ([]string, error) {
	content, err := ownfile.Read(file)
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("--bake: %w", err))
	}
	var targets map[string]json.RawMessage
	if err := json.Unmarshal(content, &targets); err != nil {
		return nil, fault.Usage(fmt.Errorf("--bake: %s: %w", file, err))
	}
	var images []string
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		var made struct {
			Names string `json:"image.name"`
		}
		if json.Unmarshal(targets[name], &made) != nil || made.Names == "" {
			continue // a warning, or the reference of the build
		}
		first, _, _ := strings.Cut(made.Names, ",")
		images = append(images, first)
	}
	if len(images) == 0 {
		return nil, fault.Usage(fault.WithHint(fmt.Errorf("--bake: no target of %s has the name of an image", file), "give the targets tags, and have bake load the images into the daemon"))
	}
	return images, nil
}
