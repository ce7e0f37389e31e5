package response

import (
	"net/url"
	"strings"
)

// Denied reports that the user is known and lacks the permission.
func Denied(offered []Challenge) bool {
	return len(offered) == 1 && offered[0].Params["realm"] == realmDenied
}

// Challenge is one way to authenticate that a server offers.
type Challenge struct {
	Scheme string            // lower case
	Params map[string]string // by lower-case name
}

// Challenges reads WWW-Authenticate headers. Each may hold several challenges (RFC
// 9110 section 11.6.1); one that is malformed ends its header.
func Challenges(headers []string) []Challenge {
	var all []Challenge
	for _, header := range headers {
		p := parser{rest: header}
		for {
			c, ok := p.challenge()
			if !ok {
				break
			}
			all = append(all, c)
		}
	}
	return all
}

// parser takes a header apart from the left.
type parser struct {
	rest   string
	broken bool // the rest makes no sense
}

func (p *parser) challenge() (Challenge, bool) {
	p.rest = strings.TrimLeft(p.rest, " \t,")
	scheme := p.token()
	if scheme == "" {
		return Challenge{}, false
	}
	c := Challenge{Scheme: strings.ToLower(scheme), Params: map[string]string{}}
	for {
		before := p.rest
		p.rest = strings.TrimLeft(p.rest, " \t,")
		name := p.token()
		value, ok := p.value()
		if name == "" || !ok {
			if !p.broken {
				p.rest = before // the next challenge begins here, or nothing does
			}
			return c, true
		}
		if name = strings.ToLower(name); c.Params[name] == "" {
			c.Params[name] = value
		}
	}
}

func (p *parser) token() string {
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	if end < 0 {
		end = len(p.rest)
	}
	token := p.rest[:end]
	p.rest = p.rest[end:]
	return token
}

// value reads `="quoted \" text"` or `=token`.
func (p *parser) value() (string, bool) {
	rest, ok := strings.CutPrefix(strings.TrimLeft(p.rest, " \t"), "=")
	if !ok {
		return "", false
	}
	p.rest = strings.TrimLeft(rest, " \t")
	quoted, ok := strings.CutPrefix(p.rest, `"`)
	if !ok {
		return p.token(), true
	}
	var b strings.Builder
	for i := 0; i < len(quoted); i++ {
		switch c := quoted[i]; c {
		case '"':
			p.rest = quoted[i+1:]
			return b.String(), true
		case '\\':
			if i++; i < len(quoted) {
				b.WriteByte(quoted[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	p.rest, p.broken = "", true // the quote does not end
	return "", false
}

// GiteaService is how Gitea and Forgejo name themselves in a challenge, as
// GitLab does, whose token service is at another place.
const GiteaService = "container_registry"

// The realms of Gitea: that of its Basic challenge, and that of a challenge which says
// that the user is known but lacks the permission (services/context/package.go).
const (
	realmBasic  = "Gitea Container Registry"
	realmDenied = "Gitea Package API"
)

// ByGitea reports whether a challenge is of a Gitea or Forgejo. (Gitea 1.26
// routers/api/packages/container/container.go, APIUnauthorizedError.)
func (c Challenge) ByGitea() bool {
	realm := c.Params["realm"]
	if c.Params["service"] == GiteaService {
		u, err := url.Parse(realm)
		return err == nil && strings.HasSuffix(u.Path, "/v2/token")
	}
	return realm == realmBasic || realm == realmDenied
}
