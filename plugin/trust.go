package plugin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// trustSettings are the options of the trust command.
type trustSettings struct {
	fingerprint string
	list        bool
	print       string
	format      print.Format
}

func (a *app) newTrustCommand() *cobra.Command {
	var s trustSettings
	command := &cobra.Command{
		Use:   "trust [OPTIONS] HOST [FILE]",
		Short: "Pin the certificate of a registry",
		Long: `Pin the certificate of a registry, for that host and port alone.

It shows the server's certificate and the authority that signed it. Once you say
that the SHA-256 is the right one, it pins the authority, or the certificate
itself if it has none. With a FILE, it makes no connection and pins the content:
PEM, or a Kubernetes secret in YAML or JSON; "-" is standard input. From then on
docker-gitea and docker-credential-gitea accept no other certificate there.
Docker itself does not read the pin. A template is filled in for each
certificate of the list.

--print writes a shell script that has another program trust what is pinned, on
the machine where the script runs: docker (the daemon), containerd, k3s, podman
(with buildah, skopeo and CRI-O) or buildkit.`,
		Example: `  docker gitea trust git.example.com
  docker gitea trust --fingerprint 74abd95d…e12fb3 git.example.com

  # The authority of idpbuilder
  kubectl get secret -n default idpbuilder-cert -o yaml |
    docker gitea trust gitea.cnoe.localtest.me:8443 -

  # Have the docker daemon of this machine pull from there
  docker gitea trust --print docker git.example.com | sudo sh

  # And a node of a cluster
  docker gitea trust --print containerd git.example.com | ssh node sudo sh`,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeHosts,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case s.print != "" && (s.list || s.fingerprint != "" || len(args) != 1):
				return fault.Usage(errors.New("--print goes with one HOST and nothing else"))
			case s.list && (len(args) != 0 || s.fingerprint != ""):
				return fault.Usage(errors.New("--list stands alone"))
			case !s.format.IsText() && !s.list:
				return fault.Usage(errors.New("--format goes with --list"))
			case !s.list && len(args) != 1 && len(args) != 2:
				return fault.Usage(errors.New("one HOST is needed, or --list"))
			case len(args) == 2 && s.fingerprint != "":
				return fault.Usage(errors.New("--fingerprint and a FILE exclude each other"))
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			if s.list {
				return a.listPins(&s.format)
			}
			if s.print != "" {
				return a.printPin(s.print, args[0])
			}
			return a.trust(command.Context(), s.fingerprint, args)
		},
	}
	command.Flags().StringVar(&s.fingerprint, "fingerprint", "", "Pin without a question what has this SHA-256")
	command.Flags().BoolVar(&s.list, "list", false, "List what is pinned")
	command.Flags().StringVar(&s.print, "print", "", `Print what has another program trust the same: `+strings.Join(pullerNames(), ", "))
	s.format.Register(command.Flags())
	return command
}

func (a *app) newUntrustCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "untrust HOST",
		Short:                 "Forget the pinned certificate of a registry",
		Example:               "  docker gitea untrust git.example.com",
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeHosts,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.Usage(errors.New("one HOST is needed"))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			host, err := registry.NormalizeHost(args[0])
			if err != nil {
				return fault.Usage(err)
			}
			if err := certs.RemovePin(host); errors.Is(err, fs.ErrNotExist) {
				return fault.WithHint(fmt.Errorf("nothing is pinned for %s", host), "docker gitea trust --list")
			} else if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Stdout, "%s: no longer pinned\n", host)
			return err
		},
	}
}

