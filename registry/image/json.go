package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
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
	e := examiner{Decoder: json.NewDecoder(bytes.NewReader(data)), fields: map[reflect.Type]map[string]reflect.Type{}}
	if refused, ok := errors.AsType[*Error](e.value(0, reflect.TypeOf(v))); ok {
		refused.File = name
		return refused
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fault(ErrInvalid, name, "is no valid JSON for %s", what).because(err)
	}
	return nil
}

// examiner walks through a document without keeping it, beside the type that
// it will be read into. Mistakes in the syntax end the walk; to tell of them is
// left to [json.Unmarshal].
type examiner struct {
	*json.Decoder
	count int
	// fields are those of the structs met so far, by their folded keys.
	fields map[reflect.Type]map[string]reflect.Type
}

func (e *examiner) next() (json.Token, error) {
	if e.count++; e.count > maxValues {
		return nil, fault(ErrLimit, "", "more than %d values are too many for metadata", maxValues)
	}
	return e.Token()
}

// value passes over a value and what is in it. t is the type that it is read
// into, nil where it is not read.
func (e *examiner) value(depth int, t reflect.Type) error {
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
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	keys := map[string]bool{}
	for e.More() {
		inner := elementOf(t)
		if token == json.Delim('{') {
			if inner, err = e.key(keys, t); err != nil {
				return err
			}
		}
		if err := e.value(depth+1, inner); err != nil {
			return err
		}
	}
	_, err = e.next()
	return err
}

// key passes over a key, and gives the type that its value is read into. Only
// the fields of a struct are found in any spelling, by encoding/json and by no
// other reader; labels and annotations that differ in case are different keys.
func (e *examiner) key(keys map[string]bool, t reflect.Type) (reflect.Type, error) {
	token, err := e.next()
	if err != nil {
		return nil, err
	}
	key, _ := token.(string)
	inner := elementOf(t)
	if t != nil && t.Kind() == reflect.Struct {
		folded := fold(key)
		if field, found := e.fieldsOf(t)[folded]; found {
			key, inner = folded, field
		}
	}
	if keys[key] {
		return nil, fault(ErrUnsafe, "", "has the key %q twice", clip(key))
	}
	keys[key] = true
	return inner, nil
}

// elementOf is the type of what is in a list or a map, nil for all else.
func elementOf(t reflect.Type) reflect.Type {
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		return t.Elem()
	}
	return nil
}

// fieldsOf are the types of the fields of a struct, by the keys that
// encoding/json reads them from, folded.
func (e *examiner) fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := e.fields[t]
	if fields == nil {
		fields = map[string]reflect.Type{}
		for _, field := range reflect.VisibleFields(t) {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
				fields[fold(name)] = field.Type
			}
		}
		e.fields[t] = fields
	}
	return fields
}

// fold takes all spellings of a key to one: of the long s and the Kelvin sign
// too, as encoding/json does.
func fold(key string) string { return strings.ToLower(strings.ToUpper(key)) }
