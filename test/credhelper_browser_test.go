//go:build e2e

package test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// person is a user with a browser: plain HTTP with cookies, and no scripts.
type person struct {
	name   string
	totp   string // the secret of the second factor; empty without one
	client *http.Client
	root   string // address of Gitea's pages, without a slash at its end
}

// newPerson returns a new user who is logged in to the pages of Gitea.
func newPerson(t *testing.T, g *servers.Gitea) *person {
	t.Helper()
	return visitor(t, newUser(t, g), g.URL, g.CAFile)
}

// visitor returns the user of that name, logged in at root.
func visitor(t *testing.T, name, root, caFile string) *person {
	t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{name: name, root: root, client: &http.Client{
		Jar:           jar,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	p.post(t, "/user/login", url.Values{"user_name": {p.name}, "password": {servers.AdminPassword}})
	return p
}

// open returns a page and where it redirects to, if it does.
func (p *person) open(t *testing.T, address string) (page, location string) {
	t.Helper()
	resp, err := p.client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, resp)
}

func (p *person) post(t *testing.T, path string, form url.Values) (page, location string) {
	t.Helper()
	resp, err := p.client.PostForm(p.root+path, form)
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, resp)
}

func finish(t *testing.T, resp *http.Response) (page, location string) {
	t.Helper()
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s: %s (%v): %s", resp.Request.URL.Path, resp.Status, err, data)
	}
	return string(data), resp.Header.Get("Location")
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// consent opens the address that the helper gives, agrees, and returns where
// the browser is led.
func (p *person) consent(t *testing.T, address string) string {
	t.Helper()
	page, location := p.open(t, address)
	if location != "" {
		return location
	}
	form := hidden(page)
	form.Set("granted", "true")
	if _, location = p.post(t, "/login/oauth/grant", form); location == "" {
		t.Fatal("the consent leads nowhere")
	}
	return location
}

var secretOnPage = regexp.MustCompile(`secret: ([A-Z2-7]+)`)

// enrol turns the second factor on.
func (p *person) enrol(t *testing.T) {
	t.Helper()
	const path = "/user/settings/security/two_factor/enroll"
	page, _ := p.open(t, p.root+path)
	match := secretOnPage.FindStringSubmatch(page)
	if match == nil {
		t.Fatal("the page shows no secret")
	}
	p.totp = match[1]
	form := hidden(page)
	form.Set("passcode", p.code(t, 0))
	p.post(t, path, form)
}

// hidden is what the form of a page has filled in already.
func hidden(page string) url.Values {
	form := url.Values{}
	for _, input := range hiddenInput.FindAllStringSubmatch(page, -1) {
		form.Set(input[1], input[2])
	}
	return form
}

// code is the one-time code of now (RFC 6238), or so many times half a minute
// later: Gitea takes the next one as well, and on its pages none twice.
func (p *person) code(t *testing.T, later int64) string {
	t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.totp)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, time.Now().Unix()/30+later)
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

// chromium drives a headless Chromium (W3C WebDriver).
type chromium struct {
	t       *testing.T
	session string
}

func startChromium(t *testing.T) *chromium {
	t.Helper()
	driver := program(t, "chromedriver")
	port, err := servers.FreePort()
	servers.Need(t, err)
	cmd := exec.Command(driver, fmt.Sprintf("--port=%d", port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c := &chromium{t, fmt.Sprintf("http://127.0.0.1:%d/session", port)}
	for {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/status", port))
		if err == nil {
			resp.Body.Close()
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	value := c.call("", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"acceptInsecureCerts": true,
		"goog:chromeOptions": map[string]any{
			"args": []string{"--headless=new", "--no-sandbox", "--disable-dev-shm-usage"},
			// This Gitea is built without its scripts, and its pages complain of that in dialogues.
			"prefs": map[string]any{"profile.managed_default_content_settings.javascript": 2},
		},
	}}})
	c.session += "/" + decode[struct{ SessionID string }](t, value).SessionID
	t.Cleanup(func() {
		req, _ := http.NewRequest(http.MethodDelete, c.session, nil)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	})
	return c
}

func (c *chromium) call(path string, in any) json.RawMessage {
	c.t.Helper()
	body, _ := json.Marshal(in)
	resp, err := http.Post(c.session+path, "application/json", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("webdriver %s: %s", path, data)
	}
	return decode[struct{ Value json.RawMessage }](c.t, data).Value
}

func (c *chromium) open(address string) { c.call("/url", map[string]string{"url": address}) }

// element returns the path of the element that the CSS selector finds.
func (c *chromium) element(selector string) string {
	found := decode[map[string]string](c.t, c.call("/element", map[string]string{"using": "css selector", "value": selector}))
	for _, id := range found {
		return "/element/" + id
	}
	return ""
}

func (c *chromium) fill(selector, text string) {
	c.call(c.element(selector)+"/value", map[string]string{"text": text})
}

func (c *chromium) click(selector string) { c.call(c.element(selector)+"/click", map[string]string{}) }
