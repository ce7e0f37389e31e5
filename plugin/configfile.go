package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
	strictjson "sigs.k8s.io/json"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// configFileName is the file's name in docker's configuration directory.
const configFileName = "gitea.yaml"

// configFile is the configuration file: a [v1alpha1.RegistryList] in YAML or
// JSON. Nil is an empty one.
type configFile struct {
	path string
	list v1alpha1.RegistryList
	// root is the same content, for the lines.
	root yaml.Node
}

// readConfigFile reads the file called path or, if that is empty, the one in
// docker's configuration directory dir. Neither that nor the file in it need
// exist.
func (a *app) readConfigFile(path, dir string) (*configFile, error) {
	named := path != ""
	switch {
	case named:
	case dir == "":
		return nil, nil //nolint:nilnil // nil is the empty file
	default:
		path = filepath.Join(dir, configFileName)
	}
	content, err := ownfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil //nolint:nilnil // nil is the empty file
	}
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("read configuration file: %w", err))
	}
	a.hidden.hideFile(content)
	file, err := parseConfigFile(path, content)
	if err != nil {
		return nil, fault.Usage(fault.WithHint(fmt.Errorf("read configuration file: %w", err), "docs/configuration.md has the fields of the file"))
	}
	for _, item := range file.list.Items {
		a.hidden.hideSpec(item.Spec, a.Getenv)
	}
	return file, nil
}

// parseConfigFile parses and checks the content of a file. An error names the
// field and the line.
func parseConfigFile(path string, content []byte) (*configFile, error) {
	f := &configFile{path: path}
	if err := yaml.Unmarshal(content, &f.root); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(f.root.Content) == 0 {
		return f, nil
	}
	if err := decodeStrict(content, &f.list); err != nil {
		return nil, f.fault(err)
	}
	if f.list.GroupVersionKind() != v1alpha1.GroupVersion.WithKind(v1alpha1.KindRegistryList) {
		return nil, fmt.Errorf("%s:1: the file begins with apiVersion: %s and kind: %s", path, v1alpha1.GroupVersion, v1alpha1.KindRegistryList)
	}
	return f, f.check()
}

// decodeStrict decodes YAML or JSON into v. Unknown and repeated fields are
// errors with a FieldPath.
func decodeStrict(content []byte, v any) error {
	encoded, err := yamlToJSON(content)
	if err != nil {
		return err
	}
	unknown, err := strictjson.UnmarshalStrict(encoded, v)
	return errors.Join(append(unknown, err)...)
}

// fault adds to an error of decodeStrict the lines that it is about.
func (f *configFile) fault(err error) error {
	var all []error
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	for _, err := range joined.Unwrap() {
		if unknown, ok := errors.AsType[strictjson.FieldError](err); ok {
			all = append(all, fmt.Errorf("%s: %w", f.position(unknown.FieldPath()), err))
			continue
		}
		all = append(all, f.badValue(err))
	}
	return errors.Join(all...)
}

// badValue finds the field that does not decode: the decoder's message has no
// position.
func (f *configFile) badValue(err error) error {
	items := find(&f.root, "items")
	if items == nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	for i, item := range items.Content {
		spec := find(item, "spec")
		if spec == nil || spec.Kind != yaml.MappingNode {
			continue
		}
		for k := 0; k+1 < len(spec.Content); k += 2 {
			part := yaml.Node{Kind: yaml.MappingNode, Content: spec.Content[k : k+2]}
			content, encodeErr := yaml.Marshal(&part)
			if bad := decodeStrict(content, new(v1alpha1.RegistrySpec)); encodeErr == nil && bad != nil {
				return fmt.Errorf("%s:%d: items[%d].spec.%s: %w", f.path, spec.Content[k].Line, i, spec.Content[k].Value, bad)
			}
		}
	}
	return fmt.Errorf("%s: %w", f.path, err)
}

