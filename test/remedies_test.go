//go:build e2e

package test

import (
	"cmp"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestWideRemedies brings about each row of docs/troubleshooting.md for each command, does
// what the hint says, and types the command again: it succeeds, or fails for another
// reason, which comes later. Every part of a hint has a remedy here, or the reason why
// no machine can do it.
func TestWideRemedies(t *testing.T) {
	wide(t)
	rows := troubles(t)
	for _, c := range commands {
		t.Run(string(c), func(t *testing.T) {
			p := newPatient(t, c)
			situations := p.situations(t)
			for seen, row := range rows {
				if unmet(seen, c) != "" {
					continue
				}
				if rest := undone(row.advice, remedies[seen]); rest != "" {
					t.Errorf("%s: nothing is done about %q of %q", seen, rest, row.advice)
				}
				for i, r := range remedies[seen] {
					if r.why != "" || len(r.of) > 0 && !slices.Contains(r.of, c) {
						continue
					}
					t.Run(fmt.Sprintf("%s/%d %s", seen, i, r.says), func(t *testing.T) {
						t.Parallel()
						come, found := situations[seen+variantOf(r.here)]
						if !found {
							t.Fatalf("no such situation: %s", r.here)
						}
						r.try(t, p, row, come)
					})
				}
			}
		})
	}
}

// remedy is what a part of a hint says.
type remedy struct {
	// says is the part, as the table has it.
	says string
	// here is what is special about the situation in which it is tried, if anything is.
	here string
	// do does it, and types the command again.
	do func(s *scene) string
	// later matches what is said then; empty is that the command succeeds.
	later string
	// why says why nobody does it here.
	why string
	// of are the commands whose users it is for; none are all.
	of []command
}

// scene is a machine on which a command has failed.
type scene struct {
	*patient
	*testing.T
	entered
	// hint is the one that was printed below the cause.
	hint string
}

func variantOf(here string) string {
	if here == "" {
		return ""
	}
	return variant + here
}

// joints are what connects the parts of a hint.
var joints = regexp.MustCompile(`^([ ,;.:()-]|\b(or|and|then|on the server|on the proxy)\b)*$`)

// undone is what is left of an advice without what its remedies say.
func undone(advice string, of []remedy) string {
	advice = strings.ReplaceAll(advice, `\|`, "|")
	for _, r := range slices.SortedFunc(slices.Values(of), func(a, b remedy) int { return len(b.says) - len(a.says) }) {
		advice = strings.Replace(advice, r.says, "", 1)
	}
	if joints.MatchString(advice) {
		return ""
	}
	return advice
}

var printedHint = regexp.MustCompile(`(?m)^ *hint: (.*)$`)

func (r remedy) try(t *testing.T, p *patient, row trouble, come come) {
	t.Helper()
	out := come(t)
	cause := row.cause.FindStringIndex(out)
	if cause == nil {
		t.Fatalf("it does not come about:\n%s", out)
	}
	hint := printedHint.FindStringSubmatch(out[cause[1]:])
	if hint == nil {
		t.Fatalf("no hint follows the cause:\n%s", out)
	}
	last, _ := p.last.Load(t.Name())
	home := t.TempDir()
	s := &scene{patient: p, T: t, entered: last.(entered), hint: hint[1]} //nolint:forcetypeassert // what run stores
	for _, variable := range []string{"XDG_CONFIG_HOME=" + home, "DOCKER_CONFIG=" + home} {
		if name, _, _ := strings.Cut(variable, "="); !slices.ContainsFunc(s.env, func(set string) bool { return strings.HasPrefix(set, name+"=") }) {
			s.env = append(s.env, variable)
		}
	}
	got := r.do(s)
	switch {
	case r.later == "" && !s.succeeded(got):
		t.Errorf("%s\nis done, and does not help:\n%s", s.hint, got)
	case r.later != "" && (row.cause.MatchString(got) || !regexp.MustCompile(r.later).MatchString(got)):
		t.Errorf("%s\nis done, and then not %q:\n%s", s.hint, r.later, got)
	}
}

// succeeded reports what a command prints that succeeds.
func (p *patient) succeeded(out string) bool {
	switch p.command {
	case checking:
		return strings.Contains(out, "✓ ") && !strings.Contains(out, "✗ ")
	case loggedIn:
		return strings.Contains(out, "logged in to ")
	case pushing:
	}
	return strings.Contains(out, "digest: sha256:")
}

// again types the command again, after changes.
func (s *scene) again(changes ...func(*entered)) string {
	s.Helper()
	e := entered{s.to, slices.Clone(s.env), slices.Clone(s.args)}
	for _, change := range changes {
		change(&e)
	}
	return s.run(s.T, e.to, e.env, e.args...)
}

// with adds options, without takes one away with its value.
func with(options ...string) func(*entered) {
	return func(e *entered) {
		at := slices.IndexFunc(e.args, func(arg string) bool { return slices.Contains(commands, command(arg)) })
		e.args = slices.Insert(e.args, at+1, options...)
	}
}

func without(option string, values int) func(*entered) {
	return func(e *entered) {
		at := slices.Index(e.args, option)
		e.args = slices.Delete(e.args, at, at+1+values)
	}
}

// in adds variables to the environment.
func in(variables ...string) func(*entered) {
	return func(e *entered) { e.env = append(e.env, variables...) }
}

// of puts another word, or a part of one, in the place of one.
func of(old, now string) func(*entered) {
	return func(e *entered) {
		for i, arg := range e.args {
			e.args[i] = strings.ReplaceAll(arg, old, now)
		}
		e.to.host = strings.ReplaceAll(e.to.host, old, now)
	}
}

// by is another address.
func by(a address) func(*entered) {
	return func(e *entered) {
		of(e.to.host, a.host)(e)
		switch {
		case e.to.ca != "" && a.ca != "":
			of(e.to.ca, a.ca)(e)
		case e.to.ca != "":
			without("--ca-file", 1)(e)
		case a.ca != "":
			with("--ca-file", a.ca)(e)
		}
		e.to.server, e.to.ca = a.server, a.ca
	}
}

// as gives another credential in the way in which the first one was given.
func as(auth client.AuthConfig) func(*entered) {
	return func(e *entered) {
		token := cmp.Or(auth.Token, auth.Password)
		switch {
		case auth.Username != "" || auth.Token == "":
			e.to.auth = auth
		case e.to.auth.Token != "":
			e.to.auth = client.AuthConfig{Token: token}
		default:
			e.to.auth = client.AuthConfig{Password: token}
		}
		if i := slices.Index(e.args, "--password-stdin"); i >= 0 && auth.Username == "" { // of a login
			e.args = slices.Replace(e.args, i, i+3, "--with-token")
		}
		if i := slices.Index(e.args, "--with-token"); i >= 0 && auth.Username != "" {
			e.args = slices.Replace(e.args, i, i+1, "--password-stdin", "--username", auth.Username)
		}
	}
}

// hinted is what a part of the hint is filled with.
func (s *scene) hinted(pattern string) string {
	s.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(s.hint)
	if found == nil {
		s.Fatalf("no %s in %s", pattern, s.hint)
	}
	return found[1]
}

// types enters a command that the hint names, of docker gitea.
func (s *scene) types(pattern string, more ...string) string {
	s.Helper()
	words := strings.Fields(s.hinted("docker gitea (" + pattern + ")"))
	return s.run(s.T, address{}, s.env, append(append([]string{s.plugin}, words...), more...)...)
}

// trusts types docker gitea trust, and pins what that shows.
func (s *scene) trusts() {
	s.Helper()
	shown := s.types(`trust \S+[0-9]`)
	fingerprint := regexp.MustCompile(`--fingerprint (\S+)`).FindString(shown)
	if fingerprint == "" {
		s.Fatalf("no fingerprint in\n%s", shown)
	}
	s.types(`trust \S+[0-9]`, strings.Fields(fingerprint)...)
}

// set changes the configuration of the server, and starts it again.
func (s *scene) set(changes ...string) {
	s.Helper()
	for _, name := range []string{"nginx.conf", "haproxy.cfg", "Caddyfile", "app.ini"} {
		file := filepath.Join(s.to.server.Dir, name)
		content, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for i := 0; i < len(changes); i += 2 {
			if !strings.Contains(string(content), changes[i]) {
				s.Fatalf("no %q in %s:\n%s", changes[i], name, content)
			}
			content = []byte(strings.ReplaceAll(string(content), changes[i], changes[i+1]))
		}
		samples.WriteFile(s.T, file, content)
		servers.Need(s.T, s.to.server.Restart(s.Context()))
		return
	}
	s.Fatal("the server has no configuration")
}

// token is one that the user makes in Gitea's pages.
func (s *scene) token(user string) client.AuthConfig {
	s.Helper()
	value, err := s.gitea.CreateToken(s.Context(), user, "write:package", "read:user")
	servers.Need(s.T, err)
	return client.AuthConfig{Token: value}
}

// owner is the owner that the command names.
func (s *scene) owner() string {
	s.Helper()
	last := s.args[len(s.args)-1]
	_, rest, _ := strings.Cut(last, "/")
	owner, _, _ := strings.Cut(rest, "/")
	return owner
}

// repository is the image that the command names.
func (s *scene) repository() string {
	s.Helper()
	_, rest, _ := strings.Cut(s.args[len(s.args)-1], "/")
	name, _, _ := strings.Cut(rest, ":")
	return name
}

// What several remedies do.

func retyped(changes ...func(*entered)) func(*scene) string {
	return func(s *scene) string { return s.again(changes...) }
}

// cleared types it once more when the server has recovered. That it has no API, and so
// does not tell a login whose token it is, is no part of the failure.
func cleared(s *scene) string {
	s.to.scripted.ClearFaults()
	if slices.Contains(s.args, "--with-token") {
		return s.again(with("--username", registrytest.Username))
	}
	return s.again()
}

// configured is what the owner of a server does.
func configured(changes ...string) func(*scene) string {
	return func(s *scene) string {
		s.set(changes...)
		return s.again()
	}
}

// outside leaves the container.
func outside(s *scene) string { return s.again(s.here, as(admin), s.under(servers.AdminUser)) }

// under names another owner, if the command names one.
func (s *scene) under(owner string) func(*entered) {
	if s.owner() == "" {
		return func(*entered) {}
	}
	return of("/"+s.owner(), "/"+owner)
}

// here types the command in the network of this machine.
func (s *scene) here(e *entered) {
	e.args = e.args[slices.IndexFunc(e.args, func(arg string) bool { return arg == s.plugin || arg == s.helper }):]
}

// rightHost types it with the address of Gitea itself.
func rightHost(s *scene) string {
	return s.again(by(at(s.gitea.Server, admin)), as(admin), s.here, s.under(servers.AdminUser))
}

// looks types docker gitea check HOST, and gives what that finds in order.
func looks(s *scene) string {
	s.env = append(s.env, "DOCKER_GITEA_CONNECT_TIMEOUT=1s")
	well, _, _ := strings.Cut(s.types(`check \S+[0-9]`), "✗ ")
	return well
}

// chain is what another server shows in the place of the one that was asked.
func chain(make func(t *testing.T, root *issued) hostileChain) func(*scene) string {
	return func(s *scene) string {
		root := issue(s.T, nil, authority("root"))
		return s.again(by(showing(s.T, root, make(s.T, root), nil)))
	}
}

func goodChain(t *testing.T, root *issued) hostileChain {
	t.Helper()
	return shown("", issue(t, root, nil), root)
}

// wholeChain is that of a server which shows the authority between, too.
func wholeChain(t *testing.T, root *issued) hostileChain {
	t.Helper()
	between := issue(t, root, authority("between"))
	return shown("", issue(t, between, nil), between)
}

// nothingThere is what a server of certificates says when its certificate is accepted.
const nothingThere = "has nothing at /v2/"

// byOpenSSL has openssl make a certificate with what a hint adds.
func byOpenSSL(addition, name string) func(*scene) string {
	return func(s *scene) string {
		dir := s.TempDir()
		key, cert := filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
		run(s.T, nil, program(s.T, "openssl"), append([]string{"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-keyout", key, "-out", cert}, strings.Fields(addition)...)...)
		pair, err := tls.LoadX509KeyPair(cert, key)
		servers.Need(s.T, err)
		a := showing(s.T, issue(s.T, nil, authority("root")), hostileChain{chain: pair.Certificate, key: pair.PrivateKey.(crypto.Signer)}, nil)
		a.ca, a.host = cert, strings.Replace(a.host, "127.0.0.1", name, 1)
		return s.again(by(a))
	}
}

// pushed is another image.
func pushed(path string) func(*entered) {
	return func(e *entered) { e.args[len(e.args)-2] = path }
}

// anotherImage is one that is built, saved or written again.
func anotherImage(s *scene) string {
	l := samples.NewLayout(s.T)
	l.Top(l.JSON(ocispec.MediaTypeImageIndex, samples.Index(l.Image(l.Layer(70, 1000), "linux", "amd64"), l.Image(l.Layer(71, 1000), "linux", "arm64"), l.Image(l.Layer(72, 1000), "linux", "s390x"))))
	return s.again(pushed(l.Dir))
}

// anew has the user make a token, and give that in the place of what was refused.
func anew(s *scene) string {
	return s.again(as(s.token(cmp.Or(s.owner(), s.to.auth.Username, servers.AdminUser))))
}

// proxied are variables that lead to a proxy which leads to Gitea, in whose certificate
// the name is not that the proxy knows.
func proxied(s *scene, scheme string) string {
	return scheme + "://" + strings.TrimPrefix(startProxy(s.T, s.gitea.Host, nil).URL, "http://")
}

const otherNames = "the certificate is for other names"

func throughProxy(s *scene) string {
	return s.again(in("HTTPS_PROXY="+proxied(s, "http")), with("--ca-file", s.gitea.CAFile))
}

// past goes past the proxy, as the hint writes it; the host is known to that alone.
func past(s *scene) string { return s.again(in(s.hinted(`(NO_PROXY=\S+)`))) }

const (
	unknownHost = `the name "git.behind.invalid" is not known`
	refusedHere = "nothing listens on that port of this machine"
)

// hosts has the resolver know a name as this machine.
func hosts(name string) func(*scene) string {
	return func(s *scene) string {
		files := s.TempDir()
		samples.WriteFile(s.T, files+"/hosts", []byte("127.0.0.1 "+name+"\n"))
		samples.WriteFile(s.T, files+"/nsswitch.conf", []byte("hosts: files\n"))
		return s.elsewhere(s.T, "mount --bind "+files+"/nsswitch.conf /etc/nsswitch.conf; mount --bind "+files+"/hosts /etc/hosts", name+":1")
	}
}

// routed gives the network of the command an address.
func routed(s *scene) string {
	return s.elsewhere(s.T, "ip addr add 192.0.2.1/32 dev lo", "192.0.2.1:3000")
}

// certified gives a client certificate, by options or in /etc/docker/certs.d. A server
// that wants one of an authority gets to know that.
func certified(options bool) func(*scene) string {
	return func(s *scene) string {
		dir := s.TempDir()
		certs := filepath.Join(dir, "certs.d", s.to.host)
		servers.Need(s.T, os.MkdirAll(certs, 0o700))
		root := issue(s.T, nil, authority("clients"))
		leaf := issue(s.T, root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
		key, err := x509.MarshalPKCS8PrivateKey(leaf.key)
		servers.Need(s.T, err)
		for name, block := range map[string]*pem.Block{
			certs + "/client.cert": {Type: "CERTIFICATE", Bytes: leaf.Raw}, certs + "/client.key": {Type: "PRIVATE KEY", Bytes: key}, dir + "/root.pem": {Type: "CERTIFICATE", Bytes: root.Raw},
		} {
			samples.WriteFile(s.T, name, pem.EncodeToMemory(block))
		}
		if s.to.server != nil {
			content, err := os.ReadFile(filepath.Join(s.to.server.Dir, "nginx.conf"))
			servers.Need(s.T, err)
			s.set(regexp.MustCompile(`ssl_client_certificate [^;]+`).FindString(string(content)), "ssl_client_certificate "+dir+"/root.pem")
		}
		if options {
			return s.again(with("--cert", certs+"/client.cert", "--key", certs+"/client.key"))
		}
		return s.again(func(e *entered) {
			e.args = append([]string{withOtherFiles, "-ec", "mount --bind " + dir + ` /etc/docker; exec "$@"`, "sh"}, e.args...)
		})
	}
}

// singly is what the commands have of --jobs 1.
var singly = []func(*entered){func(e *entered) {
	if slices.Contains(e.args, string(pushing)) {
		with("--jobs", "1")(e)
	}
}}

// exempting leaves paths out of what a proxy stops: those of the registry, and where that
// is told then, for a login, those of the API.
func exempting(stops string, less func(paths string) string) func(*scene) string {
	return func(s *scene) string {
		s.set(stops, less("/v2/"))
		got := s.again()
		if s.command != loggedIn || strings.Contains(got, "logged in to ") {
			return got
		}
		if !strings.Contains(printedHint.FindString(got), "/api/") {
			s.Errorf("no hint says that the API is stopped too:\n%s", got)
		}
		s.set(less("/v2/"), less("/v2/ /api/"))
		return s.again()
	}
}

// laterOrWell is what follows where the proxy stops Gitea's API as well, or nothing.
const laterOrWell = `digest: sha256:|✓ server|logged in to |/api/|/login/|/\.well-known/`

// upAgain is Gitea that runs where the proxy looks for it.
func upAgain(s *scene) string {
	for _, name := range []string{"nginx.conf", "haproxy.cfg"} {
		content, err := os.ReadFile(filepath.Join(s.to.server.Dir, name))
		if err != nil {
			continue
		}
		wrong := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`).FindString(string(content))
		s.set(wrong, s.plain.Host)
	}
	return s.again()
}

// logsIn types a login with a password on standard input.
func (s *scene) logsIn(program string, args ...string) {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), program, append(args, "--username", s.owner(), "--password-stdin", s.to.host)...)
	cmd.Env, cmd.Stdin = append(slices.Clone(s.env), "HOME="+s.TempDir(), "PATH="+os.Getenv("PATH"), "DOCKER_CREDENTIAL_GITEA_STORAGE=file"), strings.NewReader(servers.AdminPassword)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("%v: %s", err, out)
	}
}

// deletes removes every version of what the owner has.
func deletes(s *scene) string {
	g := ownedBy(s.to.server)
	var packages []struct{ Name, Version string }
	servers.Need(s.T, g.API(s.Context(), http.MethodGet, "/packages/"+s.owner()+"?type=container", nil, &packages))
	for _, each := range packages {
		servers.Need(s.T, g.API(s.Context(), http.MethodDelete, "/packages/"+s.owner()+"/container/"+url.PathEscape(each.Name)+"/"+url.PathEscape(each.Version), nil, nil))
	}
	return s.again()
}

// fronted are proxies that stop a registry, by their own settings.
func (p *patient) fronted() map[string]come {
	all := map[string]come{}
	add := func(seen, front string, start func(t *testing.T) (*servers.Server, error)) {
		all[seen+variantOf(front)] = func(t *testing.T) string {
			t.Helper()
			s, err := start(t)
			servers.Need(t, err)
			t.Cleanup(func() { stop(t, s.Stop) })
			return p.try(t, at(s, admin), servers.AdminUser+"/app")
		}
	}
	const tooLong = "408, 499, 504 or 524"
	upstream := func(t *testing.T, seen string) string {
		t.Helper()
		if seen == tooLong {
			return p.slow(t)
		}
		return p.plain.URL
	}
	nginx := func(seen, front, server, directives string) {
		add(seen, front, func(t *testing.T) (*servers.Server, error) {
			t.Helper()
			return servers.StartNginx(t.Context(), servers.NginxOptions{Upstream: upstream(t, seen), Server: server, Directives: directives})
		})
	}
	haproxy := func(seen, directives string) {
		add(seen, "haproxy", func(t *testing.T) (*servers.Server, error) {
			t.Helper()
			return servers.StartHAProxy(t.Context(), servers.HAProxyOptions{Upstream: upstream(t, seen), Directives: directives})
		})
	}
	caddy := func(seen, directives, transport string) {
		add(seen, "Caddy", func(t *testing.T) (*servers.Server, error) {
			t.Helper()
			return servers.StartCaddy(t.Context(), servers.CaddyOptions{Upstream: upstream(t, seen) + transport, Directives: directives})
		})
	}
	passed := "proxy_pass " + p.plain.URL + "; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;"
	nginx("401 that is not of the registry", "nginx", `location /v2/ { auth_basic "x"; auth_basic_user_file /dev/null; `+passed+"}", "")
	haproxy("401 that is not of the registry", "http-request auth")
	// Another password, with the cheapest hash: that of a user that Caddy does not know takes a second.
	caddy("401 that is not of the registry", "basic_auth {\n "+servers.AdminUser+" $2a$04$8aor2bXd689MM.ER.2o9jecrnOSg8fidVTnPvIseLGoAJrN8MbiUS\n}", "")
	nginx("403 that is not of the registry", "nginx", "location /v2/ { deny all; "+passed+"}", "")
	caddy("403 that is not of the registry", "@v2 path /v2/*\nrespond @v2 403", "")
	nginx("404 that is not of the registry", "nginx, without a location", "location /v2/ { root /nowhere; }", "")
	caddy("404 that is not of the registry", "@v2 path /v2/*\nrespond @v2 404", "")
	haproxy("413 from something in front of the registry", "http-request deny deny_status 413 if { req.body_size gt 1000 }")
	caddy("413 from something in front of the registry", "request_body {\n max_size 1KB\n}", "")
	nginx(tooLong, "nginx", "", "proxy_read_timeout 1s;")
	haproxy(tooLong, "timeout server 1s")
	caddy(tooLong, "", " {\n transport http {\n response_header_timeout 1s\n }\n}")
	return all
}

// slow is Gitea that takes longer over a request of those that count than a limit of a
// second allows.
func (p *patient) slow(t *testing.T) string {
	t.Helper()
	target, err := url.Parse(p.plain.URL)
	servers.Need(t, err)
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host, r.Out.Header["X-Forwarded-Proto"] = r.In.Host, r.In.Header["X-Forwarded-Proto"]
	}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/v2/") && (req.Method == http.MethodPost || p.command == loggedIn) {
			late := time.NewTimer(3 * time.Second)
			defer late.Stop()
			select {
			case <-late.C:
			case <-req.Context().Done():
				return
			}
		}
		pass.ServeHTTP(w, req)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// Why no machine does it here.
const (
	someone  = "somebody signs in there"
	reading  = "it says where to look"
	clock    = "a test does not set the clock of the machine"
	network  = "there is no network but that of this machine"
	noRemedy = "it is no remedy"
	tried    = "the command has tried again by itself"
	notHere  = "this proxy is in TestWide… alone, or nowhere"
)

// makesToken and the others stand in several hints.
const (
	makesToken  = "make a personal access token with the scope write:package (*web*/user/settings/applications), and *use*"
	proxyMeant  = "correct *variable*"
	pastProxy   = "NO_PROXY=*host*"
	givesCert   = "ask the server's owner for one; docker gitea takes it with --cert FILE --key FILE"
	inCertsD    = "docker-credential-gitea and docker, from client.cert and client.key in /etc/docker/certs.d/*host*/"
	appends     = "append the certificate of that authority to the server's own, in the same file (fullchain.pem; CERT_FILE of Gitea, ssl_certificate of nginx)"
	mostPorts   = "(of idpbuilder, the port is mostly 8443)"
	checksHost  = "check the host and its port"
	triesAgain  = "try again"
	pushesAgain = "push again"
)

var (
	withOptions  = []command{pushing, checking}
	besidesCheck = []command{pushing, loggedIn}
)

var remedies = map[string][]remedy{
	"a redirection to another name of the owner or the image": {{says: "use the new name: *host*/*renamed*", do: func(s *scene) string {
		return s.again(of(s.repository(), s.hinted(`use the new name: [^/]+/(\S+)`)))
	}, later: "may not push to"}},
	"a redirection from http to https": {{says: "leave out --plain-http and http://", why: noRemedy}, {says: "use *there*", do: func(s *scene) string {
		return s.again(without("--plain-http", 0), by(address{host: s.hinted(`use (\S+)`), ca: s.gitea.CAFile}))
	}}},
	"a redirection to another host": {
		{says: "use *there* in place of *host*", do: func(s *scene) string {
			return s.again(by(address{host: s.hinted(`use (\S+) in place`), ca: s.gitea.CAFile}))
		}},
		{says: "have *host* pass /v2/ on to Gitea, not redirect it", do: func(s *scene) string {
			s.set("return 301 "+s.gitea.URL+"$request_uri;", "")
			return s.again()
		}},
	},
	"a redirection to a page, such as a sign-in": {
		{says: "exempt /v2/ from the sign-in: Gitea asks for a credential there itself", do: configured("return 302 /sso/login;", "")},
		{says: "in a network with a sign-in page of its own, sign in with a browser first", why: someone},
	},
	"`--plain-http` or `http://`, and the server speaks TLS": {{says: "leave out --plain-http and http://", do: retyped(without("--plain-http", 0))}},
	"TLS, and the server speaks plain HTTP": {
		{says: "use --plain-http if that is meant", do: func(s *scene) string {
			return s.again(with("--plain-http"), in("HTTP_PROXY="+strings.TrimPrefix(s.env[0], "HTTPS_PROXY=")))
		}},
		{says: "the port of https", do: func(s *scene) string {
			return s.again(by(address{host: hostBehind + ":8443", ca: s.gitea.CAFile}), in("HTTPS_PROXY="+proxied(s, "http")))
		}, later: otherNames},
	},
	"a signature by SHA-1 or MD5, or a key of less than 1024 bits": {{says: "make the certificate anew, with SHA-256 and a key of 2048 bits or more", do: chain(goodChain), later: nothingThere}},
	"a chain of certificates that ends below the pinned authority": {
		{says: appends, do: func(s *scene) string {
			root := issue(s.T, nil, authority("root"))
			a := showing(s.T, root, wholeChain(s.T, root), nil)
			s.run(s.T, a, s.env, s.plugin, "trust", a.host, a.ca)
			a.ca = ""
			return s.again(by(a))
		}, later: nothingThere},
		{says: "if a different authority is meant to sign: docker gitea untrust *host*, then docker gitea trust *host*", do: func(s *scene) string {
			s.types(`untrust \S+[0-9]`)
			s.trusts()
			return s.again()
		}, later: nothingThere},
	},
	"a certificate other than the one that was pinned": {
		{says: "if the server's owner confirms the change: docker gitea untrust *host*, then docker gitea trust *host*", do: func(s *scene) string {
			s.types(`untrust \S+[0-9]`)
			s.trusts()
			return s.again()
		}},
		{says: "if not, somebody may be listening", why: noRemedy},
	},
	"`x509: certificate signed by unknown authority`, and the server does not show which": {
		{says: appends, do: chain(wholeChain), later: nothingThere},
		{says: "if *issuer* is the root, docker gitea trust *host* FILE, with its certificate in FILE", do: func(s *scene) string {
			root := issue(s.T, nil, authority("root"))
			a := showing(s.T, root, shown("", issue(s.T, root, nil)), nil)
			s.run(s.T, a, s.env, s.plugin, "trust", a.host, a.ca)
			a.ca = ""
			return s.again(by(a))
		}, later: nothingThere},
		{says: "docker gitea trust *host* pins what is shown, until it is renewed", do: func(s *scene) string { s.trusts(); return s.again(without("--ca-file", 1)) }, later: nothingThere},
	},
	"`x509: certificate signed by unknown authority`": {
		{says: "docker gitea trust *host* pins it for this host alone", do: func(s *scene) string { s.trusts(); return s.again() }},
		{says: "name the authority with --ca-file FILE", do: func(s *scene) string { return s.again(with("--ca-file", s.gitea.CAFile)) }},
		{says: "--insecure trusts anyone", do: retyped(with("--insecure"))},
	},
	"a certificate whose name stands in CN alone": {
		{says: "make the certificate anew with the name as a subject alternative name: with openssl, -addext subjectAltName=DNS:NAME", do: byOpenSSL("-addext subjectAltName=DNS:localhost", "localhost"), later: nothingThere},
		{says: "IP:ADDRESS for an address", do: byOpenSSL("-addext subjectAltName=IP:127.0.0.1", "127.0.0.1"), later: nothingThere},
	},
	"a certificate with an address among its names": {
		{says: "make it anew with the address as one: with openssl, -addext subjectAltName=IP:*ip*", do: func(s *scene) string {
			return byOpenSSL(s.hinted("(-addext [^;]+)"), "127.0.0.1")(s)
		}, later: nothingThere},
		{says: "use a name that it is for", do: retyped(of("127.0.0.1", "localhost")), later: nothingThere},
	},
	"`x509: certificate is valid for …, not …`": {
		{says: "use one of these names", do: retyped(of("127.0.0.1", "localhost"))},
		{says: "make the certificate anew, for this one too", do: func(s *scene) string {
			return s.again(by(at(own(s.T, servers.GiteaOptions{Names: []string{"127.0.0.1", "localhost"}}).Server, admin)), of("localhost", "127.0.0.1"))
		}},
	},
	"`x509: certificate has expired or is not yet valid`": {{says: "renew the certificate", do: chain(goodChain), later: nothingThere}, {says: "set the clock of this machine (timedatectl set-ntp true)", why: clock}},
	"another fault of the certificate, or of one that signed it": {
		{says: "use one that the authorities' rules allow", do: chain(goodChain), later: nothingThere},
		{says: "docker gitea trust *host* shows what it has", do: func(s *scene) string { return s.types(`trust \S+[0-9]`) }, later: `issuer +CN=narrow`},
	},
	"400, and a client certificate is missing or another is wanted": {{says: givesCert, do: certified(true), of: withOptions}, {says: inCertsD, do: certified(false)}},
	"another failure of the TLS handshake": {
		{says: "check the port", do: rightHost},
		{says: "where a client certificate is wanted", why: noRemedy},
		{says: givesCert, do: certified(true), later: nothingThere, of: withOptions},
		{says: inCertsD, do: certified(false), later: nothingThere},
	},
	"407 from the proxy of this machine": {
		{says: "put it into the variable: *variable*=http://USER:PASSWORD@*proxy*", do: func(s *scene) string {
			return s.again(in(strings.Replace(s.hinted(`(HTTPS_PROXY=\S+)`), "USER:PASSWORD", "me:secret", 1)))
		}, later: "requires a credential|does not let through|broke off|authority"},
		{says: "go past the proxy with " + pastProxy, do: past, later: unknownHost},
	},
	noProxy: {
		{says: proxyMeant + ": http://HOST:PORT of the proxy", do: throughProxy, later: otherNames},
		{says: "with https:// for one that speaks TLS itself", do: func(s *scene) string {
			secure := httptest.NewTLSServer(&proxy{upstream: s.gitea.Host})
			s.Cleanup(secure.Close)
			ca := filepath.Join(s.TempDir(), "ca.pem")
			samples.WriteFile(s.T, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
			return s.again(in("HTTPS_PROXY="+secure.URL, "SSL_CERT_FILE="+ca), with("--ca-file", s.gitea.CAFile))
		}, later: otherNames},
		{says: "go past it with " + pastProxy, do: past, later: unknownHost},
	},
	"another answer of the proxy of this machine":    {{says: "ask its owner to let *host* through", do: throughProxy, later: otherNames}, {says: "go past it with " + pastProxy, do: past, later: unknownHost}},
	"a proxy of this machine that cannot be reached": {{says: proxyMeant, do: throughProxy, later: otherNames}, {says: "go past the proxy with " + pastProxy, do: past, later: unknownHost}},
	"`HTTPS_PROXY` or `HTTP_PROXY` makes no sense": {
		{says: "set it to http://HOST:PORT", do: throughProxy, later: otherNames},
		{says: "unset it", do: func(s *scene) string { s.env = slices.Delete(s.env, 0, 1); return s.again() }, later: unknownHost},
	},
	"an unknown host below `localtest.me` or another name for this machine": {{says: "add a line to /etc/hosts: 127.0.0.1 and the name", do: hosts("gitea.localtest.me"), later: refusedHere}},
	"a resolver that does not answer":                                       {{says: "check the network", why: network}, {says: "the resolver in /etc/resolv.conf", why: network}},
	"an unknown host":                                                       {{says: "check the spelling", do: rightHost}, {says: "add the name to /etc/hosts", do: hosts("git.example.com"), later: refusedHere}},
	"connection refused by this machine": {
		{says: "check that the server is up " + mostPorts, do: func(s *scene) string {
			_, port, _ := strings.Cut(s.to.host, ":")
			number, err := strconv.Atoi(port)
			servers.Need(s.T, err)
			return s.again(by(at(own(s.T, servers.GiteaOptions{Port: number}).Server, admin)), as(admin), s.under(servers.AdminUser))
		}},
		{says: "in a container, use the network of the host (docker run --network host)", here: "in a container", do: outside, of: withOptions},
		// It takes --plain-http, as docker login takes insecure-registries.
		{here: "in a container", do: outside, of: []command{loggedIn}, later: "speaks plain HTTP"},
	},
	"connection refused by another machine": {{says: "check the port", do: rightHost}, {says: "that the server is up", why: network}},
	"no route to the host": {
		{says: "check the network", do: routed, later: "nothing listens"},
		{says: "a VPN", why: network},
		{says: "HTTPS_PROXY if this network needs one", do: retyped(in("HTTPS_PROXY=http://127.0.0.1:1")), later: "which HTTPS_PROXY names, cannot be reached"},
	},
	"silence in both directions, or an answer without an end": {
		{says: "docker gitea check *host* shows whether the server is still there", do: looks, of: besidesCheck, later: "✓ connection"},
		{says: triesAgain, do: cleared},
		{says: "behind a proxy, a push with --chunk-size 32MiB keeps requests short", here: "of large requests", do: retyped(with("--chunk-size", "32MiB")), of: []command{pushing}},
	},
	"the limit of `--timeout`": {{says: "allow more with --timeout", do: func(s *scene) string {
		s.to.scripted.ClearFaults() // it is there in time
		return s.again(without("--timeout", 1), with("--timeout", "1m"))
	}}, {says: "what arrived is not sent again", why: noRemedy}},
	"a connection, or its TLS handshake, that does not come about in time": {
		{says: checksHost, do: rightHost},
		{says: "a firewall", why: network},
		{says: "a VPN", why: network},
		{says: "the server", why: "it is the port that is deaf"},
		{says: "docker gitea check *host* shows how far a request gets", do: looks, of: besidesCheck, later: "✓ connection"},
	},
	"a connection that broke off, and again when tried again": {
		{says: "try again once the server is up", do: cleared},
		{says: "what arrived is not sent again", why: noRemedy},
		{says: "docker gitea check *host* says what is wrong on the way", do: looks, of: besidesCheck, later: "✓ connection"},
	},

	"a redirection that is not followed": {{
		says: "pass on the headers Host and X-Forwarded-Proto, from which a registry makes its addresses", here: "distribution", do: configured("Host git.internal;", "Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;"),
	}, {says: "redirect nothing below /v2/ to http", here: "to plain HTTP", do: configured("return 308 http://$http_host$request_uri;", "")}},
	"413 from something in front of the registry": {
		{says: "*size*", here: "nginx", do: configured("client_max_body_size 1k", "client_max_body_size 0")},
		{here: "haproxy", do: configured("http-request deny deny_status 413 if { req.body_size gt 1000 }", "")},
		{here: "Caddy", do: configured("max_size 1KB", "max_size 1GB")},
		{here: "Cloudflare", why: notHere},
		{here: "Apache", why: notHere},
		{here: "Envoy", why: notHere},
		{here: "Traefik", why: notHere},
		{here: "Squid", why: notHere},
	},
	"429": {{says: "try later", do: configured("return 429;", "")}, {says: "push with --jobs 1", do: func(s *scene) string {
		s.set("return 429;", "")
		return s.again(singly...)
	}}},
	"401 that is not of the registry": {
		{says: "check the host", do: rightHost},
		{says: "exempt /v2/, where Gitea asks for a login itself: *login*", here: "nginx", do: configured(`auth_basic "x"; auth_basic_user_file /dev/null;`, "auth_basic off;")},
		{here: "haproxy", do: exempting("http-request auth", func(paths string) string { return "http-request auth unless { path_beg " + paths + " }" }), later: laterOrWell},
		{here: "Caddy", do: exempting("basic_auth {", func(paths string) string {
			return "@rest not path " + strings.ReplaceAll(paths, "/ ", "/* ") + "*\nbasic_auth @rest {"
		}), later: laterOrWell},
	},
	"403 that is not of the registry": {
		{says: "check the host", do: rightHost},
		{says: "let requests to /v2/ through: *deny*", here: "nginx", do: configured("deny all;", "")},
		{here: "haproxy", do: exempting("http-request deny", func(paths string) string { return "http-request deny unless { path_beg " + paths + " }" }), later: laterOrWell},
		{here: "Caddy", do: configured("respond @v2 403", "")},
	},
	"404 of Gitea, and not of its registry": {{says: "in app.ini: ENABLED = true in [packages]; then restart Gitea", do: func(s *scene) string {
		content, err := os.ReadFile(filepath.Join(s.to.server.Dir, "app.ini"))
		servers.Need(s.T, err)
		s.set(regexp.MustCompile(`(?s)\[packages\].*?ENABLED *= *false`).FindString(string(content)), "[packages]\nENABLED = true")
		return s.again()
	}}},
	"404 that is not of the registry": {
		{says: checksHost, do: rightHost},
		{says: "*route*", here: "nginx, without a location", do: func(s *scene) string {
			s.set("location /v2/ { root /nowhere; }", "location /v2/ { proxy_pass "+s.plain.URL+"; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; }")
			return s.again()
		}},
		{here: "haproxy", do: func(s *scene) string {
			return exempting("default_backend gitea\n", func(paths string) string {
				return "use_backend registry if { path_beg " + paths + " }\n\tdefault_backend gitea\nbackend registry\n\thttp-request set-header X-Forwarded-Proto https\n\tserver registry " + s.plain.Host + "\n"
			})(s)
		}, later: laterOrWell},
		{here: "Caddy", do: func(s *scene) string { s.set("respond @v2 404", "reverse_proxy @v2 "+s.plain.URL); return s.again() }},
	},
	"408, 499, 504 or 524": {
		{says: "*time*", here: "nginx", do: configured("proxy_read_timeout 1s;", "proxy_read_timeout 600s; proxy_send_timeout 600s; client_body_timeout 600s; send_timeout 600s;")},
		{here: "haproxy", do: configured("timeout server 1s", "timeout server 10m")},
		{here: "Caddy", do: configured("response_header_timeout 1s", "response_header_timeout 10m")},
		{says: "where it ends requests that send nothing, look on the server whether Gitea hangs", why: reading},
	},
	"502 or 503 that is not of the registry": {
		{says: "check on the server that Gitea runs", do: upAgain},
		{says: triesAgain, why: noRemedy},
		{says: "*route*", here: "haproxy", do: upAgain},
	},
	"another failure that is not of the registry": {{says: triesAgain, do: cleared}, {says: "look at the log of the proxy, then of Gitea", why: reading}},
	"a page for browsers at `/v2/`": {
		{says: "check the host", do: rightHost},
		{says: "exempt /v2/ from the sign-in", do: configured(`return 200 "<html>sign in</html>";`, "")},
		{says: "in a network with a sign-in page of its own, sign in with a browser first", why: someone},
	},
	"another answer that is not of the registry": {
		{says: checksHost, do: rightHost}, {says: "have /v2/ passed on to Gitea as it is", do: configured("return 405;", "")},
	},
	"the realm has http, and the registry https": {
		{says: "proxy_set_header X-Forwarded-Proto $scheme", do: configured("proxy_http_version 1.1;", "proxy_http_version 1.1; proxy_set_header X-Forwarded-Proto $scheme;")},
		{says: "ROOT_URL with https", why: "the row below has that"},
	},
	"the realm is of another host or port": {
		{says: "ROOT_URL = *web*/", do: func(s *scene) string {
			s.set("ROOT_URL = https://git.example.com/", s.hinted(`(ROOT_URL = [^;]+)`))
			return s.again()
		}},
		{says: "proxy_set_header Host $http_host;", here: "nginx", do: configured("proxy_set_header Host git.example.com;", "proxy_set_header Host $http_host;")},
		{says: "(since Gitea 1.26 see also PUBLIC_URL_DETECTION)", do: configured("PUBLIC_URL_DETECTION = never", "PUBLIC_URL_DETECTION = auto")},
	},
	"the clocks of this machine and the server differ": {{says: "set the clock (timedatectl set-ntp true), here", why: clock}, {says: "on the server", do: cleared}},

	// What the registry itself refuses.
	"401 of a server that took the credential before, or is unwell": {
		{says: "try later", do: cleared},
		{says: "push with --jobs 1 --retries 10", here: "for a while", do: retyped(with("--jobs", "1", "--retries", "10"))},
		{says: "in [database] of app.ini, MAX_OPEN_CONNS below the limit of the database (max_connections of PostgreSQL)", why: "TestWideOutOfBreath has the database"},
	},
	"401, and no credential was given": {
		{says: "*first*", do: func(s *scene) string {
			s.env = append(s.env, "SSL_CERT_FILE="+s.gitea.CAFile) // a machine that trusts it
			s.logsIn(program(s.T, "docker"), "login")
			return s.again()
		}},
		{do: func(s *scene) string {
			s.logsIn(s.helper, "login", "--ca-file", s.gitea.CAFile)
			s.run(s.T, address{}, s.env, s.helper, "configure-docker", s.to.host)
			return s.again(in("PATH=" + filepath.Dir(s.helper) + ":" + os.Getenv("PATH")))
		}},
	},
	"401, and the account has a security key": {{says: makesToken, do: anew}},
	"401, and the account may not sign in": {{says: "ask an administrator of *host* to activate it, and to let it sign in", do: func(s *scene) string {
		edit(s.T, s.gitea, cmp.Or(s.owner(), s.barred), map[string]any{"prohibit_login": false})
		return s.again()
	}}, {says: "set up two-factor authentication at *web*/user/settings/security", why: "Forgejo 13 wants that, which no test has"}},
	"401 to a login with a password alone": {
		{says: "try both at *web*/user/login", why: someone},
		{says: "if the account has two factors, the one-time code goes on the second line of standard input, or where the terminal asks for it", why: "TestCredentialHelperPassword types it"},
	},
	"401 to a login with a password and a one-time code": {{says: "wait for the next code, and log in again", why: "it takes a minute"}, {says: "if that is refused too, the password is wrong", why: noRemedy}},
	"401, and the API knows the token":                   {{says: makesToken, do: anew}},
	"401, also from the API":                             {{says: "*renew*", do: anew}},
	"401":                                                {{says: "*another*", do: retyped(as(client.AuthConfig{Username: servers.RegistryUser, Password: servers.RegistryPassword}))}},
	"401 `reqPackageAccess`, anonymous in the registry's eyes": {
		{says: "*renew*", why: "the proxy takes every credential away"},
		{says: "if that changes nothing, have the proxies in between pass on the header Authorization", do: configured(`proxy_set_header Authorization "";`, "")},
	},
	"401 `reqPackageAccess`, with the token of a job": {
		{says: "store a personal access token with the scope write:package as a secret of the repository, and *use*", do: retyped(as(client.AuthConfig{Token: registrytest.Token})), of: withOptions},
		// The registry in its place has no API to say so.
		{do: retyped(as(client.AuthConfig{Token: registrytest.Token})), of: []command{loggedIn}, later: "the server does not say whose token it is"},
	},
	"401 `reqPackageAccess`, and the token lacks the scope": {{says: makesToken, do: anew}},
	"403 `reqToken`": {{says: "make a token that is not limited to public repositories and packages, and *use*", here: "one's own, limited", do: anew}},
	"401 `reqPackageAccess` under one's own name": {{says: "ask an administrator of *host* to activate it, and to let it sign in", why: "the row of accounts that may not sign in has that"}},
	"401 `reqPackageAccess`": {
		{says: "push to your own name", do: func(s *scene) string { return s.again(s.under(s.to.auth.Username)) }},
		{says: "have *owner* set Packages to Write for one of your teams", here: "of an organisation", do: func(s *scene) string {
			var team struct{ ID int }
			servers.Need(s.T, s.gitea.API(s.Context(), http.MethodPost, "/orgs/"+s.owner()+"/teams", map[string]any{
				"name": "pushers", "permission": "read", "units_map": map[string]string{"repo.packages": "write"},
			}, &team))
			servers.Need(s.T, s.gitea.API(s.Context(), http.MethodPut, fmt.Sprintf("/teams/%d/members/%s", team.ID, s.to.auth.Username), nil, nil))
			return s.again()
		}},
	},
	"404 `Not found.`": {
		{says: "check the spelling", do: func(s *scene) string { return s.again(s.under(s.to.auth.Username)) }},
		{says: "a push creates no owner", why: noRemedy},
		{says: "create an organisation at *web*/org/create", do: func(s *scene) string {
			servers.Need(s.T, s.gitea.API(s.Context(), http.MethodPost, "/orgs?sudo="+s.to.auth.Username, map[string]string{"username": s.owner()}, nil))
			return s.again()
		}},
	},
	"400 `NAME_INVALID` or `Tag is invalid` from the server": {{says: "use lower case, and a single . _ or - between letters and digits", do: retyped(of("/a__b", "/a_b"))}},
	"403 without a text, of a blob, or 413 `enforcePackagesQuota`": {
		{says: "delete old versions at *web*/*owner*/-/packages", here: "of all packages", do: deletes},
		{says: "in [packages] of app.ini, raise LIMIT_SIZE_CONTAINER", do: configured("LIMIT_SIZE_CONTAINER = 1 MiB", "LIMIT_SIZE_CONTAINER = 1 GiB")},
		{says: "of Forgejo, the quota of *owner*", why: "Forgejo 14 has it, which no test has"},
		{says: "LIMIT_TOTAL_OWNER_SIZE", here: "of all packages", do: configured("LIMIT_TOTAL_OWNER_SIZE = 3 MiB", "LIMIT_TOTAL_OWNER_SIZE = 1 GiB")},
	},
	"403 without a text, of a manifest": {
		{says: "delete old versions at *web*/*owner*/-/packages", here: "of the second package", do: deletes},
		{says: "in [packages] of app.ini, raise LIMIT_TOTAL_OWNER_COUNT", do: configured("LIMIT_TOTAL_OWNER_COUNT = 0", "LIMIT_TOTAL_OWNER_COUNT = 10")},
	},
	"413 of a manifest":                       {{says: "push fewer platforms with --platform", do: retyped(with("--platform", "linux/amd64"))}, {says: "an image with fewer layers", do: anotherImage}},
	"404 `BLOB_UNKNOWN` of a manifest":        {{says: pushesAgain, do: cleared}, {says: "look at the log and the storage of packages", why: reading}},
	"layers that a file or directory lacks":   {{says: "write the image again, with all of its layers", do: anotherImage}, {says: "push it from where they are", do: anotherImage}},
	"layers that a manifest names by a URL":   {{says: "push with --include-foreign, which fetches them and sends them", do: retyped(with("--include-foreign")), later: "mcr.example.com"}},
	"404 `MANIFEST_BLOB_UNKNOWN` of an index": {{says: "push the one that is there with --platform OS/ARCH", do: retyped(with("--platform", "linux/amd64"))}, {says: "build all of them", do: anotherImage}},
	"404 `MANIFEST_UNKNOWN`":                  {{says: pushesAgain, do: cleared}, {says: "if it happens again, on the server, look at the log and the storage of packages", why: reading}},
	"400 `SIZE_INVALID`": {
		{says: "build the image again", do: anotherImage},
		{says: "write an artifact with a config, as current versions of oras do", here: "an artifact without a config", do: anotherImage},
	},
	"an image, or a layer, with other bytes than those of its digest": {
		{says: "push again", why: noRemedy},
		{says: "if it happens again, make the file anew", do: anotherImage},
		{says: "push an image of a registry to that registry again", why: "it is a file here"},
	},
	"501 `UNSUPPORTED`": {{says: "save the image with a current docker, and push that", do: anotherImage}},
	"400 `MANIFEST_INVALID`": {
		{says: "of an index, push one platform with --platform OS/ARCH", do: retyped(with("--platform", "linux/amd64"))},
	},
	"400 `DIGEST_INVALID` of another digest than SHA-256": {{says: "build the image again with digests of SHA-256, the default of every program", do: anotherImage}},
	"400 `DIGEST_INVALID`":                                {{says: pushesAgain, why: tried}, {says: "if it happens again, look at the proxies in between", do: rightHost}},
	"404 `BLOB_UPLOAD_UNKNOWN`, again and again":          {{says: "have one client stay at one instance", do: rightHost}, {says: "look at APP_TEMP_PATH", why: reading}},
	"400, 404 or 416 `BLOB_UPLOAD_INVALID`":               {{says: "push without --chunk-size", do: retyped(without("--chunk-size", 1))}, {says: "look at the proxies in between", do: configured(`proxy_set_header Content-Range "";`, "")}},
	"500 without a text": {
		{says: triesAgain, here: "for a while", do: cleared},
		{says: "push with --jobs 1", here: "for a while", do: func(s *scene) string { s.to.scripted.ClearFaults(); return s.again(singly...) }, of: []command{pushing}},
		{says: "look at the log, the disk, SQLITE_TIMEOUT and MAX_OPEN_CONNS", why: reading},
	},
	"no space left on this machine": {{says: "free some space", why: "TestFaults has a disk that fills up"}, {says: "name another directory with TMPDIR", why: "TestFaults has a disk that fills up"}},
	"nothing to push":               {{says: "name a tar, a directory, or an image of the daemon", why: "the program always names one"}},
}
