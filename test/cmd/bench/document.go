//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"strings"
)

// document is docs/performance.md: a text, sections of which some are measured
// anew, and a text.
type document struct {
	intro, end string
	sections   map[string]string // by name
}

const endMark = "## What limits it"

// parseDocument takes a document apart. One that is empty or of another form
// has no sections.
func parseDocument(text string) document {
	d := document{sections: map[string]string{}}
	body, _, found := strings.Cut(text, endMark)
	if !found {
		return d
	}
	_, body, _ = strings.Cut(body, "## Pushes\n")
	parts := strings.Split("\n"+body, "\n### ")
	for _, part := range parts[1:] {
		name, _, _ := strings.Cut(part, "\n")
		d.sections[name] = "### " + strings.TrimRight(part, "\n") + "\n"
	}
	return d
}

// write writes the sections that there are, in the order of names.
func (d document) write(w io.Writer, names []string) error {
	parts := []string{strings.TrimRight(d.intro, "\n") + "\n"}
	for _, name := range names {
		if section, ok := d.sections[name]; ok {
			parts = append(parts, section)
		}
	}
	_, err := io.WriteString(w, strings.Join(append(parts, d.end), "\n"))
	return err
}

// save puts sections into the document at path, beside those that it has.
func save(path string, sections map[string]string, names []string, rounds int) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d := parseDocument(string(text))
	maps.Copy(d.sections, sections)
	d.intro = fmt.Sprintf(intro, runtime.NumCPU(), rounds, runtime.GOOS, runtime.GOARCH)
	d.end = end
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(d.write(file, names), file.Close())
}

const intro = `# Performance

What ` + "`make bench`" + ` printed, on a machine with %d cores: medians of %d rounds, of
fewer where a push is long and of more where it is short and close to others. The
programs take turns, each with a new and empty Gitea over TLS on the same
machine. Only ratios are a claim; they are taken round by round. A peer that
takes five times as long as the quickest runs once. ` + "`docker-gitea push`" + ` is the
plugin by itself; where ` + "`docker push`" + ` is compared, docker starts the plugin, too,
and both ways begin with what a push that chose by itself left. What was written
before is on the disk when the clock starts. Processor and memory are the
program's alone, without the daemon's. What was sent, and in how many requests,
is counted in a run of its own. The images are parts of the Go toolchain's tree
(%s/%s): five layers of together 235 MB; sixty of its packages, one a layer; and
1.5 GB of it in one layer. A row with a link is pushed through a program that has that
rate in each direction, for all connections together, and that round trip; making a
connection takes one.

What decides the default of ` + "`--compression`" + `: gzip, since every client and every
runtime reads it, at the level that makes layers as small as others do. With
zstd it is the quickest level, which is half the work for the same size;
` + "`--compression-level 3`" + ` sends less.

## Pushes
`

const end = endMark + `

- A first push of compressed layers takes about as long as Gitea needs to hash
  and store them. HTTP/2 and leaving out "Expect: 100-continue" were tried, and
  made no difference.
- Gitea gathers a blob that comes in one request in memory. With all layers sent
  that way the OCI layout took 1.3 times as long as with crane, in 9 requests;
  hence POST and PUT above 4 MiB. On a machine where a new page of memory takes
  16 µs it was 3 times.
- Compressing takes most of the processors' time in a push of raw layers, and
  Gitea much of the rest: what is not spent there is hashing both sides of the
  layers, and copying. The best level for each block of 256 KiB, known
  beforehand, would save 9 % of the encoder's time at the size of skopeo's
  layers; level 3, which is quick enough, makes them 6 % larger.
- zstd finds no more of these files at its quickest level: with matches as far as
  8 MiB back, in one stream, the layers are 1.3 % smaller and take the processor
  1.7 times as long.
- In a push by the daemon, every byte passes one more process.
- The classic store writes a whole image to its disk before it exports the first
  byte, whatever changed.
- Gitea hashes the password with each request for a token: about 25 ms.
- A push that has nothing to do asks one question. To a Gitea that speaks TLS by
  itself, which it does in version 1.2, that takes four round trips, one for the
  connection and two for TLS among them.
- The containerd store takes 20 ms to tell which image it is that a name stands
  for, and flushes its database to name one.
- Docker starts the plugin twice, once to ask what it is. With docker's own start
  that is 25 ms, and 100 ms on a machine where a new page of memory takes 16 µs.
- Gitea's default database, SQLite, has one writer at a time, and others look again
  after up to 0.1 s: four small layers side by side are no quicker than one by one,
  and may take 0.08 s longer.
`
