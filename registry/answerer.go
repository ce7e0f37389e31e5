package registry

// Answerer is who gave an answer. It is decided once, from what proves it (package
// internal/response); what an answer means, whether it is worth asking again, and what is
// said of it all go by that. The zero value is of an error that is no answer.
type Answerer int

// Who may have given an answer.
const (
	// ByAPI: the API of a Gitea or Forgejo, or another of its pages, which was
	// asked.
	ByAPI Answerer = iota + 1
	// ByRegistry: the registry itself, or its token service.
	ByRegistry
	// ByGitea: the pages of a Gitea or Forgejo, or its API, and not its registry.
	ByGitea
	// ByStorage: where the registry keeps its blobs, to which it led.
	ByStorage
	// ByPortal: a page for browsers, or the way to one: a sign-in in front of the
	// registry or of a network.
	ByPortal
	// ByProxy: software that mostly stands in front of others, and says its name.
	ByProxy
	// BySomebody: nothing proves who: another proxy, or another web server.
	BySomebody
)

// Foreign reports an answer of another than who was asked.
func (a Answerer) Foreign() bool { return a > ByRegistry }
