package print

import (
	"reflect"

	"github.com/docker-gitea/docker-gitea/registry"
)

// printableValue is v with every text in it on one line and fit for a terminal,
// for templates, which print it as it is.
func printableValue(v any) any {
	if v == nil {
		return nil
	}
	return printableCopy(reflect.ValueOf(v)).Interface()
}

func printableCopy(v reflect.Value) reflect.Value {
	made := reflect.New(v.Type()).Elem()
	made.Set(v)
	switch v.Kind() {
	case reflect.String:
		made.SetString(registry.Printable(v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			made.Set(reflect.New(v.Type().Elem()))
			made.Elem().Set(printableCopy(v.Elem()))
		}
	case reflect.Interface:
		if !v.IsNil() {
			made.Set(printableCopy(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			made.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			made.Index(i).Set(printableCopy(v.Index(i)))
		}
	case reflect.Map:
		if !v.IsNil() {
			made.Set(reflect.MakeMap(v.Type()))
		}
		for key, value := range v.Seq2() {
			made.SetMapIndex(printableCopy(key), printableCopy(value))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				made.Field(i).Set(printableCopy(v.Field(i)))
			}
		}
	default: // numbers and the like
	}
	return made
}
