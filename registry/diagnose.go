package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/fronts"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// Diagnosis is what a failure means to the person who meets it. Both parts are
// empty where there is nothing to add to the error itself.
type Diagnosis struct {
	// Cause is a sentence about why it happened.
	Cause string `json:"cause,omitempty"`
	// Hint is what to do about it, with a command or a setting to copy.
	Hint string `json:"hint,omitempty"`
}

// Diagnose explains an error of this package by the first row of the table in
// diagnoses.go, or of that in refusals.go, that fits. It looks at values alone and makes no request.
func Diagnose(err error) Diagnosis {
	if err == nil {
		return Diagnosis{}
	}
	f := takeApart(err)
	for _, row := range diagnoses {
		if row.fits(f) {
			fill := strings.NewReplacer(f.words()...)
			there := strings.NewReplacer("/v2/", f.prefix())
			return Diagnosis{Cause: there.Replace(fill.Replace(row.cause)), Hint: there.Replace(fill.Replace(row.hint))}
		}
	}
	return Diagnosis{}
}

// failure is an error taken apart for the rows to look at.
type failure struct {
	error
	// answer is the server's; zero when there was none.
	answer Error
	// tls, cert and dns are what the error holds of them, or nil.
	tls  *TLSError
	cert *x509.Certificate
	dns  *net.DNSError
	// proxy is the failure of this machine's proxy; zero when it is none.
	proxy ProxyError
	// host is the one that could not be reached, empty where one could.
	host string
	// source is what could not be read from a registry, or nil.
	source *SourceError
}

func takeApart(err error) failure {
	f := failure{error: err}
	if missing, ok := errors.AsType[*MissingError](err); ok && missing.source() != nil && !missing.Foreign {
		err = missing.Err // says more
	}
	if f.source, _ = errors.AsType[*SourceError](err); f.source != nil {
		f.error = f.source.Err // what is around it is of the destination
		err, f.host = f.error, f.source.Host
	}
	if answer, ok := errors.AsType[*Error](err); ok {
		f.answer = *answer
	}
	f.tls, _ = errors.AsType[*TLSError](err)
	if proxy, ok := errors.AsType[*ProxyError](err); ok {
		f.proxy = *proxy
	}
	if way, ok := errors.AsType[*UnreachableError](err); ok {
		f.host = way.Host
	}
	f.dns, _ = errors.AsType[*net.DNSError](err)
	if hostname, ok := errors.AsType[x509.HostnameError](err); ok {
		f.cert = hostname.Certificate
	}
	if f.cert == nil && f.tls != nil && len(f.tls.Certificates) > 0 {
		f.cert = f.tls.Certificates[0]
	}
	return f
}

func (f failure) is(kind error) bool { return errors.Is(f.error, kind) }

func (f failure) certificateFault(reason x509.InvalidReason) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](f.error)
	return ok && invalid.Reason == reason
}

// refused reports a connection that nobody accepted, on this machine or not.
func (f failure) refused(loopback bool) bool {
	local := false
	if op, ok := errors.AsType[*net.OpError](f.error); ok {
		address, tcp := op.Addr.(*net.TCPAddr)
		local = tcp && address.IP.IsLoopback()
	}
	return f.is(syscall.ECONNREFUSED) && local == loopback
}

// words are the placeholders of the table with what stands for them.
func (f failure) words() []string {
	host, path := f.place()
	owner, _, _ := strings.Cut(path, "/")
	to, err := url.Parse(f.answer.Location)
	if err != nil { // it was cut
		to = new(url.URL)
	}
	front := fronts.Named(f.answer.Server)
	return []string{
		"{host}", forCommand(isHost, host, "HOST"), "{web}", f.scheme() + "://" + forCommand(isHost, host, "HOST"),
		"{repository}", f.repository(), "{owner}", forCommand(ownerPattern().MatchString, owner, "OWNER"),
		"{server}", orElse(f.answer.Server, "something"),
		"{after}", f.after(), "{answer}", strconv.Itoa(f.answer.Status),
		"{to}", f.answer.Location, "{there}", forCommand(isHost, endpoint.Canonical(to), "HOST"), "{renamed}", forCommand(isRepository, repositoryAt(to), "NAME"),
		"{size}", front.Size, "{time}", front.Time, "{route}", front.Route, "{deny}", front.Deny, "{login}", front.Login,
		"{proxy}", forCommand(isHost, strings.ToLower(f.proxy.Proxy), "PROXY"),
		"{variable}", f.proxy.Variable,
		"{status}", strconv.Itoa(f.proxy.Status),
		"{name}", f.unknownName(),
		"{who}", f.answer.Who(),
		"{from}", f.answer.Origin.phrase(),
		"{use}", f.answer.Origin.use(forCommand(isHost, host, "HOST"), "it"),
		"{renew}", f.answer.Origin.use(forCommand(isHost, host, "HOST"), "a personal access token of the scope write:package"),
		"{another}", f.answer.Origin.use(forCommand(isHost, host, "HOST"), "the right password or token (of Gitea, a personal access token of the scope write:package)"),
		"{none}", f.answer.Origin.Lacks(forCommand(isHost, host, "HOST")),
		"{first}", f.answer.Origin.first(forCommand(isHost, host, "HOST")),
		"{scope}", orElse(f.answer.Identity.Scope, "none"),
		"{realm}", f.answer.Message,
		"{names}", names(f.cert),
		"{dates}", dates(f.cert),
		"{now}", time.Now().UTC().Format(time.DateTime) + " UTC",
		"{certificate}", DescribeCertificate(f.cert),
		"{pinned}", f.pins(),
		"{shown}", Fingerprint(f.cert), "{issuer}", f.unshown(), "{cn}", commonName(f.cert), "{ip}", f.address(),
	}
}

// forCommand is s, or otherwise a word to put the right one for. Hints are
// commands to copy: nothing that came from outside gets into one as it is.
func forCommand(valid func(string) bool, s, otherwise string) string {
	if !valid(s) {
		return otherwise
	}
	return s
}

func isRepository(s string) bool { return s != "" && nameFault(s) == "" }

func isHost(s string) bool {
	_, ok := endpoint.Host(&url.URL{Host: s})
	return ok
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// place is the host, and the path of what was asked for below /v2/.
func (f failure) place() (host, path string) {
	if u, err := url.Parse(f.answer.URL); err == nil && f.answer.URL != "" {
		rest, _ := strings.CutPrefix(u.Path, "/v2/")
		if rest == "token" {
			rest = ""
		}
		return endpoint.Canonical(u), rest
	}
	if f.tls != nil {
		return f.tls.Host, ""
	}
	return cmp.Or(f.proxy.Host, f.host), ""
}

// scheme is how the host was asked, and so how a browser asks it.
func (f failure) scheme() string {
	if u, err := url.Parse(f.answer.URL); err == nil && u.Scheme == "http" {
		return "http"
	}
	return "https"
}

// repository is the one that could not be read.
func (f failure) repository() string {
	if f.source == nil {
		return ""
	}
	return forCommand(isRepository, f.source.Repository, "NAME")
}

// prefix is what the paths of such requests begin with: a login asks Gitea's pages
// and its API too.
func (f failure) prefix() string {
	u, err := url.Parse(f.answer.URL)
	for _, prefix := range []string{"/api/", "/login/", "/.well-known/"} {
		if err == nil && !endpoint.OfRegistry(u) && strings.Contains(u.Path, prefix) {
			return prefix
		}
	}
	return "/v2/"
}

// after is how long a request had taken that was ended.
func (f failure) after() string {
	if f.answer.After < time.Second {
		return "before it was done"
	}
	return "after " + f.answer.After.Round(time.Second).String()
}

func (f failure) unknownName() string {
	if f.dns == nil {
		return ""
	}
	return strconv.Quote(printable.Clean(f.dns.Name))
}

func (f failure) pins() string {
	if f.tls == nil {
		return ""
	}
	var all []string
	for _, c := range f.tls.Pinned {
		all = append(all, Fingerprint(c))
	}
	return strings.Join(all, " or ")
}

// isTimeout reports that a time limit of the push, and not of the network,
// was reached.
func isTimeout(f failure) bool { return f.is(context.DeadlineExceeded) }

// neverAnswered reports that time ran out before anything could be asked. Of
// the handshake net/http tells so in words alone.
func neverAnswered(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" && op.Timeout() || strings.Contains(err.Error(), "TLS handshake timeout")
}

func isHandshake(f failure) bool {
	_, record := errors.AsType[tls.RecordHeaderError](f.error)
	return record || f.tls != nil
}

// redirects reports the statuses of a redirection.
func redirects(status int) bool {
	return status >= http.StatusMultipleChoices && status < http.StatusBadRequest && status != http.StatusNotModified
}

// redirected fits a redirection if leads is true for the address that was asked and
// the one that it leads to.
func redirected(leads func(from, to *url.URL) bool) func(failure) bool {
	return func(f failure) bool {
		from, err := url.Parse(f.answer.URL)
		to, errTo := url.Parse(f.answer.Location)
		return redirects(f.answer.Status) && f.answer.Location != "" && err == nil && errTo == nil && leads(from, to)
	}
}

func toOtherName(from, to *url.URL) bool {
	return from.Scheme == to.Scheme && endpoint.Canonical(from) == endpoint.Canonical(to) && endpoint.OfRegistry(to)
}

func toTLS(from, to *url.URL) bool {
	return from.Scheme == "http" && to.Scheme == "https" && from.Hostname() == to.Hostname() && endpoint.OfRegistry(to)
}

// toRegistry leaves out a way from TLS to plain HTTP: nobody is to take that.
func toRegistry(from, to *url.URL) bool {
	return endpoint.OfRegistry(to) && (from.Scheme == "http" || to.Scheme == "https")
}

func toPage(_, to *url.URL) bool { return !endpoint.OfRegistry(to) }

// repositoryAt is the repository of an address below /v2/; empty where it has none.
func repositoryAt(u *url.URL) string {
	name, _ := strings.CutPrefix(u.Path, "/v2/")
	for _, kind := range []string{"/blobs/", "/manifests/", "/tags/"} {
		if before, _, found := strings.Cut(name, kind); found {
			return before
		}
	}
	return ""
}
