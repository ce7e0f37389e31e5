package v1alpha1_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

var update = flag.Bool("update", false, "write the schemas")

// The JSON Schemas say what the definitions for Kubernetes say, and refuse
// fields that are not there.
func TestSchemas(t *testing.T) {
	registry := definition(t, "registries")
	for name, schema := range map[string]object{
		"push": document(v1alpha1.KindPush, definition(t, "pushes")),
		"registrylist": document(v1alpha1.KindRegistryList, object{
			"description": "RegistryList is a configuration file: what holds for each registry, and for all.",
			"type":        "object",
			"properties":  object{"apiVersion": object{}, "kind": object{}, "metadata": object{"type": "object"}, "items": object{"type": "array", "items": registry}},
			"required":    []any{"items"},
		}),
	} {
		t.Run(name, func(t *testing.T) {
			var want bytes.Buffer
			encoder := json.NewEncoder(&want)
			encoder.SetIndent("", "  ")
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(schema); err != nil {
				t.Fatal(err)
			}
			path := "schema/" + name + ".json"
			if *update {
				if err := os.WriteFile(path, want.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.String(), string(got)); diff != "" {
				t.Errorf("run `make generate`:\n%s", diff)
			}
		})
	}
}

type object = map[string]any

// document is the schema of a whole file of a kind.
func document(kind string, schema object) object {
	strict(schema)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	properties := schema["properties"].(object)
	properties["apiVersion"] = object{"const": v1alpha1.GroupVersion.String()}
	properties["kind"] = object{"const": kind}
	required, _ := schema["required"].([]any)
	schema["required"] = append([]any{"apiVersion", "kind"}, required...)
	return schema
}

// definition is the schema in the definition that controller-gen wrote.
func definition(t *testing.T, plural string) object {
	t.Helper()
	content, err := os.ReadFile("crd/docker-gitea.github.io_" + plural + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema object `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(content, &crd); err != nil {
		t.Fatal(err)
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// strict forbids what is not named, and drops what only Kubernetes knows.
func strict(schema object) {
	if properties, found := schema["properties"].(object); found {
		schema["additionalProperties"] = false
		for _, property := range properties {
			strict(property.(object))
		}
	}
	if items, found := schema["items"].(object); found {
		strict(items)
	}
	for key := range schema {
		if strings.HasPrefix(key, "x-kubernetes-") {
			delete(schema, key)
		}
	}
}
