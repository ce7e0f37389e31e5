package credhelper

import (
	"fmt"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// longWait is after how long it is said what is waited for.
var longWait = 3 * time.Second

// waiting says, after a while, what has not answered, until done is called. Docker,
// which asks for a credential, is not told.
func (h *helper) waiting(what string) (done func()) {
	if !h.patience.Asks {
		return func() {}
	}
	said := make(chan struct{})
	timer := time.AfterFunc(longWait, func() {
		defer close(said)
		fmt.Fprintf(h.Stderr, "waiting: %s has not answered for %v\n", registry.Printable(what), longWait)
	})
	return func() {
		if !timer.Stop() {
			<-said // two do not write at once
		}
	}
}
