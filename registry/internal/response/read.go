package response

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// briefTime bounds the reading of a body that is not needed: a server that answers
// with an error may be unable to finish it.
const briefTime = 5 * time.Second

// MaxManifest bounds what is read of a manifest, in bytes; Gitea's own limit is
// 10 MiB.
const MaxManifest = 10 << 20

// MediaType is that of a message's body, without parameters.
func MediaType(header http.Header) string {
	kind, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.TrimSpace(kind)
}

// ReadBriefly reads what arrives soon of a body, at most n bytes.
func ReadBriefly(body io.ReadCloser, n int64) []byte {
	content, _ := ReadWithin(body, n, briefTime) // what did arrive is all the better
	return content
}

// Patience is how long an answer of at most n bytes may take. A
// trickled answer never counts as a stall, so its time is bounded.
func Patience(n int64) time.Duration {
	const leastRate = 32 << 10 // bytes a second
	return 30*time.Second + time.Duration(n/leastRate)*time.Second
}

// ReadWithin reads a body of at most n bytes that has to end within limit.
func ReadWithin(body io.ReadCloser, n int64, limit time.Duration) ([]byte, error) {
	var late atomic.Bool
	timer := time.AfterFunc(limit, func() {
		late.Store(true)
		_ = body.Close()
	})
	defer timer.Stop()
	content, err := io.ReadAll(io.LimitReader(body, n))
	if err != nil && late.Load() {
		err = fmt.Errorf("%w: the answer takes longer than %v", registry.ErrStalled, limit)
	}
	return content, err
}

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 5 * time.Minute

// RetryAfter is how long to wait before another try, as far as that is worth it.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	return min(Wish(header, now), maxRetryAfter)
}

// TooLong reports that the server asks for a longer wait than is worth it: a limit of
// hours, as Docker Hub has for what is pulled.
func TooLong(header http.Header, now time.Time) bool { return Wish(header, now) > maxRetryAfter }

// Wish reads the header Retry-After in both its forms: seconds, and a date (RFC 9110
// section 10.2.3). It is zero where there is none.
func Wish(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		if server, err := http.ParseTime(header.Get("Date")); err == nil {
			now = server // the two dates are of one clock
		}
		wait = date.Sub(now)
	}
	return max(wait, 0)
}

// Drain reads a little of a body that is not wanted, so that its connection
// can be used again, and closes it.
func Drain(resp *http.Response) {
	_ = ReadBriefly(resp.Body, 16<<10)
	_ = resp.Body.Close()
}

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
			said = bytes.ReplaceAll(said, []byte(secret), []byte("[redacted]"))
		}
	}
	return said
}

// shortestSecret is the length from which on a secret is taken out of a text.
// Shorter ones would take parts of other words with them.
const shortestSecret = 5
