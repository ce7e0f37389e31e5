package push

import (
	"context"
	"sync"
)

// gate bounds how many blobs are under way. Its width can be reduced while a
// push is going on: Gitea with SQLite answers parallel uploads with errors.
type gate struct {
	// mu guards the fields below; free is signalled when they change.
	mu          sync.Mutex
	free        sync.Cond
	used, width int
}

func newGate(width int) *gate {
	g := &gate{width: width}
	g.free.L = &g.mu
	return g
}

func (g *gate) acquire(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.free.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for ctx.Err() == nil && g.used >= g.width {
		g.free.Wait()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	g.used++
	return nil
}

// yield is called before a blob is tried again. If more blobs are under way than the
// width allows by then, it leaves its place to others and waits for another one.
// When it returns, it holds a place in any case.
func (g *gate) yield(ctx context.Context) error {
	g.mu.Lock()
	crowded := g.used > g.width
	if crowded {
		g.used--
		g.free.Broadcast()
	}
	g.mu.Unlock()
	if !crowded {
		return nil
	}
	err := g.acquire(ctx)
	if err != nil { // the caller releases its place all the same
		g.mu.Lock()
		defer g.mu.Unlock()
		g.used++
	}
	return err
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used--
	g.free.Broadcast()
}

// size is how many blobs may be under way.
func (g *gate) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.width
}

// narrow halves the width, down to one.
func (g *gate) narrow() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.width = max(1, g.width/2)
}
