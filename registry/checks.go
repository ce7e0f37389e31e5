package registry

import (
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// Outcome is how a [Check] came out.
type Outcome string

// The outcomes. A warning stops other programs or a later push, a failure
// stops everything.
const (
	OutcomeOK      Outcome = "ok"
	OutcomeWarning Outcome = "warning"
	OutcomeFailed  Outcome = "failed"
)

// Check is one thing that was looked at between this machine and a registry.
type Check struct {
	// Name is one of "name", "connection", "certificate", "registry", "clock",
	// "proxy", "realm", "server", "login", "scope", "owner" and "upload limit".
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// Detail is what was found.
	Detail string `json:"detail,omitempty"`
	// Diagnosis is the cause, and what to do, where not all is well.
	Diagnosis
	// Err is the failure itself.
	Err error `json:"-"`
}

// Passed makes a check of something that is as it should be.
func Passed(name, detail string) Check { return Check{Name: name, Outcome: OutcomeOK, Detail: detail} }

// Warned makes a check of something that will stop others, or a later push. What the
// hint says of a check is left out: this is one.
func Warned(name string, err error) Check {
	d := Diagnose(err)
	d.Hint = strings.Join(slices.DeleteFunc(strings.Split(d.Hint, "; "), func(part string) bool { return strings.HasPrefix(part, "docker gitea check ") }), "; ")
	return Check{Name: name, Outcome: OutcomeWarning, Detail: printable.Clean(err.Error()), Diagnosis: d, Err: err}
}

// Failed makes a check of something that did not succeed.
func Failed(name string, err error) Check {
	c := Warned(name, err)
	c.Outcome = OutcomeFailed
	return c
}
