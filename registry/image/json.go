package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

const (
	// maxValues bounds the keys, values and brackets of a document: the
	// shortest take fifty times their length in memory.
	maxValues = 1 << 18
	// maxNesting bounds how deep they stand in each other.
	maxNesting = 100
)

// decode reads a document of a source, as what it should be. It refuses one
// that different readers could take for different things: of a key given twice
// some take the first value and some the last.
func decode(name, what string, data []byte, v any) error {
	e := examiner{json.NewDecoder(bytes.NewReader(data)), 0}
	if refused, ok := errors.AsType[*Error](e.value(0)); ok {
		refused.File = name
		return refused
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fault(ErrInvalid, name, "is no valid JSON for %s", what).because(err)
	}
	return nil
}

// examiner walks through a document without keeping it. Mistakes in the syntax
// end the walk; to tell of them is left to [json.Unmarshal].
type examiner struct {
	*json.Decoder
	count int
}

func (e *examiner) next() (json.Token, error) {
	if e.count++; e.count > maxValues {
		return nil, fault(ErrLimit, "", "more than %d values are too many for metadata", maxValues)
	}
	return e.Token()
}

// value passes over a value and what is in it.
func (e *examiner) value(depth int) error {
	token, err := e.next()
	if err != nil {
		return err
	}
	if _, opens := token.(json.Delim); !opens {
		return nil
	}
	if depth == maxNesting {
		return fault(ErrLimit, "", "is nested deeper than %d", maxNesting)
	}
	keys := map[string]bool{}
	for e.More() {
		if token == json.Delim('{') {
			if err := e.key(keys); err != nil {
				return err
			}
		}
		if err := e.value(depth + 1); err != nil {
			return err
		}
	}
	_, err = e.next()
	return err
}

func (e *examiner) key(keys map[string]bool) error {
	token, err := e.next()
	if err != nil {
		return err
	}
	key, _ := token.(string)
	if folded := fold(key); meant[folded] {
		key = folded
	}
	if keys[key] {
		return fault(ErrUnsafe, "", "has the key %q twice", clip(key))
	}
	keys[key] = true
	return nil
}

// meant are the keys that we look for, which encoding/json finds in any
// spelling, and other readers do not.
var meant = map[string]bool{
	"schemaversion": true, "mediatype": true, "config": true, "layers": true, "blobs": true, "manifests": true,
	"digest": true, "size": true, "urls": true, "data": true, "annotations": true, "platform": true,
	"os": true, "os.version": true, "architecture": true, "variant": true, "rootfs": true, "type": true, "diff_ids": true,
	"repotags": true, "layersources": true, "imagelayoutversion": true,
}

// fold takes all spellings of a key to one: of the long s and the Kelvin sign
// too, as encoding/json does.
func fold(key string) string { return strings.ToLower(strings.ToUpper(key)) }
