package registry

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a password or a token. It prints as [redacted] under every verb,
// in JSON and in logs; only [Secret.Reveal] gives the value. The zero value is
// the absent secret.
type Secret struct {
	// value is behind a pointer so that fmt, which calls no methods on the
	// unexported fields of other structs, prints an address there.
	value *string
}

// NewSecret returns value as a Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal returns the secret itself. Call it only where the secret goes on the
// wire or into a store.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether the secret is absent.
func (s Secret) IsZero() bool { return s.value == nil }

// Format implements [fmt.Formatter] for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// String returns a placeholder, or nothing when the secret is absent.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes the placeholder, never the value.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }
