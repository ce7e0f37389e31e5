package registry

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Diagnosis is what a failure means to the person who meets it. Both parts are
// empty where there is nothing to add to the error itself.
type Diagnosis struct {
	// Cause is a sentence about why it happened.
	Cause string `json:"cause,omitempty"`
	// Hint is what to do about it, with a command or a setting to copy.
	Hint string `json:"hint,omitempty"`
}

// Diagnose explains an error of this package. It looks at values alone and
// makes no request.
func Diagnose(err error) Diagnosis {
	for _, explain := range []func(error) Diagnosis{diagnoseTLS, diagnoseNetwork, diagnoseAnswer, diagnoseSource} {
		if d := explain(err); d != (Diagnosis{}) {
			return d
		}
	}
	return Diagnosis{}
}

func diagnoseTLS(err error) Diagnosis {
	var (
		tlsError  *TLSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	host := "the registry"
	if errors.As(err, &tlsError) {
		host = tlsError.Host
	}
	switch {
	case speaksPlainHTTP(errOrEmpty(err)):
		return Diagnosis{host + " speaks plain HTTP on that port, not TLS", "use --plain-http if that is meant, or the port of https"}
	case errors.As(err, &authority):
		return Diagnosis{
			"the certificate of " + host + " is signed by an authority that this machine does not know" + fingerprint(tlsError),
			"name the authority with --ca-file FILE, or put it into ~/.docker/certs.d/" + host + "/ca.crt; --insecure trusts anyone",
		}
	case errors.As(err, &hostname):
		return Diagnosis{"the certificate is for other names: " + names(hostname.Certificate), "use one of these names, or have the certificate made for this one"}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Diagnosis{
			fmt.Sprintf("the certificate is valid from %s to %s, and this machine's clock says %s",
				invalid.Cert.NotBefore.Format(time.DateTime), invalid.Cert.NotAfter.Format(time.DateTime), time.Now().Format(time.DateTime)),
			"have the certificate renewed, or set the clock",
		}
	}
	return Diagnosis{}
}

func errOrEmpty(err error) error {
	if err == nil {
		return errors.New("")
	}
	return err
}

func fingerprint(e *TLSError) string {
	if e == nil || len(e.Certificates) == 0 {
		return ""
	}
	leaf := e.Certificates[0]
	sum := sha256.Sum256(leaf.Raw)
	return fmt.Sprintf(" (issuer %q, for %s, SHA-256 %x)", clean(leaf.Issuer.String()), names(leaf), sum)
}

func names(c *x509.Certificate) string {
	if c == nil {
		return "none"
	}
	all := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return clean(strings.Join(all, ", "))
}

func diagnoseNetwork(err error) Diagnosis {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return Diagnosis{fmt.Sprintf("the name %q is not known to this machine's resolver", dns.Name), "check the spelling, or add the name to /etc/hosts"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return Diagnosis{"nothing listens on that address and port", "check the port, and that the server is up; inside a container, localhost is the container itself"}
	case errors.Is(err, ErrStalled):
		return Diagnosis{"nothing moved in either direction for too long", "try again; behind a proxy, --chunk-size 32MiB keeps requests short"}
	case errors.Is(err, context.DeadlineExceeded):
		return Diagnosis{"the time limit was reached", "allow more with --timeout; what arrived is not sent again"}
	}
	return Diagnosis{}
}

func diagnoseAnswer(err error) Diagnosis {
	var answer *Error
	proxy := ""
	if errors.As(err, &answer) && answer.Proxy && answer.Server != "" {
		proxy = answer.Server
	}
	switch {
	case errors.Is(err, ErrUnauthorized):
		return Diagnosis{
			"the registry refuses the credential, or there is none: a wrong password, a revoked token, a token without a package scope, or two-factor authentication, which needs a token",
			"log in with a personal access token that has the scope write:package: docker login HOST",
		}
	case errors.Is(err, ErrDenied) && proxy == "":
		return Diagnosis{
			"the registry knows you, but you may not push there: the token lacks the scope write:package, or the owner is another user or an organisation whose team lacks write access to packages (being a repository's collaborator is not enough)",
			"push to your own name, or make a token with the scope write:package; in Gitea Actions use a secret with such a token, the job's own cannot push",
		}
	case errors.Is(err, ErrDenied):
		return Diagnosis{"the request was refused by " + proxy + " in front of the registry", "have /v2/ exempted from its checks"}
	case errors.Is(err, ErrOwnerUnknown):
		return Diagnosis{"the registry has no such user or organisation, or none that you may see", "check the spelling of HOST/OWNER/NAME; owners are never made by a push"}
	case errors.Is(err, ErrNotRegistry):
		return Diagnosis{"what answers at /v2/ is no container registry", "check the host; on the server, [packages] ENABLED must be true, and a proxy must pass /v2/ on, at the root of the host even when Gitea is under a path"}
	case errors.Is(err, ErrQuota):
		return Diagnosis{"a limit on the size or number of packages is reached", "delete old versions, or have LIMIT_SIZE_CONTAINER, LIMIT_TOTAL_OWNER_SIZE or LIMIT_TOTAL_OWNER_COUNT raised in [packages]"}
	case errors.Is(err, ErrTooLarge):
		return Diagnosis{"a request body was larger than something in front of the registry allows", "set client_max_body_size 0 (nginx) or the like; --chunk-size sends smaller requests"}
	case errors.Is(err, ErrRedirected):
		return Diagnosis{"the server leads elsewhere: the owner was renamed, or a sign-in page is in front of /v2/", "use the new name, or have /v2/ exempted"}
	case errors.Is(err, ErrDigestMismatch):
		return Diagnosis{"what arrived is not what was sent: something changes bodies on the way, or the source changed while it was read", "push again; if it happens again, look at the proxies in between"}
	case errors.Is(err, ErrRateLimited):
		return Diagnosis{"too many requests for something in front of the registry", "try later, or with --jobs 1"}
	case errors.Is(err, ErrServer) && proxy != "":
		return Diagnosis{proxy + " in front of the registry could not reach it, or gave up waiting", "raise its read timeout (proxy_read_timeout in nginx); --chunk-size keeps requests short"}
	case errors.Is(err, ErrServer):
		return Diagnosis{"the registry failed; its log has the cause: often a full disk or temporary directory, or SQLite under parallel writes", "try with --jobs 1; on the server, look at the log, the disk, and SQLITE_TIMEOUT"}
	}
	return Diagnosis{}
}

func diagnoseSource(err error) Diagnosis {
	var source *image.Error
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return Diagnosis{"the disk of the temporary directory is full", "free some space, or name another directory with TMPDIR"}
	case errors.As(err, &source):
		return Diagnosis{}
	case errors.Is(err, ErrNoSource):
		return Diagnosis{"there is neither an image file nor a daemon", "name a tar, a directory, or an image of the daemon"}
	}
	return Diagnosis{}
}