// trust pins for the host in args what is in the file there, or what the
// server shows.
func (a *app) trust(ctx context.Context, fingerprint string, args []string) error {
	host, err := registry.NormalizeHost(args[0])
	if err != nil {
		return fault.Usage(err)
	}
	wanted, err := parseFingerprint(fingerprint)
	if err != nil {
		return err
	}
	var certificates []*x509.Certificate
	if len(args) == 2 {
		certificates, err = a.givenCertificates(ctx, args[1])
	} else {
		certificates, err = a.shownCertificate(ctx, host, wanted)
	}
	if err != nil {
		return err
	}
	if err := certs.SavePin(host, certificates); err != nil {
		return err
	}
	for _, c := range certificates {
		if _, err := fmt.Fprintf(a.Stdout, "%s: pinned SHA-256 %s\n", host, registry.Fingerprint(c)); err != nil {
			return err
		}
	}
	if c := certificates[0]; len(args) == 1 && !bytes.Equal(c.RawIssuer, c.RawSubject) {
		width := print.TerminalWidth(a.Stderr)
		_, _ = fmt.Fprintln(a.Stderr, print.Fold(fmt.Sprintf("warning: what is pinned ends on %s, and %s, which signed it, is not shown by the server",
			c.NotAfter.UTC().Format(time.DateOnly), brief(c.Issuer.String())), width))
		_, _ = fmt.Fprintln(a.Stderr, print.Fold(fmt.Sprintf("hint: pin the latter from a file: docker gitea trust %s FILE", host), width))
	}
	return nil
}

// parseFingerprint reads a SHA-256 as other programs write it: with colons,
// in capitals, with a name in front.
func parseFingerprint(s string) (string, error) {
	plain := strings.ToLower(strings.ReplaceAll(s, ":", ""))
	plain = strings.TrimPrefix(strings.TrimPrefix(plain, "sha-256"), "sha256")
	plain = strings.TrimLeft(plain, "= ")
	if decoded, err := hex.DecodeString(plain); s != "" && (err != nil || len(decoded) != 32) {
		return "", fault.Usage(fmt.Errorf("--fingerprint %q is not a SHA-256: 64 hexadecimal digits are needed", s))
	}
	return plain, nil
}

// shownCertificate is the authority of the certificate that the server shows,
// if the user accepts it or has named it before.
func (a *app) shownCertificate(ctx context.Context, host, wanted string) ([]*x509.Certificate, error) {
	client, err := remote.New(registry.RegistryConfig{URL: "https://" + host, CertDirs: []string{}},
		&remote.Options{Logger: a.logger(), UserAgent: programName + "/" + a.Version})
	if err != nil {
		return nil, err
	}
	chain, err := client.Certificates(ctx)
	if err != nil {
		return nil, err
	}
	authority := certs.Authority(chain)
	for _, c := range []*x509.Certificate{authority, chain[0]} {
		if registry.Fingerprint(c) == wanted {
			return []*x509.Certificate{c}, nil
		}
	}
	if wanted != "" {
		return nil, fmt.Errorf("%s shows the certificate SHA-256 %s, signed by %s, and neither is the --fingerprint",
			host, registry.Fingerprint(chain[0]), registry.Fingerprint(authority))
	}
	describeCertificate(a.Stderr, host+" shows the certificate", chain[0])
	for i := 1; i <= slices.Index(chain, authority); i++ {
		describeCertificate(a.Stderr, "signed by the authority", chain[i])
	}
	width := print.TerminalWidth(a.Stderr)
	_, _ = fmt.Fprintln(a.Stderr, print.Fold("Compare the last SHA-256 with what the server's owner says.", width))
	sum := registry.Fingerprint(authority)
	if err := a.confirm(ctx, print.Fold(fmt.Sprintf("Pin %s…%s for %s? [y/N]", sum[:8], sum[56:], host), width)+" ",
		"if this is the right one: --fingerprint "+sum); errors.Is(err, errNo) {
		return nil, errors.New("nothing was pinned")
	} else if err != nil {
		return nil, err
	}
	return []*x509.Certificate{authority}, nil
}

// describeCertificate writes a certificate in two columns.
func describeCertificate(w io.Writer, title string, c *x509.Certificate) {
	const indent = "           "
	_, _ = fmt.Fprintln(w, title)
	for _, line := range [][2]string{
		{"subject", c.Subject.String()},
		{"issuer", c.Issuer.String()},
		{"names", strings.Join(certificateNames(c), ", ")},
		{"valid", c.NotBefore.UTC().Format(time.DateOnly) + " to " + c.NotAfter.UTC().Format(time.DateOnly)},
		{"SHA-256", registry.Fingerprint(c)},
	} {
		if line[1] != "" {
			text := print.Fold(brief(line[1]), max(print.TerminalWidth(w)-len(indent), 8))
			_, _ = fmt.Fprintf(w, "  %-8s %s\n", line[0], strings.ReplaceAll(text, "\n", "\n"+indent))
		}
	}
}

