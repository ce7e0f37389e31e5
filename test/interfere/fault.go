// Package interfere has proxies that stand between a push and a registry and
// interfere once with what passes: a [Cutter] at a given byte, a [Gateway] at a
// given request. Tests arm them, make a push, and look at what came of it.
package interfere

// Fault is what happens to one push; its text is its name in tables.
type Fault string
