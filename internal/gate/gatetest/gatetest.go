// Package gatetest has what the tests of those who share a stream need.
package gatetest

import (
	"runtime"
	"sync/atomic"
)

// Alone is a stream that counts the writes that begin while another one goes on.
type Alone struct {
	busy   atomic.Bool
	beside atomic.Int64
}

// Write implements [io.Writer].
func (a *Alone) Write(p []byte) (int, error) {
	if a.busy.Swap(true) {
		a.beside.Add(1)
	}
	runtime.Gosched()
	a.busy.Store(false)
	return len(p), nil
}

// Beside is how many writes there were beside another one.
func (a *Alone) Beside() int64 { return a.beside.Load() }
