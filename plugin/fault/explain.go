package fault

import (
	"errors"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Explanation is a failure in words: what happened, why, and what to do. The
// last two are empty where there is nothing to add.
type Explanation struct{ Message, Cause, Hint string }

// Explain is what people are told of err. Nil is the zero value.
func Explain(err error) Explanation {
	if err == nil {
		return Explanation{}
	}
	advice := Diagnose(err)
	return Explanation{Message: err.Error(), Cause: advice.Cause, Hint: advice.Hint}
}

// String is the explanation as it appears on a terminal, without the name of
// the command.
func (e Explanation) String() string {
	lines := []string{registry.Printable(e.Message)}
	for _, part := range [][2]string{{"cause", e.Cause}, {"hint", e.Hint}} {
		if part[1] != "" {
			lines = append(lines, part[0]+": "+registry.Printable(part[1]))
		}
	}
	return strings.Join(lines, "\n")
}

// Diagnose is the advice that comes with err, or what the registry's client
// makes of it.
func Diagnose(err error) registry.Diagnosis {
	var advised interface{ Hint() string }
	if errors.As(err, &advised) {
		return registry.Diagnosis{Hint: advised.Hint()}
	}
	return registry.Diagnose(err)
}
