package registrytest

import (
	"net/http"
	"regexp"
	"sync"
)

// Rule makes some requests fail. Which ones depends on nothing but the order
// in which requests arrive.
type Rule struct {
	// Method is that of the requests meant. Empty means all.
	Method string
	// Path is a regular expression that the request's path and query match
	// somewhere. Empty means all.
	Path string
	// Match, when not nil, has to be true as well.
	Match func(*http.Request) bool
	// Skip is how many of those requests pass unharmed at first.
	Skip int
	// Times is how many are then acted upon. Zero means all.
	Times int
	// Action is what happens to them.
	Action Action
}

// Action is what happens to a request instead of, before or after what the
// registry does with it, which is next.
type Action interface {
	Serve(w http.ResponseWriter, req *http.Request, next http.Handler)
}

// ActionFunc is a function as an [Action].
type ActionFunc func(w http.ResponseWriter, req *http.Request, next http.Handler)

// Serve implements [Action].
func (f ActionFunc) Serve(w http.ResponseWriter, req *http.Request, next http.Handler) {
	f(w, req, next)
}

// Fault is a rule in force.
type Fault struct {
	rule Rule
	path *regexp.Regexp
	set  *faults

	// seen counts the requests that match, hits those that were acted upon;
	// set.mu guards them.
	seen, hits int
}

// Hits returns how many requests the rule has acted upon.
func (f *Fault) Hits() int {
	f.set.mu.Lock()
	defer f.set.mu.Unlock()
	return f.hits
}

// faults are the rules in force.
type faults struct {
	// mu guards the fields below.
	mu    sync.Mutex
	rules []*Fault
}

// Fault puts a rule into force. When several apply to a request, the one that
// came first acts; each counts on its own. It panics when Path is malformed.
func (r *Registry) Fault(rule Rule) *Fault {
	f := &Fault{rule: rule, path: regexp.MustCompile(rule.Path), set: &r.faults}
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.rules = append(r.faults.rules, f)
	return f
}

// ClearFaults takes all rules out of force.
func (r *Registry) ClearFaults() {
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.rules = nil
}

func (f *faults) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if action := f.due(req); action != nil {
			action.Serve(w, req, next)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// due returns what is to happen to a request, nil for nothing.
func (f *faults) due(req *http.Request) Action {
	f.mu.Lock()
	defer f.mu.Unlock()
	var acting *Fault
	for _, fault := range f.rules {
		if fault.matches(req) && fault.count() && acting == nil {
			acting = fault
		}
	}
	if acting == nil {
		return nil
	}
	acting.hits++
	return acting.rule.Action
}

func (f *Fault) matches(req *http.Request) bool {
	return (f.rule.Method == "" || f.rule.Method == req.Method) &&
		f.path.MatchString(req.URL.RequestURI()) &&
		(f.rule.Match == nil || f.rule.Match(req))
}

// count counts a request that matches and reports whether it is due.
func (f *Fault) count() bool {
	f.seen++
	return f.seen > f.rule.Skip && (f.rule.Times == 0 || f.seen <= f.rule.Skip+f.rule.Times)
}
