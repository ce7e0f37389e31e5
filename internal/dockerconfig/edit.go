package dockerconfig

import (
	"bytes"
	"fmt"
	"slices"
)

// Set puts text at a path of keys. It returns the number of parents that it
// had to make.
func (e *Edit) Set(text string, keys ...string) (made int, err error) {
	before := e.data
	made = e.put(0, outermost(e.data), text, keys, 0)
	v, err := read(e.data)
	if err == nil {
		if got, _ := v.text(keys...); got == text {
			return made, nil
		}
		err = fmt.Errorf("docker would not find %q", keys)
	}
	e.data = before
	return 0, fmt.Errorf("edit docker config: %w", err)
}

// put puts text where docker reads it: into the last of those of the same name.
// Offset is where the object for keys[depth] begins, around how what is around
// it is laid out.
func (e *Edit) put(offset int, around layout, text string, keys []string, depth int) (made int) {
	all := members(e.data, offset)
	l := around.of(e.data, offset, all)
	found := matches(all, keys, depth)
	rest := keys[depth+1:]
	if len(found) == 0 {
		e.insert(offset, around, all, keys[depth], l.value(text, rest))
		return len(rest)
	}
	m := found[len(found)-1]
	switch {
	case len(rest) == 0 || isNull(e.data, m):
		e.splice(m.value, m.end, l.value(text, rest))
		if len(rest) > 0 && depth == 0 {
			// A null takes back what stands before it, which must not come back.
			for range found[:len(found)-1] {
				all := members(e.data, offset)
				e.cut(offset, all, slices.Index(all, matches(all, keys, depth)[0]))
			}
		}
		return max(0, len(rest)-1)
	default:
		return e.put(m.value, l, text, keys, depth+1)
	}
}

// value is text in new objects with these keys.
func (l layout) value(text string, keys []string) string {
	if len(keys) == 0 {
		return quote(text)
	}
	return l.object(keys[0], l.within().value(text, keys[1:]))
}

// insert adds a member to the object at offset.
func (e *Edit) insert(offset int, around layout, all []member, name, value string) {
	if len(all) == 0 {
		begin := opening(e.data, offset)
		e.splice(begin, begin+bytes.IndexByte(e.data[begin:], '}')+1, around.object(name, value))
		return
	}
	l, end := around.of(e.data, offset, all), all[len(all)-1].end
	e.splice(end, end, ","+l.before+quote(name)+l.colon+value)
}

// Remove takes away what is at a path of keys, and as many of its parents as
// Set has made, if nothing else is in them.
func (e *Edit) Remove(made int, keys ...string) error {
	for i := range made + 1 {
		path := keys[:len(keys)-i]
		if i > 0 && !e.hollow(path) {
			break
		}
		for e.cutFirst(0, path, 0) {
			continue
		}
	}
	if _, exists := e.Get(keys...); exists {
		return fmt.Errorf("edit docker config: docker would still find %q", keys)
	}
	return nil
}

// cutFirst cuts the first member at a path of keys, if there is one.
func (e *Edit) cutFirst(offset int, keys []string, depth int) bool {
	all := members(e.data, offset)
	for _, m := range matches(all, keys, depth) {
		if depth == len(keys)-1 {
			e.cut(offset, all, slices.Index(all, m))
			return true
		}
		if e.cutFirst(m.value, keys, depth+1) {
			return true
		}
	}
	return false
}

// hollow reports that nothing is in any object at a path of keys.
func (e *Edit) hollow(keys []string) bool {
	offsets := []int{0}
	for depth := range keys {
		var next []int
		for _, offset := range offsets {
			for _, m := range matches(members(e.data, offset), keys, depth) {
				next = append(next, m.value)
			}
		}
		offsets = next
	}
	return !slices.ContainsFunc(offsets, func(offset int) bool { return len(members(e.data, offset)) > 0 })
}

// cut cuts the member all[i] out of the object at offset, with its comma.
func (e *Edit) cut(offset int, all []member, i int) {
	switch {
	case len(all) == 1:
		begin := opening(e.data, offset)
		e.splice(begin, all[0].end+bytes.IndexByte(e.data[all[0].end:], '}')+1, "{}")
	case i > 0:
		e.splice(all[i-1].end, all[i].end, "")
	default:
		e.splice(all[0].begin, all[1].begin, "")
	}
}

func (e *Edit) splice(begin, end int, text string) {
	e.data = slices.Concat(e.data[:begin], []byte(text), e.data[end:])
}
