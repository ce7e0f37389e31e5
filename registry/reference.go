package registry

import (
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// Reference is a destination: an image in a registry.
type Reference struct {
	// Host is the registry's host with its port, if any; empty when the
	// reference names none.
	Host string
	// Repository is the name of the image in the registry: "owner/name" in Gitea
	// and Forgejo, where the name may have several parts.
	Repository string
	// Tag is never empty: "latest" where the reference gives none.
	Tag string
}

// Gitea 1.26 routers/api/packages/container/container.go:48-49. The names are
// stricter than the OCI distribution specification's: no "__", no "--".
var (
	// The specification's ("Pulling manifests"): none of the parts is a path's "..".
	specPattern = lazily(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	namePattern = lazily(`^[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)*$`)
	// Owners are Gitea user names, looked up without regard to case.
	ownerPattern = lazily(`^[a-z0-9](?:[._-]?[a-z0-9])*$`)
	tagPattern   = lazily(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	badInName    = lazily(`[^a-z0-9._/-]+`)
	separators   = lazily(`[._-]{2,}`)
	badInTag     = lazily(`[^a-zA-Z0-9._-]+`)
)

// lazily compiles an expression at its first use: docker starts its plugins
// only to ask who they are.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// CheckRepository refuses what no registry accepts as a repository, with a
// [*NameError].
func CheckRepository(name string) error {
	if fault := nameFault(name); fault != "" {
		return &NameError{Input: name, Fault: fault, Suggestion: CorrectName(name)}
	}
	return nil
}

// ValidTag reports whether a registry accepts tag as one.
func ValidTag(tag string) bool { return tagPattern().MatchString(tag) }

const maxReference = 1024

// ParseReference parses "[HOST/]NAME[:TAG]" by the rules of the OCI distribution
// specification; those of Gitea, OWNER/NAME among them, are a push's to apply,
// once the registry is known to be one. Its error is a [*NameError] that holds
// the corrected name where there is one.
func ParseReference(s string) (Reference, error) {
	fail := func(fault, suggestion string) (Reference, error) {
		return Reference{}, &NameError{Input: s, Fault: fault, Suggestion: suggestion}
	}
	if s == "" || len(s) > maxReference || printable.HasControl(s) {
		return fail("a destination is HOST/OWNER/NAME[:TAG]", "")
	}
	if rest, ok := cutScheme(s); ok {
		return fail("a reference has no scheme", rest)
	}
	host, rest := splitHost(s)
	if name, tag, found := branchAsTag(rest); found {
		return fail(branchFault, joinReference(host, CorrectName(name), correctTag(tag)))
	}
	if host != "" {
		normal, err := NormalizeHost(host)
		if err != nil || !looksLikeHost(normal) {
			return fail("the host is malformed", "")
		}
		host = normal
	}
	if strings.Contains(rest, "@") {
		return fail("a destination has a tag, not a digest", joinReference(host, rest[:strings.Index(rest, "@")], ""))
	}
	repository, tag := rest, "latest"
	if i := strings.LastIndex(rest, ":"); i > strings.LastIndex(rest, "/") {
		repository, tag = rest[:i], rest[i+1:]
	}
	if fault := nameFault(repository); fault != "" {
		return fail(fault, joinReference(host, CorrectName(repository), correctTag(tag)))
	}
	if checkTag(tag) != nil {
		return fail(tagFault, joinReference(host, repository, correctTag(tag)))
	}
	return Reference{Host: host, Repository: repository, Tag: tag}, nil
}

// CheckGitea is the error that breaking a rule of Gitea's is, nil where all are
// kept. tags are set besides the reference's own.
func (r Reference) CheckGitea(tags []string) error {
	fault := giteaFault(r.Repository)
	if r.Owner() == "" {
		return &NameError{Input: r.String(), Fault: fault, Suggestion: joinReference(r.Host, "OWNER/"+CorrectName(r.Repository), r.Tag)}
	}
	if fault != "" {
		return &NameError{Input: r.String(), Fault: fault, Suggestion: joinReference(r.Host, CorrectName(r.Repository), r.Tag)}
	}
	for _, tag := range tags {
		if strings.EqualFold(tag, "_upload") {
			return &NameError{Input: tag, Fault: "the tag _upload is reserved by Gitea"}
		}
	}
	return nil
}

// Owner is the user or organisation that the image belongs to; empty where the
// repository has only one part.
func (r Reference) Owner() string { return r.Repository[:max(strings.Index(r.Repository, "/"), 0)] }

// Name is the repository without its owner.
func (r Reference) Name() string { return r.Repository[strings.Index(r.Repository, "/")+1:] }

// Familiar is the reference without its tag.
func (r Reference) Familiar() string { return joinReference(r.Host, r.Repository, "") }

// String is the whole reference.
func (r Reference) String() string { return joinReference(r.Host, r.Repository, r.Tag) }

// NormalizeHost turns any spelling of a registry's address into the one form
// that identifies it: lower case, with its port unless that is 443, without
// scheme, path or trailing dot. It refuses user information, control
// characters and what is no host at all. Look-alikes stay different.
func NormalizeHost(address string) (string, error) {
	e, err := endpoint.Parse(address)
	return e.Host, err
}

// splitHost separates the host from the rest as Docker does: the first part
// is a host when it has a dot or a colon, or is "localhost".
func splitHost(s string) (host, rest string) {
	first, rest, found := strings.Cut(s, "/")
	if !found || !looksLikeHost(first) {
		return "", s
	}
	name, port, colon := strings.Cut(first, ":")
	if colon && strings.IndexFunc(port, unicode.IsLetter) >= 0 && !strings.Contains(name, ".") && !strings.HasPrefix(first, "[") {
		return "", s // app:feature/x
	}
	return first, rest
}

// branchAsTag divides NAME:TAG with a slash in the tag, as the names of branches
// have it.
func branchAsTag(s string) (name, tag string, found bool) {
	name, tag, _ = strings.Cut(s, ":")
	return name, tag, strings.Contains(tag, "/") && !strings.Contains(tag, "@")
}

const branchFault = `a tag has no "/", as the name of a branch may have`

func looksLikeHost(s string) bool { return strings.ContainsAny(s, ".:") || s == "localhost" }

func cutScheme(s string) (string, bool) {
	for _, scheme := range []string{"https://", "http://", "docker://", "oci://"} {
		if rest, ok := strings.CutPrefix(s, scheme); ok {
			return rest, true
		}
	}
	return s, false
}

// nameFault says why repository is no valid name for any registry, or nothing.
func nameFault(repository string) string {
	switch {
	case strings.ContainsFunc(repository, unicode.IsUpper):
		return "names are lower case"
	case strings.HasPrefix(repository, "/") || strings.HasSuffix(repository, "/") || strings.Contains(repository, "//"):
		return "a part of the name is empty"
	case !specPattern().MatchString(repository):
		return `names are made of a-z and 0-9, with ".", "_" or "-" between them`
	}
	return ""
}

// giteaFault says why repository, a valid name, is none for Gitea, or nothing.
func giteaFault(repository string) string {
	owner, name, found := strings.Cut(repository, "/")
	switch {
	case !found:
		return "the owner (a user or an organisation of the registry) is missing"
	case !ownerPattern().MatchString(owner):
		return "the owner is no valid user name"
	case separators().MatchString(name):
		return `Gitea allows a single ".", "_" or "-" between letters and digits`
	case !namePattern().MatchString(name):
		return `Gitea allows a single ".", "_" or "-" between letters and digits`
	}
	return ""
}

// CorrectName is the nearest name that Gitea takes for a repository, or nothing.
func CorrectName(name string) string {
	name = strings.ToLower(name)
	name = badInName().ReplaceAllString(name, "-")
	name = separators().ReplaceAllStringFunc(name, func(s string) string { return s[:1] })
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		if part = strings.Trim(part, "._-"); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}

const tagFault = `a tag is at most 128 of a-z, A-Z, 0-9, ".", "_" and "-", and begins with none of "." and "-"`

// checkTag refuses what no registry accepts as a tag.
func checkTag(tag string) error {
	if ValidTag(tag) {
		return nil
	}
	if strings.Contains(tag, "/") {
		return &NameError{Input: tag, Fault: branchFault, Suggestion: correctTag(tag)}
	}
	return &NameError{Input: tag, Fault: tagFault, Suggestion: correctTag(tag)}
}

func correctTag(tag string) string {
	tag = strings.TrimLeft(badInTag().ReplaceAllString(tag, "-"), ".-")
	if len(tag) > 128 {
		tag = tag[:128]
	}
	return tag
}

func joinReference(host, repository, tag string) string {
	if repository == "" {
		return ""
	}
	if host != "" {
		repository = host + "/" + repository
	}
	if tag != "" {
		repository += ":" + tag
	}
	return repository
}