// check refuses what the types allow, and makes paths absolute.
func (f *configFile) check() error {
	seen := map[string]bool{}
	for i := range f.list.Items {
		spec := &f.list.Items[i].Spec
		at := fmt.Sprintf("items[%d].spec", i)
		host, err := hostOf(*spec)
		if err != nil {
			return fmt.Errorf("%s: %s.url: %w", f.position(at+".url"), at, err)
		}
		if seen[host] {
			return fmt.Errorf("%s: %s: the registry %q has an entry already", f.position(at), at, host)
		}
		seen[host] = true
		if field := forOneRegistry(*spec); host == "" && field != "" {
			return fmt.Errorf("%s: %s.%s is for one registry, so the entry needs a url", f.position(at+"."+field), at, field)
		}
		if err := checkCredential(spec.Credential, host); err != nil {
			return fmt.Errorf("%s: %s.credential: %w", f.position(at+".credential"), at, err)
		}
		f.resolvePaths(spec)
		// The values themselves are read as those of options are.
		alone := layers{flags: new(pflag.FlagSet), getenv: func(string) string { return "" }, file: f}
		if _, err := alone.resolve(new(settings), host); err != nil {
			return err
		}
	}
	return nil
}

// forOneRegistry is a field that would weaken what is asked of every registry
// there is, or show it who the user is; empty for none.
func forOneRegistry(spec v1alpha1.RegistrySpec) string {
	switch {
	case spec.Insecure != nil && *spec.Insecure:
		return "insecure"
	case spec.CertFile != "":
		return "certFile"
	case spec.KeyFile != "":
		return "keyFile"
	}
	return ""
}

// checkCredential refuses a source that says too much: above all a secret
// that would go to any registry there is.
func checkCredential(source *v1alpha1.CredentialSource, host string) error {
	if source == nil {
		return nil
	}
	var given int
	for _, field := range []string{source.Helper, source.Env, source.File, source.DockerConfig} {
		if field != "" {
			given++
		}
	}
	secret := source.Env != "" || source.File != ""
	switch {
	case given != 1:
		return errors.New("one of helper, env, file and dockerConfig is needed, and only one")
	case host == "" && secret:
		return errors.New("env and file hold the secret of one registry, so the entry needs a url")
	case source.Username != "" && !secret:
		return errors.New("username goes with env or file")
	}
	return nil
}

// resolvePaths makes relative paths start at the file's directory.
func (f *configFile) resolvePaths(spec *v1alpha1.RegistrySpec) {
	paths := []*string{&spec.CertFile, &spec.KeyFile}
	for i := range spec.CAFiles {
		paths = append(paths, &spec.CAFiles[i])
	}
	if spec.Credential != nil {
		paths = append(paths, &spec.Credential.File, &spec.Credential.DockerConfig)
	}
	for _, path := range paths {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(filepath.Dir(f.path), *path)
		}
	}
}

// hostOf is the host that an entry is for; empty is all.
func hostOf(spec v1alpha1.RegistrySpec) (string, error) {
	if spec.URL == "" {
		return "", nil
	}
	return registry.NormalizeHost(spec.URL)
}

// position is the file with the line of a field, given as items[0].spec.jobs.
func (f *configFile) position(path string) string {
	node := &f.root
	line := 1
	for part := range strings.SplitSeq(strings.ReplaceAll(path, "[", ".["), ".") {
		next := find(node, part)
		if next == nil {
			break
		}
		node = next
		line = node.Line
	}
	return fmt.Sprintf("%s:%d", f.path, line)
}

// find is the part of node called name, a key or "[index]"; nil if there is
// none. The line of a value is taken from its key.
func find(node *yaml.Node, name string) *yaml.Node {
	switch node.Kind {
	case yaml.DocumentNode:
		return find(node.Content[0], name)
	case yaml.AliasNode:
		return find(node.Alias, name)
	case yaml.SequenceNode:
		index, err := strconv.Atoi(strings.Trim(name, "[]"))
		if err == nil && index >= 0 && index < len(node.Content) {
			return node.Content[index]
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if key := node.Content[i]; key.Value == name {
				value := *node.Content[i+1]
				value.Line = key.Line
				return &value
			}
		}
	case yaml.ScalarNode: // has no parts
	}
	return nil
}
