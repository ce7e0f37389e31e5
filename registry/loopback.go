package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"strings"
	"sync"
)

// Loopback is a registry of this machine that lives as long as one push. What
// it is given goes on to the push's real destination.
type Loopback struct {
	// Repository is where to push to: "127.0.0.1:41234/docker-gitea-5f…".
	// Daemons talk to such addresses without TLS.
	Repository string
	// Tag is the one to push.
	Tag string
	// Username and Password are this push's own; nobody else knows them.
	Username, Password string
	// Reached is closed when somebody with the password has called since this
	// push began.
	Reached <-chan struct{}
	// Refuse has the manifest of the image refused once the registry has it. A
	// store that is told that it was taken may keep this place among those that
	// the image came from, as containerd does (its label
	// "containerd.io/distribution.source"). The push to here then fails, which
	// means nothing where Sent reports that the image was sent.
	Refuse func()
	// Sent reports whether the registry has the image.
	Sent func() bool
}

// WasReached reports whether [Loopback.Reached] is closed by now.
func (l Loopback) WasReached() bool {
	select {
	case <-l.Reached:
		return true
	default:
		return false
	}
}

// LoopbackTag is the tag of every [Loopback]; with its repository it is a name
// that nobody else gives to an image.
const LoopbackTag = "push"

// The last part of a [Loopback]'s repository is loopbackPrefix, 8 digits for
// the network that the port is in, and 24 that nobody guesses.
const (
	loopbackPrefix = "docker-gitea-"
	networkDigits  = 8
	loopbackDigits = 32
)

// NewLoopbackRepository makes the repository of a [Loopback], which nobody guesses.
func NewLoopbackRepository() string {
	id := make([]byte, (loopbackDigits-networkDigits)/2)
	_, _ = rand.Read(id) // never fails
	return loopbackPrefix + network() + hex.EncodeToString(id)
}

// Leftover is the name of a [Loopback] that an image has: of a push that goes
// on, or of one that was killed.
type Leftover struct {
	// Address is the host and port that the push listens on, or did.
	Address string
	// Here says that the address is one of this process's network, so that
	// whoever can listen there knows that the push is no more. Several networks
	// may use one daemon, as containers with its socket do.
	Here bool
}

// ParseLeftover tells whether an image's name is that of a [Loopback].
func ParseLeftover(name string) (Leftover, bool) {
	address, rest, _ := strings.Cut(name, "/")
	repository, tag, _ := strings.Cut(rest, ":")
	host, _, err := net.SplitHostPort(address)
	id, named := strings.CutPrefix(repository, loopbackPrefix)
	if err != nil || host != "127.0.0.1" || !named || len(id) != loopbackDigits || tag != LoopbackTag {
		return Leftover{}, false
	}
	return Leftover{Address: address, Here: id[:networkDigits] == network()}, true
}

// network stands for the network that 127.0.0.1 is in: that of a machine, or of
// a container.
var network = sync.OnceValue(func() string {
	host, _ := os.Hostname()
	namespace, _ := os.Readlink("/proc/self/ns/net") // other systems have one network
	sum := sha256.Sum256([]byte(host + " " + namespace))
	return hex.EncodeToString(sum[:])[:networkDigits]
})
