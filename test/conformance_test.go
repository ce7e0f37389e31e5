//go:build e2e

package test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestRegistrytestIsGitea sends the same requests to a Gitea and to a
// registrytest, one after another, and compares the answers; and does the same
// with a Gitea of the release before and with a Forgejo.
func TestRegistrytestIsGitea(t *testing.T) {
	t.Parallel()
	for name, flavor := range map[string]registrytest.Flavor{
		"Gitea": registrytest.Gitea, "Gitea 1.26": registrytest.Gitea126, "Forgejo": registrytest.Forgejo,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := own(t, servers.GiteaOptions{Forgejo: flavor == registrytest.Forgejo, Older: flavor == registrytest.Gitea126})
			accounts := newAccounts(t, g)
			accounts.config.Flavor = flavor
			compare(t, g, registrytest.Start(t, accounts.config), accounts.secrets)
		})
	}
}

func compare(t *testing.T, g *servers.Gitea, fake *registrytest.Server, secrets map[string][2]string) {
	t.Helper()
	gitea := &peer{url: g.URL, client: plain(t, g.Client()), secrets: secrets, saved: map[string]string{"image": digest.FromString(imageManifest).String()}}
	ours := &peer{url: fake.URL, client: plain(t, fake.HTTPClient()), secrets: secrets, saved: map[string]string{"image": digest.FromString(imageManifest).String()}}
	for _, step := range conversation() {
		t.Run(step.name, func(t *testing.T) {
			want, got := gitea.send(t, step), ours.send(t, step)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %s: the server (-) and registrytest (+) differ:\n%s", step.method, step.path, diff)
			}
		})
	}
}

// step is one request. {name} in its path and headers stands for what an
// earlier step saved, or for the digest of one of the blobs.
type step struct {
	name, method, path, body string
	// as is who asks: a name of accounts.secrets, nobody when empty.
	as     string
	header map[string]string
	// cut ends the connection after the body, which is announced as longer.
	cut bool
	// save keeps the answer's Location, or its token, under that name.
	save string
}

// answer is what is compared of an answer.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// peer is one of the two registries.
type peer struct {
	url     string
	client  *http.Client
	secrets map[string][2]string
	saved   map[string]string
}

// plain is a client with the trust of another that speaks HTTP/1.1, follows
// no redirect, and waits for "100 Continue".
func plain(t *testing.T, client *http.Client) *http.Client {
	t.Helper()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("got a transport of type %T", client.Transport)
	}
	transport = &http.Transport{
		TLSClientConfig:       &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12},
		ExpectContinueTimeout: time.Minute,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (p *peer) send(t *testing.T, s step) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), s.method, p.url+p.fill(s.path), strings.NewReader(p.fill(s.body)))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range s.header {
		req.Header.Set(name, p.fill(value))
	}
	if s.as != "" {
		secret, ok := p.secrets[s.as]
		if !ok {
			t.Fatalf("nobody is called %q", s.as)
		}
		req.SetBasicAuth(secret[0], secret[1])
	}
	if s.cut {
		// The registry says "100 Continue" when it begins to read: the cut is
		// in the body then, not in the checks before it.
		req.Header.Set("Expect", "100-continue")
		req.Body = io.NopCloser(io.MultiReader(strings.NewReader(s.body), brokenReader{}))
		req.ContentLength = int64(len(s.body)) + 1
	}
	resp, err := p.client.Do(req)
	if s.cut {
		if err == nil {
			resp.Body.Close()
			t.Fatalf("got %s, want a cut connection", resp.Status)
		}
		return answer{}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	p.keep(s.save, resp, body)
	return p.normal(resp, body)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("cut") }

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// fill puts in what placeholders stand for.
func (p *peer) fill(s string) string {
	return placeholder.ReplaceAllStringFunc(s, func(name string) string {
		key := strings.Trim(name, "{}")
		if content, ok := contents[key]; ok {
			return digest.FromString(content).String()
		}
		if value, ok := p.saved[key]; ok {
			return value
		}
		return name
	})
}

func (p *peer) keep(name string, resp *http.Response, body []byte) {
	var doc struct {
		Token string `json:"token"`
	}
	if _ = json.Unmarshal(body, &doc); doc.Token != "" {
		p.saved[name] = doc.Token
	} else {
		p.saved[name] = resp.Header.Get("Location")
	}
}

var (
	uploadID = regexp.MustCompile(`\b[a-z0-9]{25}\b`)
	token    = regexp.MustCompile(`"token":"[^"]*"`)
)

// normal is an answer without what cannot be the same.
func (p *peer) normal(resp *http.Response, body []byte) answer {
	header := make(http.Header)
	for _, name := range []string{
		"Allow", "Connection", "Content-Length", "Content-Type", "Docker-Content-Digest", "Docker-Distribution-Api-Version",
		"Docker-Upload-Uuid", "Etag", "Link", "Location", "Range", "Retry-After", "Www-Authenticate", "X-Content-Type-Options",
	} {
		for _, value := range resp.Header.Values(name) {
			value = strings.ReplaceAll(value, resp.Request.URL.Host, "HOST")
			header.Add(name, uploadID.ReplaceAllString(value, "ID"))
		}
	}
	if token.Match(body) {
		header.Del("Content-Length")
	}
	body = token.ReplaceAllFunc(body, func(found []byte) []byte { return describe(strings.Split(string(found), `"`)[3]) })
	slices.Sort(header["Allow"]) // Gitea gives the methods in any order
	return answer{Status: resp.StatusCode, Header: header, Body: string(body)}
}

