package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
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

// withoutSent is what a server says without the credential of the request that it
// answers: some send back what they were sent.
func withoutSent(said []byte, req *http.Request) []byte {
	if req == nil {
		return said
	}
	_, credential, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	secrets := []string{credential}
	if decoded, err := base64.StdEncoding.DecodeString(credential); err == nil {
		_, password, _ := strings.Cut(string(decoded), ":")
		quoted, _ := json.Marshal(password) // a string has a form in JSON
		secrets = append(secrets, password, string(quoted[1:len(quoted)-1]))
	}
	for _, secret := range secrets {
		if len(secret) >= shortestSecret {
			said = bytes.ReplaceAll(said, []byte(secret), []byte(redacted))
		}
	}
	return said
}

// shortestSecret is the length from which on a secret is taken out of a text.
// Shorter ones would take parts of other words with them.
const shortestSecret = 5