// maxCertificateText is how much is shown of a certificate's text, in runes:
// ten thousand names tell no more than the first.
const maxCertificateText = 300

// brief is text of a certificate that is fit for a terminal.
func brief(text string) string {
	shown := []rune(registry.Printable(text))
	if len(shown) > maxCertificateText {
		return string(shown[:maxCertificateText]) + "…"
	}
	return string(shown)
}

func certificateNames(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// errNo: the user did not say yes.
var errNo = errors.New("you answered no")

// confirm asks a question on the terminal. Anything but yes is [errNo];
// without a terminal, hint says how to do without.
func (a *app) confirm(ctx context.Context, question, hint string) error {
	if !print.IsTerminal(a.Stdin) {
		return fault.WithHint(errors.New("there is no terminal to ask on"), hint)
	}
	_, _ = fmt.Fprint(a.Stderr, question)
	stdin := interruptible(ctx, a.Stdin)
	answer, err := bufio.NewReader(stdin).ReadString('\n')
	if closeErr := stdin.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_, _ = fmt.Fprintln(a.Stderr)
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errNo
}

// maxCertificates is more than any file of authorities, in bytes.
const maxCertificates = 4 << 20

// givenCertificates reads PEM or a Kubernetes secret from a file or standard
// input.
func (a *app) givenCertificates(ctx context.Context, file string) ([]*x509.Certificate, error) {
	var source io.ReadCloser
	if file == "-" {
		file, source = "standard input", interruptible(ctx, a.Stdin)
	} else {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		source = opened
	}
	content, err := io.ReadAll(io.LimitReader(source, maxCertificates))
	if err = errors.Join(err, source.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	certificates, err := parseCertificates(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return certificates, nil
}

// parseCertificates reads PEM, or the ca.crt or else the authority of the
// tls.crt of a Kubernetes secret, in YAML or JSON.
func parseCertificates(content []byte) ([]*x509.Certificate, error) {
	certificates, pemErr := certs.Parse(content)
	if pemErr == nil {
		return certificates, nil
	}
	var secret struct {
		Kind  string            `json:"kind"`
		Data  map[string][]byte `json:"data"`
		Items []any             `json:"items"`
	}
	encoded, err := options.YAMLToJSON(content)
	if err == nil {
		err = json.Unmarshal(encoded, &secret)
	}
	if err == nil && secret.Kind == "List" {
		return nil, fmt.Errorf("a list of %d Kubernetes objects: give the one secret", len(secret.Items))
	}
	if err != nil || secret.Kind != "Secret" {
		return nil, fmt.Errorf("neither a Kubernetes secret, nor PEM: %w", pemErr)
	}
	if ca, found := secret.Data["ca.crt"]; found {
		return certs.Parse(ca)
	}
	chain, err := certs.Parse(secret.Data["tls.crt"])
	if err != nil {
		return nil, fmt.Errorf("ca.crt and tls.crt of the secret: %w", err)
	}
	return []*x509.Certificate{certs.Authority(chain)}, nil
}

// pinnedCertificate is a certificate in the list of pins, as JSON has it.
type pinnedCertificate struct {
	Host      string    `json:"host"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names,omitempty"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	SHA256    string    `json:"sha256"`
}

func (a *app) listPins(format *print.Format) error {
	pins, err := certs.Pins()
	if err != nil {
		return err
	}
	list := []pinnedCertificate{}
	for _, pin := range pins {
		for _, c := range pin.Certificates {
			list = append(list, pinnedCertificate{
				pin.Host, c.Subject.String(), c.Issuer.String(), certificateNames(c),
				c.NotBefore.UTC(), c.NotAfter.UTC(), registry.Fingerprint(c),
			})
		}
	}
	switch {
	case format.IsTemplate():
		return writeEach(a, format, list)
	case !format.IsText():
		return format.Write(a.Stdout, list)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "HOST\tUNTIL\tSUBJECT\tSHA-256")
	for _, c := range list {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Host, c.NotAfter.Format(time.DateOnly), brief(c.Subject), c.SHA256)
	}
	return w.Flush()
}
