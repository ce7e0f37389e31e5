package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// entry is what the file says about one registry: its own item, then the item
// for every registry.
type entry struct {
	file  *configFile
	items []int
}

// entry finds what holds for host.
func (f *configFile) entry(host string) entry {
	e := entry{file: f}
	if f == nil {
		return e
	}
	var general []int
	for i, item := range f.list.Items {
		switch of, err := hostOf(item.Spec); {
		case err != nil:
		case of == "":
			general = append(general, i)
		case of == host:
			e.items = append(e.items, i)
		}
	}
	e.items = append(e.items, general...)
	return e
}

// values are what the file says of an option, and where.
func (e entry) values(option string) (values []string, where string) {
	for _, i := range e.items {
		spec := e.file.list.Items[i].Spec
		at := fmt.Sprintf("items[%d].spec.", i)
		if option == "plain-http" && spec.URL != "" {
			return []string{strconv.FormatBool(strings.HasPrefix(strings.ToLower(spec.URL), "http://"))}, e.file.position(at + "url")
		}
		if values, found := fieldOf(spec, fields[option]); found {
			return values, e.file.position(at + fields[option])
		}
	}
	return nil, ""
}

func (e entry) caData() string {
	for _, i := range e.items {
		if data := e.file.list.Items[i].Spec.CAData; data != "" {
			return data
		}
	}
	return ""
}

// credential is where the file says that the credential is, and its line that
// does.
func (e entry) credential() (source *v1alpha1.CredentialSource, line string) {
	for _, i := range e.items {
		if source := e.file.list.Items[i].Spec.Credential; source != nil {
			return source, e.file.position(fmt.Sprintf("items[%d].spec.credential", i))
		}
	}
	return nil, ""
}

// fieldOf gives the field at a path such as compression.level as text, of a
// list its elements. A part with several fields is found as a whole: the level
// of one entry is not for the algorithm of another.
func fieldOf(spec v1alpha1.RegistrySpec, path string) (values []string, found bool) {
	encoded, err := json.Marshal(spec)
	if err != nil {
		return nil, false // a struct of strings and numbers
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, false
	}
	whole, part, _ := strings.Cut(path, ".")
	value, found := object[whole]
	if inner, ok := value.(map[string]any); ok {
		value = inner[part]
	}
	switch value := value.(type) {
	case nil:
		return nil, found
	case []any:
		for _, element := range value {
			values = append(values, fmt.Sprint(element))
		}
		return values, found
	}
	return []string{fmt.Sprint(value)}, found
}