// describe says what a token claims, as far as it can be the same twice.
func describe(token string) []byte {
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	var claims struct {
		UserID  int64  `json:"UserID"`
		TaskID  int64  `json:"ActionsUserTaskID"`
		Scope   string `json:"Scope"`
		Expires int64  `json:"exp"`
		Begins  int64  `json:"nbf"`
	}
	if err = errors.Join(err, json.Unmarshal(payload, &claims)); err != nil {
		return []byte(err.Error())
	}
	return fmt.Appendf(nil, "token of %d parts, user %d, task %d, scope %s, for %d s",
		len(parts), min(claims.UserID, 0), claims.TaskID, claims.Scope, claims.Expires-claims.Begins)
}

// accounts are those that both registries have.
type accounts struct {
	config  registrytest.Config
	secrets map[string][2]string // name and password, or name and token
}

// newAccounts makes two users, one that is hidden, and an organisation with
// teams that may read and write.
func newAccounts(t *testing.T, g *servers.Gitea) accounts {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"alice", "bob", "hidden"} {
		must(g.CreateUser(ctx, name, servers.AdminPassword))
	}
	must(g.API(ctx, http.MethodPatch, "/admin/users/hidden", map[string]any{"login_name": "hidden", "source_id": 0, "visibility": "private"}, nil))
	must(g.CreateOrg(ctx, "guild"))
	addTeam(ctx, must, g, "writers", "write", "alice")
	addTeam(ctx, must, g, "readers", "read", "bob")
	a := accounts{secrets: map[string][2]string{
		"alice":       {"alice", servers.AdminPassword},
		"bob":         {"bob", servers.AdminPassword},
		"hidden":      {"hidden", servers.AdminPassword},
		"impostor":    {"alice", "wrong"},
		"stranger":    {"nobody", "wrong"},
		"half-hidden": {"hidden", "wrong"},
	}}
	users := []registrytest.User{
		{Name: "alice", Password: servers.AdminPassword},
		{Name: "bob", Password: servers.AdminPassword},
		{Name: "hidden", Password: servers.AdminPassword, Visibility: registrytest.Private},
		{Name: servers.AdminUser, Password: servers.AdminPassword, SiteAdmin: true},
	}
	a.secrets["admin"] = [2]string{servers.AdminUser, servers.AdminPassword}
	for name, scopes := range map[string][]string{
		"writer": {"write:package"}, "reader": {"read:package"}, "outsider": {"write:repository"}, "all": {"all"},
	} {
		token, err := g.CreateToken(ctx, "alice", scopes...)
		must(err)
		a.secrets[name] = [2]string{"whoever", token}
		a.secrets[name+" as user name"] = [2]string{token, ""}
		users[0].Tokens = append(users[0].Tokens, registrytest.AccessToken{Value: token, Scope: strings.Join(scopes, ",")})
	}
	token, err := g.CreateToken(ctx, "hidden", "write:package", "public-only")
	must(err)
	a.secrets["public-only"] = [2]string{"hidden", token}
	users[2].Tokens = []registrytest.AccessToken{{Value: token, Scope: "public-only,write:package"}}
	a.config = registrytest.Config{Users: users, Orgs: []registrytest.Org{{Name: "guild", Teams: []registrytest.Team{
		{Members: []string{"alice"}, Packages: registrytest.Write},
		{Members: []string{"bob"}, Packages: registrytest.Read},
	}}}}
	return a
}

// addTeam makes a team of the guild with one member and access to packages.
func addTeam(ctx context.Context, must func(error), g *servers.Gitea, name, access, member string) {
	var team struct {
		ID int64 `json:"id"`
	}
	must(g.API(ctx, http.MethodPost, "/orgs/guild/teams", map[string]any{
		"name": name, "permission": "read", "units": []string{"repo.packages"}, "units_map": map[string]string{"repo.packages": access},
	}, &team))
	must(g.API(ctx, http.MethodPut, fmt.Sprintf("/teams/%d/members/%s", team.ID, member), nil, nil))
}

var imageManifest = manifestOf("config", "layer", "layer")

// manifestOf is an image manifest of blobs.
func manifestOf(config string, layers ...string) string {
	describe := func(mediaType, name string) map[string]any {
		return map[string]any{"mediaType": mediaType, "digest": digest.FromString(contents[name]), "size": len(contents[name])}
	}
	doc := map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": describe("application/vnd.oci.image.config.v1+json", config),
	}
	all := []map[string]any{}
	for _, layer := range layers {
		all = append(all, describe("application/vnd.oci.image.layer.v1.tar", layer))
	}
	doc["layers"] = all
	data, _ := json.Marshal(doc)
	return string(data)
}

// contents are the blobs that the conversation is about, by the names of their
// placeholders.
var contents = map[string]string{
	"config":  `{"os":"linux","architecture":"amd64"}`,
	"layer":   "a layer",
	"other":   "another layer",
	"halves":  "first half, second half",
	"absent":  "what nobody uploads",
	"hello":   "mounted by whom",
	"nothing": "",
}

// indexNaming is an index of one manifest.
func indexNaming(mediaType string, child string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
		mediaType, digest.FromString(child), len(child))
}
