package test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/docker/cli/cli/config/configfile"
	dcontext "github.com/docker/cli/cli/context"

	"github.com/docker-gitea/docker-gitea/credhelper"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// misplacedFile is a file that a program reads: where it is below HOME, which is
// docker's directory and the helper's, too, and what is in it.
type misplacedFile struct {
	program, path string
	content       any
	calls         [][]string
	env           []string
}

// contextFile is the meta.json of one of docker's contexts.
type contextFile struct {
	Name      string
	Metadata  map[string]string
	Endpoints map[string]dcontext.EndpointMetaBase
}

// misplacedFiles are the files that the programs read, but for those that are a
// secret, a key or a certificate, or a cache of their own.
func misplacedFiles() []misplacedFile {
	const name = "here"
	id := sha256.Sum256([]byte(name))
	pluginCalls := [][]string{{"ls", "-D", "HOST/me"}, {"push", "app", "HOST/me/app"}, {"config", "HOST"}, {"__complete", "ls", ""}}
	helperCalls := [][]string{{"status", "--debug"}, {"doctor", "HOST"}, {"login", "--with-token", "HOST"}, {"get"}, {"store"}, {"list"}}
	files := []misplacedFile{
		{"docker-gitea", "gitea.yaml", v1alpha1.RegistryList{}, pluginCalls, nil},
		{"docker-gitea", "config.json", configfile.ConfigFile{}, append(pluginCalls, []string{"setup", "--dry-run"}), nil},
		{"docker-gitea", ".config/containers/auth.json", configfile.ConfigFile{}, pluginCalls[:1], nil},
		{"docker-gitea", filepath.Join("contexts", "meta", hex.EncodeToString(id[:]), "meta.json"), contextFile{}, pluginCalls[1:2], []string{"DOCKER_HOST=", "DOCKER_CONTEXT=" + name}},
		{"docker-credential-gitea", "config.json", configfile.ConfigFile{}, [][]string{{"doctor", "HOST"}, {"configure-docker", "HOST"}, {"unconfigure-docker", "HOST"}}, []string{"DOCKER_CREDENTIAL_GITEA_DIR=/nowhere"}},
		{"docker-credential-gitea", ".config/containers/auth.json", configfile.ConfigFile{}, [][]string{{"doctor", "HOST"}}, nil},
	}
	for name, content := range credhelper.Files() {
		files = append(files, misplacedFile{"docker-credential-gitea", filepath.Join(".config", "docker-credential-gitea", name), content, helperCalls, nil})
	}
	return files
}

// placesInFiles are all fields of all files, and names of fields that there are not.
func placesInFiles() []misplacedPlace {
	var places []misplacedPlace
	for _, file := range misplacedFiles() {
		for _, content := range documents(reflect.TypeOf(file.content)) {
			text, err := json.Marshal(content)
			if err != nil {
				panic(err)
			}
			for _, args := range file.calls {
				places = append(places, misplacedPlace{program: file.program, args: args, env: file.env, path: file.path, content: string(text)})
			}
		}
	}
	return places
}

// beside is what a program wants to see in an object before it looks at the rest.
var beside = map[reflect.Type]map[string]any{
	reflect.TypeFor[v1alpha1.RegistryList](): {"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.KindRegistryList},
	reflect.TypeFor[v1alpha1.RegistrySpec](): {"url": "HOST"},
}

func init() {
	index := reflect.TypeOf(credhelper.Files()["hosts.json"])
	beside[index] = map[string]any{"version": 1}
	hosts, _ := index.FieldByName("Hosts")
	beside[hosts.Type.Elem()] = map[string]any{"username": "me", "kind": "token", "storage": "file"}
}

// keyOf is a key in a map that a program looks at.
func keyOf(t reflect.Type) string {
	if t.Elem() == reflect.TypeFor[dcontext.EndpointMetaBase]() {
		return "docker"
	}
	return "HOST"
}

// documents are all values of a type in JSON with SECRET in one place, as a text,
// as the name of a field or as a key, and HOST where a registry belongs. What is
// no text gets one all the same.
func documents(t reflect.Type) []any {
	switch t.Kind() {
	case reflect.Pointer:
		return documents(t.Elem())
	case reflect.Slice:
		var all []any
		for _, part := range documents(t.Elem()) {
			all = append(all, []any{part})
		}
		return all
	case reflect.Map:
		all := []any{map[string]any{"SECRET": ordinary(t.Elem())}}
		for _, part := range documents(t.Elem()) {
			all = append(all, map[string]any{keyOf(t): part})
		}
		return all
	case reflect.Struct:
		if fields := fieldsOf(t); len(fields) > 0 {
			return objects(t, fields)
		}
	default:
	}
	return []any{"SECRET"}
}

func objects(t reflect.Type, fields map[string]reflect.Type) []any {
	var all []any
	with := func(name string, value any) {
		object := maps.Clone(beside[t])
		if object == nil {
			object = map[string]any{}
		}
		object[name] = value
		all = append(all, object)
	}
	with("SECRET", "x")
	with("token", "SECRET")
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, value := range documents(fields[name]) {
			with(name, value)
		}
	}
	return all
}

// ordinary is a value of a type with nothing odd in it.
func ordinary(t reflect.Type) any {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return map[string]any{}
	default:
		return "x"
	}
}

// fieldsOf are the fields of a struct by their names in JSON. A type that reads
// itself, such as a time, has none.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil
	}
	fields := map[string]reflect.Type{}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case !field.IsExported(), name == "-":
		case field.Anonymous && name == "":
			maps.Copy(fields, fieldsOf(field.Type))
		case name == "":
			fields[field.Name] = field.Type
		default:
			fields[name] = field.Type
		}
	}
	return fields
}

// The documents have every field of their types, those of the programs' own files
// in particular.
func TestDocumentsHaveEveryField(t *testing.T) {
	var all strings.Builder
	for _, place := range placesInFiles() {
		all.WriteString(place.content)
	}
	for _, field := range []string{
		`"rootURL":"SECRET"`, `"caFiles":["SECRET"]`, `"plainHTTP":"SECRET"`, `"storage":"SECRET"`, `{"hosts":{"SECRET":{}}`, `"minted":["SECRET"]`, `"expiry":"SECRET"`,
		`"credHelpers":{"HOST":"SECRET"}`, `"credHelpers":{"SECRET":"x"}`, `"credsStore":"SECRET"`, `"currentContext":"SECRET"`, `"auths":{"SECRET":{}}`,
		`"credential":{"helper":"SECRET"}`, `"timeout":"SECRET"`, `"kind":"SECRET"`, `"Host":"SECRET"`,
	} {
		if !strings.Contains(all.String(), field) {
			t.Errorf("none has %s", field)
		}
	}
}
