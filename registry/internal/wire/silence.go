package wire

import (
	"sync"
	"time"
)

// Silence tells when nothing has moved for a while between a push and the
// registry, long before that ends anything. A server that hangs, and a network
// that is gone, are not to be told apart from one that is at work. A nil silence
// tells nothing.
type Silence struct {
	Tell func()

	// mu guards the fields below, and is held while tell is called: nothing is
	// told once the last request has ended.
	mu       sync.Mutex
	requests int // under way
	timer    *time.Timer
}

// SilentFor is how long nothing moves before that is told.
const SilentFor = 30 * time.Second

// begin is the beginning of a request, end its end.
func (s *Silence) begin() { s.change(1) }

func (s *Silence) end() { s.change(-1) }

// Moved is a part of a request's body that was sent.
func (s *Silence) Moved() { s.change(0) }

func (s *Silence) change(requests int) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests += requests
	switch {
	case s.requests == 0 && s.timer != nil:
		s.timer.Stop()
	case s.timer != nil:
		s.timer.Reset(SilentFor)
	case s.requests > 0:
		s.timer = time.AfterFunc(SilentFor, s.fire)
	}
}

func (s *Silence) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests > 0 {
		s.Tell()
	}
}
