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

// document is docs/performance.md: a text, sections, and a text. Some of the sections are
// measured anew.
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

This page compares ` + "`docker gitea`" + ` with docker, crane, skopeo, regctl and oras, in time, memory, bytes and requests.
` + "`make bench`" + ` measured it, on a machine with %d cores.

- Only ratios are a claim, and they are taken round by round. The times are medians of %d rounds, of fewer where a push
  is long, and of more where it is short and close to another's. A peer that takes five times as long as the quickest
  runs once.
- The programs take turns. Each has a new and empty Gitea over TLS, on the same machine. The clock starts when everything
  that was written before is on the disk.
- ` + "`docker-gitea push`" + ` is the plugin by itself. In a comparison with ` + "`docker push`" + `, docker starts the plugin too. A push
  with ` + "`--via export`" + ` or ` + "`--via daemon`" + ` begins with the state that a push without ` + "`--via`" + ` left.
- Processor and memory are the program's, without the daemon's. A separate run counts bytes and requests.
- The images are parts of the Go toolchain's tree (%s/%s): five layers of 235 MB together; sixty of its packages,
  one in each layer; and 1.5 GB in one layer. The ten images of a project are each built on the first of these.
- The other registry is distribution 2.8 over TLS, on the same machine, whatever link leads to Gitea. It has the first
  image, and images that do not compress: 200 tags, each with a layer of 64 KiB above the same three layers of 1 MiB,
  403 blobs together; six layers of 75 MB; and two images of two layers.
- PostgreSQL and S3 are PostgreSQL 15 and the Versity gateway 1.8, on the same machine. Each image that is pushed at the
  same time as others has a program of its own, which starts again if it fails.
- A row with a round trip goes through a program that delays everything by that time, and a new connection by it once
  more. If the row has a rate, all connections share it, in each direction.

## Where the defaults come from

The rows "the level of zstd", "blobs side by side" and "chunks" compare the defaults with other values on each link.

- **gzip.** Every client and every runtime reads it. Its default level makes layers as small as those of other programs.
- **zstd at level 3.** Level 1 sends 6 %% more, level 7 sends 3 %% less for twice the processor's time. On 100 Mbit/s
  levels 3 and 7 take the same time. On 1 Gbit/s level 7 takes 1.7 times as long, because two processors make 40 MB of
  such layers a second. One default has to do for all links, because the level decides the digest of a layer.
- **Four blobs side by side.** One at a time takes 1.5 to 1.6 times as long on every link. With eight, 60 small layers
  take 0.03 to 0.07 less of the time on 20 and 100 Mbit/s, and 0.10 more on 1 Gbit/s: Gitea's SQLite has one writer.
- **No chunks.** A chunk of 5 MB takes at most 0.04 more of the time, and a request more. Gitea keeps nothing of a chunk
  whose connection is lost, so chunks help only where a proxy has a limit. Then the push takes the largest that passes.
- **The token first.** A push that has something to send asks for a token at once, without a 401 before. Meanwhile it
  makes the connections of the blobs, which spares three round trips. A push that expects that nothing has changed sends
  the credential itself, with its only request.
- **No HEAD before POST.** Gitea answers the request that begins an upload with 201 if it has the blob, or another
  repository of yours has it (the mount). So the question costs no round trip. A daemon that pushes by itself does ask
  before it sends: these questions are passed on, side by side, while the registry is asked for the image.
- **"Expect: 100-continue".** It takes a round trip, and spares a body that is refused. A request that carries more than
  64 KiB has it, unless a POST for the same blob was answered right before. On a link that other blobs fill meanwhile it
  costs nothing.
- **The largest layer first.** So it does not end alone. Large and small ones by turns would spare a little, as the round
  trips for small ones pass meanwhile: on 20 and 100 Mbit/s 60 layers took 0.98 of the time.

## Pushes
`

const end = endMark + `

- **Gitea.** A first push of compressed layers takes about as long as Gitea needs to hash and store them. Three things
  made no difference: HTTP/2, leaving out "Expect: 100-continue", and larger writes that join the records of TLS (one
  system call for each 16 KiB).
- **Gitea's memory.** Gitea keeps a blob that comes in one request in memory. With all layers sent that way, the OCI
  layout took 1.3 times as long as with crane, in 9 requests. On a machine where a new page of memory takes 16 µs it
  took 3 times as long. So a blob above 4 MiB goes by POST and PUT.
- **Compression.** It takes most of the processors' time in a push of raw layers. Gitea takes much of the rest. The
  remainder goes to hashing the layers before and after compression, and to copying. If the encoder knew the best level
  for each block of 256 KiB beforehand, it would save 9 % of its time at the size of skopeo's layers. Level 3 is quick
  enough, but makes the layers 6 % larger.
- **zstd.** Longer matches are not worth their time. At the quickest level, with matches as far as 8 MiB back and in one
  stream, the layers are 1.3 % smaller and take the processor 1.7 times as long. The best level, 19, makes 57.8 MB of the
  five layers, for eight times the processor's time of level 3. On 20 Mbit/s a link needs 0.80 of skopeo's time for that,
  and on 100 Mbit/s 0.77.
- **A push by the daemon.** Every byte passes one more process.
- **The classic store.** It writes the whole image to its disk before it exports the first byte, whatever changed. With
  "--via daemon" the first push sends at once, but the daemon takes longer to compress: 0.83 of the time on 100 Mbit/s,
  1.6 of it on a quick link.
- **Passwords.** Gitea hashes the password with each request for a token, which takes about 25 ms.
- **Round trips.** A push that has nothing to do makes one request. If Gitea speaks TLS by itself, it speaks version
  1.2. The request then takes four round trips, one of them for the connection and two for TLS.
- **The containerd store.** It takes 20 ms to say which image a name stands for, and it flushes its database to name an
  image.
- **Docker.** It starts the plugin twice, the first time to ask for its metadata. With docker's own start that takes 25
  ms, and 100 ms on a machine where a new page of memory takes 16 µs.
- **Links that lose connections.** Gitea keeps nothing of a blob whose connection was lost in the middle. The push tries
  such blobs again one after the other, so that each arrives before the next loss. A layer that takes longer than the
  time between two losses never arrives. A proxy in front of Gitea that buffers requests helps.
- **SQLite.** Gitea's default database has one writer at a time. The others look again after up to 0.1 s. Four small
  layers side by side are no quicker than one by one, and may take 0.08 s longer.
`
