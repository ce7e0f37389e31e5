//go:build e2e

package test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/doctest"
)

// Why a command cannot meet a situation.
const (
	noImage  = "sends no image"
	noOwner  = "asks for no owner"
	around   = "finds a way around it"
	ofLogins = "makes no access token"
	noLayer  = "reads no layer"
)

// unmet are the situations that a command cannot come into, with the reason. What is
// missing here is met.
var unmetBy = map[command]map[string]string{
	pushing: {
		"the realm has http, and the registry https":         around,
		"the realm is of another host or port":               around,
		"the clocks of this machine and the server differ":   "goes by the server's clock",
		"401 to a login with a password alone":               ofLogins,
		"401 to a login with a password and a one-time code": ofLogins,
	},
	checking: {
		"a storage without TLS, to which the registry leads":            noLayer,
		"a failure of the storage that the registry leads to":           noLayer,
		"401 to a login with a password alone":                          ofLogins,
		"401 to a login with a password and a one-time code":            ofLogins,
		"a redirection that is not followed":                            noImage,
		"the limit of `--timeout`":                                      "has no such option",
		"400 `NAME_INVALID` or `Tag is invalid` from the server":        noImage,
		"401 of a server that took the credential before, or is unwell": noImage,
		"404 `BLOB_UPLOAD_UNKNOWN`, again and again":                    noImage,
		"400, 404 or 416 `BLOB_UPLOAD_INVALID`":                         noImage,
		"403 without a text, of a blob, or 413 `enforcePackagesQuota`":  noImage,
		"no space left on this machine":                                 noImage,
	},
	loggedIn: {
		"a storage without TLS, to which the registry leads":            noLayer,
		"a failure of the storage that the registry leads to":           noLayer,
		"401, and no credential was given":                              "is given one",
		"401":                                                           "is for Gitea and Forgejo, whose API says more",
		"401 `reqPackageAccess`":                                        noOwner,
		"401 `reqPackageAccess` under one's own name":                   noOwner,
		"403 `reqToken`":                                                noOwner,
		"404 `Not found.`":                                              noOwner,
		"a redirection to another name of the owner or the image":       noOwner,
		"a redirection that is not followed":                            noImage,
		"the limit of `--timeout`":                                      "has no such option",
		"the realm has http, and the registry https":                    around,
		"the realm is of another host or port":                          around,
		"the clocks of this machine and the server differ":              "goes by the server's clock",
		"413 from something in front of the registry":                   noImage,
		"400 `NAME_INVALID` or `Tag is invalid` from the server":        noImage,
		"401 of a server that took the credential before, or is unwell": "shows each credential once",
		"404 `BLOB_UPLOAD_UNKNOWN`, again and again":                    noImage,
		"400, 404 or 416 `BLOB_UPLOAD_INVALID`":                         noImage,
		"403 without a text, of a blob, or 413 `enforcePackagesQuota`":  noImage,
		"no space left on this machine":                                 noImage,
	},
}

// ofManifests are about what a push alone sends.
var ofManifests = []string{
	"403 without a text, of a manifest", "413 of a manifest", "404 `BLOB_UNKNOWN` of a manifest", "layers that a file or directory lacks",
	"layers that a manifest names by a URL", "layers that the source lacks", "404 `MANIFEST_BLOB_UNKNOWN` of an index", "404 `MANIFEST_UNKNOWN`", "400 `SIZE_INVALID`", "501 `UNSUPPORTED`",
	"404 of the registry that the image, or a layer, is read from", "401 or 403 of the registry that the image, or a layer, is read from",
	"400 `MANIFEST_INVALID`", "400 `DIGEST_INVALID` of another digest than SHA-256", "400 `DIGEST_INVALID`", "nothing to push",
	"an image, or a layer, with other bytes than those of its digest",
}

// elsewhereShown are rows that other tests bring about.
var elsewhereShown = map[string]string{
	// It takes an engine of its own.
	"layers that the source lacks": "TestLayersThatTheDaemonDoesNotHold",
	// Nothing real has its storage fail.
	"404 of the registry that the image, or a layer, is read from":        "TestDiagnoses",
	"401 or 403 of the registry that the image, or a layer, is read from": "TestDiagnoses",
	"a storage without TLS, to which the registry leads":                  "TestSites",
	"a failure of the storage that the registry leads to":                 "TestDiagnoses",
}

// untimed are the rows that need more than a command.
var untimed = []string{"no space left on this machine", "nothing to push"}

// tidying are the rows in which a push is ended by itself, and waits for the answer to
// its last request so as to leave nothing in the registry.
var tidying = []string{"the limit of `--timeout`"}

// unmet is why c cannot come into a situation; empty where it can.
func unmet(seen string, c command) string {
	switch {
	case unmetBy[c][seen] != "":
		return unmetBy[c][seen]
	case c != pushing && slices.Contains(ofManifests, seen):
		return noImage
	case elsewhereShown[seen] != "":
		return "shown by " + elsewhereShown[seen]
	}
	return ""
}

// stopwatch knows how long programs took to say what is wrong.
type stopwatch struct {
	mu sync.Mutex // guards the fields below
	// rows are by the names of the tests that bring them about.
	rows map[string]string
	told map[string]map[command]said
}

// said is after how long something was said, of the slowest of a row.
type said struct {
	after time.Duration
	// announced: it had been said that something is tried again or waited for.
	announced bool
}

func newStopwatch() *stopwatch {
	return &stopwatch{rows: map[string]string{}, told: map[string]map[command]said{}}
}

// expect says which row the test called name is about.
func (s *stopwatch) expect(name, seen string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[name] = seen
}

func (s *stopwatch) note(name string, c command, took time.Duration, out string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, found := s.rows[name]
	if !found {
		return
	}
	if s.told[seen] == nil {
		s.told[seen] = map[command]said{}
	}
	if before := s.told[seen][c]; before.after > took {
		return
	}
	s.told[seen][c] = said{took, strings.Contains(out, "Retrying") || strings.Contains(out, "waiting: ")}
}

// tellWithin is in how much time a program says what is wrong, unless it has said
// that it tries again or waits. On a machine that does other things as well no time
// can be held to.
const tellWithin = 3 * time.Second

// write makes the table, with -update. Otherwise the order alone counts.
func (s *stopwatch) write(t *testing.T, rows map[string]trouble) {
	t.Helper()
	if !*update {
		return
	}
	var b strings.Builder
	b.WriteString("\n| seen | `push` | `check` | `docker-credential-gitea login` |\n|---|---|---|---|\n")
	for _, seen := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(&b, "| %s |", seen)
		for _, c := range commands {
			fmt.Fprintf(&b, " %s |", s.cell(t, seen, c))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	doctest.Section(t, "../docs/reliability.md", "seconds to a message", b.String(), true)
}

func (s *stopwatch) cell(t *testing.T, seen string, c command) string {
	t.Helper()
	if why := unmet(seen, c); why != "" {
		return why
	}
	told, found := s.told[seen][c]
	switch {
	case slices.Contains(untimed, seen):
		return "shown, not timed"
	case !found:
		t.Errorf("%s: %s was not timed", seen, c)
	case slices.Contains(tidying, seen) && told.after > tellWithin:
		return fmt.Sprintf("%.1f, of which up to 5 to leave no upload session", told.after.Seconds())
	case told.after > tellWithin && !told.announced:
		t.Errorf("%s: %s said nothing for %v", seen, c, told.after)
	case told.announced:
		return fmt.Sprintf("%.1f, announced", told.after.Seconds())
	}
	return fmt.Sprintf("%.1f", told.after.Seconds())
}
