package response

import (
	"net/http"
	"strings"
	"testing"
)

// A server that sends back what it was sent does not bring it into an error.
func TestWithoutSent(t *testing.T) {
	for _, test := range []struct{ user, password, said, want string }{
		{"alice", "CANARYcanary", "you sent Basic YWxpY2U6Q0FOQVJZY2FuYXJ5", "you sent Basic [redacted]"},
		{"alice", "CANARYcanary", "the password CANARYcanary of alice", "the password [redacted] of alice"},
		{"alice", `CANARY"canary`, `the password CANARY\"canary`, "the password [redacted]"},
		{"alice", "abc", "abcdef", "abcdef"},
		{"", "the.token", "Bearer the.token", "Bearer [redacted]"},
		{"", "", "nothing was sent", "nothing was sent"},
	} {
		req := &http.Request{Header: http.Header{}}
		switch {
		case test.user != "":
			req.SetBasicAuth(test.user, test.password)
		case test.password != "":
			req.Header.Set("Authorization", "Bearer "+test.password)
		}
		if got := string(withoutSent([]byte(test.said), req)); got != test.want {
			t.Errorf("%q: got %q, want %q", test.said, got, test.want)
		}
	}
	if got := string(withoutSent([]byte("x"), nil)); !strings.HasPrefix(got, "x") {
		t.Errorf("got %q", got)
	}
}
