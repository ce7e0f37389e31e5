package response

import (
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"
)

// An error whose body never ends costs a bounded time, and says what arrived.
func TestErrorBodyIsReadBriefly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body, server := io.Pipe()
		go func() { _, _ = io.WriteString(server, "disk full\n") }()
		start := time.Now()
		err := Error("put manifest 1", &http.Request{URL: &url.URL{Scheme: "https", Host: "git.example.com", Path: "/v2/me/app/manifests/1"}}, &http.Response{
			StatusCode: http.StatusInternalServerError, Header: http.Header{"Content-Type": {"text/plain"}}, Body: body,
		})
		if took := time.Since(start); took != briefTime || err.Message != "disk full" {
			t.Errorf("got %v after %v", err, took)
		}
	})
}
