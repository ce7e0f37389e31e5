package registry

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// OriginKind is a kind of place that credentials come from.
type OriginKind string

// The kinds of places.
const (
	// OriginOption is standard input, by an option of the command.
	OriginOption OriginKind = "option"
	// OriginVariable is a variable of the environment.
	OriginVariable OriginKind = "variable"
	// OriginFile is a file that holds nothing else.
	OriginFile OriginKind = "file"
	// OriginHelper is a credential helper.
	OriginHelper OriginKind = "helper"
	// OriginDocker is an entry in docker's config.json, or in a file of the same
	// form.
	OriginDocker OriginKind = "docker"
)

// Origin says where a credential came from, and so which one is to be changed
// when it fails. The zero value is a place that nobody told. It holds no secret.
type Origin struct {
	Kind OriginKind
	// Name is the option's with its dashes, the variable's, the helper's program,
	// or the key of the entry.
	Name string
	// File is the path of what holds the credential, of the last and the third
	// kind.
	File string
	// By is the line of a configuration file that says to look there, as
	// "gitea.yaml:7"; empty where one looks there anyway.
	By string
	// Remark is what is odd about the value, as words that go on after "which".
	Remark string
}

// The variables that have to be spoken of in another way than others: of the
// one the value is a file, and the other is a job's own.
const (
	variableAuthConfig = "DOCKER_AUTH_CONFIG"
	variableJobToken   = "GITEA_TOKEN"
)

// String names the place: "DOCKER_GITEA_TOKEN".
func (o Origin) String() string {
	text := o.Name
	switch o.Kind {
	case OriginFile:
		text = o.File
	case OriginDocker:
		text = o.File
		if o.Name != "" {
			text = "the entry " + printable.Clean(o.Name) + " in " + o.File
		}
	case OriginOption, OriginVariable, OriginHelper:
	}
	if o.By != "" {
		text += ", which " + o.By + " names"
	}
	return printable.Clean(text)
}

// phrase is the credential of the place, in words.
func (o Origin) phrase() string {
	if o == (Origin{}) {
		return "the credential"
	}
	text := "the credential of " + o.String()
	switch {
	case o.Remark != "" && o.By != "":
		text += ", and which " + o.Remark
	case o.Remark != "":
		text += ", which " + o.Remark
	}
	return text
}

// use says how host is given another credential than the one from here. What
// is written elsewhere would change nothing.
func (o Origin) use(host, credential string) string {
	switch o.Kind {
	case OriginOption:
		return "give " + credential + " with " + o.Name
	case OriginVariable:
		switch o.Name {
		case variableAuthConfig:
			return "put " + credential + " into the entry of " + host + " in " + o.Name + ", or unset that and docker login " + host
		case variableJobToken:
			return "set DOCKER_GITEA_TOKEN to " + credential + " and DOCKER_GITEA_HOST to " + host + ", which go before " + o.Name
		}
		return "set " + o.Name + " to " + credential
	case OriginFile:
		return "write " + credential + " into " + o.File
	case OriginHelper:
		switch {
		case o.Name == "docker-credential-gitea":
			return "docker-credential-gitea login --with-token " + host + " with " + credential
		case o.By != "":
			return "have " + o.Name + " keep " + credential + " for " + host
		}
	case OriginDocker:
		switch {
		case namespaced(o.Name):
			return "put " + credential + " into the entry " + o.Name + " in " + o.File
		case o.By != "":
			return "docker --config " + filepath.Dir(o.File) + " login " + host + " with " + credential + " as the password"
		}
	}
	return "docker login " + host + " with " + credential + " as the password"
}

// namespaced reports the key of an entry that is for a part of a registry alone,
// as podman makes them. Docker writes "https://HOST/v1/" for the whole.
func namespaced(key string) bool {
	if _, after, found := strings.Cut(key, "://"); found {
		key = after
	}
	_, rest, _ := strings.Cut(key, "/")
	return !slices.Contains([]string{"", "v1", "v2"}, strings.Trim(rest, "/"))
}

// Lacks says that there is no credential for host.
func (o Origin) Lacks(host string) string {
	switch {
	case o == (Origin{}):
		return "docker has none for " + host
	case o.Kind == OriginVariable && o.By == "":
		return o.String() + " is set, but empty"
	case o.Kind == OriginVariable:
		return o.String() + ", is empty or not set"
	}
	return o.String() + ", has none for " + host
}

// first says how to get the first credential.
func (o Origin) first(host string) string {
	if o == (Origin{}) {
		return "docker login " + host + "; where docker itself refuses the certificate, docker-credential-gitea login " + host
	}
	use := o.use(host, "a personal access token of the scope write:package")
	if o.Kind == OriginVariable {
		use += "; in a job, the secret that it is set from is missing, or kept from the job"
	}
	return use
}

// oddity is the Remark on a secret, empty for most. It is sent as it is: a password
// may be like that.
func oddity(secret string) string {
	first, last := secret[:min(1, len(secret))], secret[max(0, len(secret)-1):]
	switch {
	case len(secret) > 1 && first == last && strings.Contains("\"'`", first):
		return "stands in quotes that are sent along"
	case strings.HasPrefix(secret, "${") || strings.HasPrefix(secret, "$("):
		return "begins with " + secret[:2] + ", as if it had not been filled in"
	case strings.ContainsAny(secret, " \t"):
		return "has a space in it"
	}
	return ""
}

// Trimmed is a value without what files, editors and programs leave around it: a
// mark of UTF-8 before, and ends of lines. No credential has them.
func Trimmed(value string) string {
	return strings.Trim(strings.TrimPrefix(value, "\ufeff"), "\r\n")
}
