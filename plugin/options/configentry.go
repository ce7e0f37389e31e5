package options

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// Entry is what the file says about one registry: its own item, then the item
// for every registry.
type Entry struct {
	File  *File
	items []int
}

// Entry finds what holds for host.
func (f *File) Entry(host string) Entry {
	e := Entry{File: f}
	if f == nil {
		return e
	}
	var general []int
	for i, item := range f.List.Items {
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
func (e Entry) values(option string) (values []string, where string) {
	for _, i := range e.items {
		spec := e.File.List.Items[i].Spec
		at := fmt.Sprintf("items[%d].spec.", i)
		if option == "plain-http" && spec.URL != "" {
			return []string{strconv.FormatBool(strings.HasPrefix(strings.ToLower(spec.URL), "http://"))}, e.File.position(at + "url")
		}
		if values, found := fieldOf(spec, Fields[option]); found {
			return values, e.File.position(at + Fields[option])
		}
	}
	return nil, ""
}

// CAData is the certificate that the file itself holds; empty for none.
func (e Entry) CAData() string {
	for _, i := range e.items {
		if data := e.File.List.Items[i].Spec.CAData; data != "" {
			return data
		}
	}
	return ""
}

// credential is where the file says that the credential is, and its line that
// does.
func (e Entry) credential() (source *v1alpha1.CredentialSource, line string) {
	for _, i := range e.items {
		if source := e.File.List.Items[i].Spec.Credential; source != nil {
			return source, e.File.position(fmt.Sprintf("items[%d].spec.credential", i))
		}
	}
	return nil, ""
}

// fieldOf gives the field at a path such as compression.level as text, of a
// List its elements. A part with several fields is found as a whole: the level
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
