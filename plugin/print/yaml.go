package print

import (
	"encoding/json"

	"go.yaml.in/yaml/v3"
)

// toYAML encodes v by its JSON tags, in the order of its fields.
func toYAML(v any) ([]byte, error) {
	encoded, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(encoded, &node); err != nil { // JSON is YAML
		return nil, err
	}
	inBlocks(&node)
	return yaml.Marshal(&node)
}

// inBlocks takes away the braces and quotes of JSON.
func inBlocks(node *yaml.Node) {
	node.Style = 0
	for _, part := range node.Content {
		inBlocks(part)
	}
}
