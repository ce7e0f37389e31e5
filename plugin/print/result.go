package print

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// ReportOptions say in which forms a push is reported, and where.
type ReportOptions struct {
	Format       Format
	metadataFile string
	digestFile   string
}

// Register declares the options.
func (r *ReportOptions) Register(flags *pflag.FlagSet) {
	flags.Var(&r.Format, "format", formatUsage)
	flags.StringVar(&r.metadataFile, "metadata-file", "", "Write the report to this file, as JSON")
	flags.StringVar(&r.digestFile, "digest-file", "", "Write the digest of what was pushed to this file")
}

// Prepare makes the files ready.
func (r *ReportOptions) Prepare() error {
	return errors.Join(outputFile(r.metadataFile).Prepare(), outputFile(r.digestFile).Prepare())
}

// Write puts the reports where the options say. asList makes a list of them
// even if there is only one.
func (r *ReportOptions) Write(stdout io.Writer, reports []v1alpha1.Push, asList bool) error {
	var document any = v1alpha1.PushList{TypeMeta: typeMeta(v1alpha1.KindPushList), Items: reports}
	if !asList {
		document = reports[0]
	}
	return errors.Join(r.print(stdout, document, reports), r.writeMetadata(document), r.writeDigests(reports))
}

// print applies a template to each report.
func (r *ReportOptions) print(stdout io.Writer, document any, reports []v1alpha1.Push) error {
	switch {
	case r.Format.IsText():
		return nil
	case r.Format.template == nil:
		return r.Format.Write(stdout, document)
	}
	for _, report := range reports {
		if err := r.Format.Write(stdout, report); err != nil {
			return err
		}
	}
	return nil
}

func (r *ReportOptions) writeMetadata(document any) error {
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
	return outputFile(r.metadataFile).Write(out.Bytes())
}

// writeDigests writes one digest a line, and after the last none: most often
// there is one. What was not pushed has none.
func (r *ReportOptions) writeDigests(reports []v1alpha1.Push) error {
	var digests []string
	for _, report := range reports {
		if !report.Spec.DryRun && report.Status.Digest != "" {
			digests = append(digests, report.Status.Digest)
		}
	}
	if r.digestFile == "" || len(digests) == 0 {
		return nil
	}
	return outputFile(r.digestFile).Write([]byte(strings.Join(digests, "\n")))
}

// Style is how a result is written in words.
type Style struct {
	// Quiet is for the pinned references alone.
	Quiet bool
	// Full names the repository in each line, where there are several.
	Full bool
}

// WriteResult writes what a push amounts to: one line per tag, in docker
// push's words.
func WriteResult(stdout io.Writer, r registry.Result, style Style) error {
	for _, tag := range r.Tags {
		if _, err := fmt.Fprintln(stdout, resultLine(r, tag, style)); err != nil {
			return err
		}
	}
	return nil
}

func resultLine(r registry.Result, tag string, style Style) string {
	named := tag
	if style.Full {
		named = r.Reference + ":" + tag
	}
	switch {
	case r.DryRun && r.Digest == "":
		return fmt.Sprintf("%s:%s", r.Reference, tag)
	case style.Quiet:
		return fmt.Sprintf("%s:%s@%s", r.Reference, tag, r.Digest)
	}
	return fmt.Sprintf("%s: digest: %s size: %d", named, r.Digest, r.Size)
}

// Unverified says what a push that changed nothing did not find out.
const Unverified = "nothing has changed: the tags were at this image already, and what they lead to was not looked at (--verify looks)"

// DryRunSummary says what a dry run would have sent.
func DryRunSummary(r registry.Result) string {
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
