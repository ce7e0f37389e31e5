package options

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
	strictjson "sigs.k8s.io/json"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// FileName is the file's name in docker's configuration directory.
const FileName = "gitea.yaml"

// File is the configuration file: a [v1alpha1.RegistryList] in YAML or
// JSON. Nil is an empty one.
type File struct {
	path string
	List v1alpha1.RegistryList
	// root is the same content, for the lines.
	root yaml.Node
}

// ParseFile parses and checks the content of a file. An error names the
// field and the line.
func ParseFile(path string, content []byte) (*File, error) {
	f := &File{path: path}
	if err := yaml.Unmarshal(content, &f.root); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(f.root.Content) == 0 {
		return f, nil
	}
	if err := decodeStrict(content, &f.List); err != nil {
		return nil, f.fault(err)
	}
	if f.List.GroupVersionKind() != v1alpha1.GroupVersion.WithKind(v1alpha1.KindRegistryList) {
		return nil, fmt.Errorf("%s:1: the file begins with apiVersion: %s and kind: %s", path, v1alpha1.GroupVersion, v1alpha1.KindRegistryList)
	}
	return f, f.Check()
}

// decodeStrict decodes YAML or JSON into v. Unknown and repeated fields are
// errors with a FieldPath.
func decodeStrict(content []byte, v any) error {
	encoded, err := YAMLToJSON(content)
	if err != nil {
		return err
	}
	unknown, err := strictjson.UnmarshalStrict(encoded, v)
	return errors.Join(append(unknown, err)...)
}

// YAMLToJSON converts a document for decoders that know only JSON and its
// struct tags. A key that is there twice is an error.
func YAMLToJSON(content []byte) ([]byte, error) {
	var document any
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	return json.Marshal(document)
}

// fault adds to an error of decodeStrict the lines that it is about.
func (f *File) fault(err error) error {
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
func (f *File) badValue(err error) error {
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

// Check refuses what the types allow, and makes paths absolute.
func (f *File) Check() error {
	seen := map[string]bool{}
	for i := range f.List.Items {
		spec := &f.List.Items[i].Spec
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
		alone := Layers{Flags: new(pflag.FlagSet), Getenv: func(string) string { return "" }, File: f}
		if _, err := alone.Resolve(new(Settings), host); err != nil {
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
func (f *File) resolvePaths(spec *v1alpha1.RegistrySpec) {
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
func (f *File) position(path string) string {
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
