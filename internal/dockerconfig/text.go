package dockerconfig

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// member is a name and a value in the text of an object, by their offsets.
type member struct {
	key string
	// begin is where the name begins, value and end where its value does both.
	begin, value, end int
}

// members are those of the object whose text begins at offset, white space
// before it or not; none if it is no object. The text is valid JSON.
func members(data []byte, offset int) []member {
	decoder := json.NewDecoder(bytes.NewReader(data[offset:]))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	var all []member
	for decoder.More() {
		begin := offset + int(decoder.InputOffset())
		begin += len(data[begin:]) - len(bytes.TrimLeft(data[begin:], " \t\r\n,"))
		name, err := decoder.Token()
		if err != nil {
			return nil
		}
		key, _ := name.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil
		}
		end := offset + int(decoder.InputOffset())
		all = append(all, member{key, begin, end - len(value), end})
	}
	return all
}

// matches are those of docker's names at a depth: its own in any case, those
// of hosts, plugins and features as they are written.
func matches(all []member, keys []string, depth int) []member {
	own := depth == 0 || depth == 2 && keys[0] == KeyAuths
	var found []member
	for _, m := range all {
		if m.key == keys[depth] || own && strings.EqualFold(m.key, keys[depth]) {
			found = append(found, m)
		}
	}
	return found
}

func isNull(data []byte, m member) bool { return string(data[m.value:m.end]) == "null" }

// quote is text as JSON has it, with "<", ">" and "&" as they are.
func quote(text string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a text can be encoded
	return strings.TrimSuffix(out.String(), "\n")
}

// layout is how the members of an object are written.
type layout struct {
	// before is the white space before each name, colon what follows a name.
	before, colon string
	// unit is what one level is indented by.
	unit string
}

// dockers is the layout of docker's own files; members of the object around
// everything begin on lines of their own.
var dockers = layout{before: "\n", colon: ": ", unit: "\t"}

var firstIndent = regexp.MustCompile(`^\s*\{\r?\n([ \t]+)`)

// outermost is the layout of what is around everything in data.
func outermost(data []byte) layout {
	l := dockers
	if match := firstIndent.FindSubmatch(data); match != nil {
		l.unit = string(match[1])
	}
	return l
}

// within is the layout of the members of a new object in one laid out by l.
func (l layout) within() layout {
	if strings.Contains(l.before, "\n") {
		l.before += l.unit
	} else {
		l.before = ""
	}
	return l
}

// of is the layout that the object at offset has, and that of its surroundings
// where it has no members to tell by.
func (l layout) of(data []byte, object int, all []member) layout {
	if len(all) == 0 {
		return l.within()
	}
	last := all[len(all)-1]
	from := opening(data, object) + 1
	if len(all) > 1 {
		from = all[len(all)-2].end
	}
	space := string(data[from:last.begin])
	l.before = space[strings.LastIndexByte(space, ',')+1:]
	name := data[last.begin:last.value]
	l.colon = string(name[bytes.LastIndexByte(name, ':'):])
	if len(all) == 1 && l.before == "" && l.colon != ":" {
		l.before = " "
	}
	return l
}

// object is a new object with one member, in surroundings laid out by l.
func (l layout) object(name, value string) string {
	inner := l.within()
	closing := ""
	if strings.Contains(l.before, "\n") {
		closing = l.before
	}
	return "{" + inner.before + quote(name) + inner.colon + value + closing + "}"
}

// opening is where the object whose text begins at offset has its brace.
func opening(data []byte, offset int) int {
	return offset + bytes.IndexByte(data[offset:], '{')
}
