package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// reportOptions say in which forms a push is reported, and where.
type reportOptions struct {
	format       outputFormat
	metadataFile string
	digestFile   string
}

func (r *reportOptions) register(flags *pflag.FlagSet) {
	flags.Var(&r.format, "format", formatUsage)
	flags.StringVar(&r.metadataFile, "metadata-file", "", "Write the report to this file, as JSON")
	flags.StringVar(&r.digestFile, "digest-file", "", "Write the digest of what was pushed to this file")
}

// prepare makes the files ready.
func (r *reportOptions) prepare() error {
	return errors.Join(outputFile(r.metadataFile).prepare(), outputFile(r.digestFile).prepare())
}

// write puts the reports where the options say. asList makes a list of them
// even if there is only one.
func (r *reportOptions) write(stdout io.Writer, reports []v1alpha1.Push, asList bool) error {
	var document any = v1alpha1.PushList{TypeMeta: typeMeta(v1alpha1.KindPushList), Items: reports}
	if !asList {
		document = reports[0]
	}
	return errors.Join(r.print(stdout, document, reports), r.writeMetadata(document), r.writeDigests(reports))
}

// print applies a template to each report.
func (r *reportOptions) print(stdout io.Writer, document any, reports []v1alpha1.Push) error {
	switch {
	case r.format.isText():
		return nil
	case r.format.template == nil:
		return r.format.write(stdout, document)
	}
	for _, report := range reports {
		if err := r.format.write(stdout, report); err != nil {
			return err
		}
	}
	return nil
}

func (r *reportOptions) writeMetadata(document any) error {
	if r.metadataFile == "" {
		return nil
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return err
	}
	return outputFile(r.metadataFile).write(out.Bytes())
}

// writeDigests writes one digest a line, and after the last none: most often
// there is one. What was not pushed has none.
func (r *reportOptions) writeDigests(reports []v1alpha1.Push) error {
	var digests []string
	for _, report := range reports {
		if !report.Spec.DryRun && report.Status.Digest != "" {
			digests = append(digests, report.Status.Digest)
		}
	}
	if r.digestFile == "" || len(digests) == 0 {
		return nil
	}
	return outputFile(r.digestFile).write([]byte(strings.Join(digests, "\n")))
}

// printResult writes what a push amounts to: one line per tag, in docker
// push's words, or with quiet the pinned reference of each tag.
func printResult(stdout io.Writer, r registry.Result, quiet bool) error {
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

// unverified says what a push that changed nothing did not find out.
const unverified = "nothing has changed: the tags were at this image already, and what they lead to was not looked at (--verify looks)"

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
	file, ok := terminalFile(stream)
	return ok && term.IsTerminal(int(file.Fd()))
}
