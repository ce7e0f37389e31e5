package plugin

import (
	"fmt"
	"io"
	"os"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"

	"github.com/docker-gitea/docker-gitea/registry"
)

// printResult writes what a push amounts to: on stdout one line per tag, in
// docker push's words, or with quiet the pinned reference of each tag.
func printResult(stdout, stderr io.Writer, r registry.Result, quiet bool) error {
	if r.DryRun && !quiet {
		_, _ = fmt.Fprintln(stderr, dryRunSummary(r))
	}
	for _, tag := range r.Tags {
		if _, err := fmt.Fprintln(stdout, resultLine(r, tag, quiet)); err != nil {
			return err
		}
	}
	return nil
}

func resultLine(r registry.Result, tag string, quiet bool) string {
	switch {
	case r.DryRun && r.Digest == "":
		return fmt.Sprintf("%s:%s", r.Reference, tag)
	case quiet:
		return fmt.Sprintf("%s:%s@%s", r.Reference, tag, r.Digest)
	}
	return fmt.Sprintf("%s: digest: %s size: %d", tag, r.Digest, r.Size)
}

func dryRunSummary(r registry.Result) string {
	var blobs int
	var bytes int64
	for _, blob := range r.Blobs {
		if blob.Status == registry.StatusSkipped {
			blobs++
			bytes += blob.Size
		}
	}
	return fmt.Sprintf("dry run: %d of %d blobs (%s) would be sent, and nothing was", blobs, len(r.Blobs), humanize.Bytes(uint64(max(bytes, 0))))
}

// isTerminal reports whether stream is a file that is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
