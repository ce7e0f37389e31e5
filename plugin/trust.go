package plugin

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/registry"
)

// trustSettings are the options of the trust command.
type trustSettings struct {
	fingerprint string
	caFile      string
	list        bool
}

func (a *app) newTrustCommand() *cobra.Command {
	var s trustSettings
	command := &cobra.Command{
		Use:   "trust [OPTIONS] HOST",
		Short: "Pin the certificate of a registry",
		Long: `Pin the certificate of a registry, for that host and port alone.

It shows the server's certificate and the authority that signed it, and pins
the authority, or the certificate itself where it has none, once you say that
the SHA-256 is the right one. From then on no other is accepted there, by
docker-gitea and docker-credential-gitea; docker itself is not concerned.`,
		Example: `  docker gitea trust git.example.com
  docker gitea trust --fingerprint 74abd95d…e12fb3 git.example.com

  # The authority of idpbuilder
  kubectl get secret -n default idpbuilder-cert -o yaml |
    docker gitea trust --ca-file - gitea.cnoe.localtest.me:8443`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if !s.list && len(args) != 1 || s.list && len(args) != 0 {
				return usageError{errors.New("one HOST is needed, or --list")}
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			if s.list {
				return a.listPins()
			}
			return a.trust(command.Context(), s, args[0])
		},
	}
	command.Flags().StringVar(&s.fingerprint, "fingerprint", "", "Pin without a question what has this SHA-256")
	command.Flags().StringVar(&s.caFile, "ca-file", "", `Pin what is in this PEM file or Kubernetes secret ("-": standard input)`)
	command.Flags().BoolVar(&s.list, "list", false, "List what is pinned")
	command.MarkFlagsMutuallyExclusive("fingerprint", "ca-file", "list")
	return command
}

func (a *app) newUntrustCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "untrust HOST",
		Short:                 "Forget the pinned certificate of a registry",
		Example:               "  docker gitea untrust git.example.com",
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("one HOST is needed")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			host, err := registry.NormalizeHost(args[0])
			if err != nil {
				return usageError{err}
			}
			if err := registry.RemovePin(host); errors.Is(err, fs.ErrNotExist) {
				return withHint(fmt.Errorf("nothing is pinned for %s", host), "docker gitea trust --list")
			} else if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.Stdout, "%s: no longer pinned\n", host)
			return err
		},
	}
}

// trust pins what the options name, or what the server shows.
func (a *app) trust(ctx context.Context, s trustSettings, address string) error {
	host, err := registry.NormalizeHost(address)
	if err != nil {
		return usageError{err}
	}
	wanted, err := parseFingerprint(s.fingerprint)
	if err != nil {
		return err
	}
	var certificates []*x509.Certificate
	if s.caFile != "" {
		certificates, err = a.givenCertificates(ctx, s.caFile)
	} else {
		certificates, err = a.shownCertificate(ctx, host, wanted)
	}
	if err != nil {
		return err
	}
	if err := registry.SavePin(host, certificates); err != nil {
		return err
	}
	for _, c := range certificates {
		if _, err := fmt.Fprintf(a.Stdout, "%s: pinned SHA-256 %s\n", host, registry.Fingerprint(c)); err != nil {
			return err
		}
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
		return "", usageError{fmt.Errorf("--fingerprint %q is no SHA-256: 64 hexadecimal digits", s)}
	}
	return plain, nil
}

// shownCertificate is the authority of the certificate that the server shows,
// if the user accepts it or has named it before.
func (a *app) shownCertificate(ctx context.Context, host, wanted string) ([]*x509.Certificate, error) {
	client, err := registry.New(registry.RegistryConfig{URL: "https://" + host, CertDirs: []string{}},
		&registry.Options{Logger: a.logger(), UserAgent: programName + "/" + a.Version})
	if err != nil {
		return nil, err
	}
	chain, err := client.Certificates(ctx)
	if err != nil {
		return nil, err
	}
	authority := registry.Authority(chain)
	for _, c := range []*x509.Certificate{authority, chain[0]} {
		if registry.Fingerprint(c) == wanted {
			return []*x509.Certificate{c}, nil
		}
	}
	if wanted != "" {
		return nil, fmt.Errorf("%s shows the certificate SHA-256 %s, signed by %s, neither of which is the --fingerprint",
			host, registry.Fingerprint(chain[0]), registry.Fingerprint(authority))
	}
	describeCertificate(a.Stderr, host+" shows the certificate", chain[0])
	if authority != chain[0] {
		describeCertificate(a.Stderr, "signed by the authority", authority)
	}
	if err := a.confirm(ctx, fmt.Sprintf("Pin SHA-256 %s…%s for %s? Compare it with what the server's owner says. [y/N] ",
		registry.Fingerprint(authority)[:8], registry.Fingerprint(authority)[56:], host),
		"if this is the right one: --fingerprint "+registry.Fingerprint(authority)); errors.Is(err, errNo) {
		return nil, errors.New("nothing was pinned")
	} else if err != nil {
		return nil, err
	}
	return []*x509.Certificate{authority}, nil
}

func describeCertificate(w io.Writer, title string, c *x509.Certificate) {
	_, _ = fmt.Fprintln(w, title)
	names := strings.Join(c.DNSNames, ", ")
	for _, ip := range c.IPAddresses {
		names = strings.TrimPrefix(names+", "+ip.String(), ", ")
	}
	for _, line := range [][2]string{
		{"subject", c.Subject.String()},
		{"issuer", c.Issuer.String()},
		{"names", names},
		{"valid", c.NotBefore.UTC().Format(time.DateOnly) + " to " + c.NotAfter.UTC().Format(time.DateOnly)},
		{"SHA-256", registry.Fingerprint(c)},
	} {
		if line[1] != "" {
			_, _ = fmt.Fprintf(w, "  %-8s %s\n", line[0], registry.Printable(line[1]))
		}
	}
}

// errNo: the user did not say yes.
var errNo = errors.New("the answer was no")

// confirm asks a question on the terminal. Anything but yes is [errNo];
// without a terminal, hint says how to do without.
func (a *app) confirm(ctx context.Context, question, hint string) error {
	if !isTerminal(a.Stdin) {
		return withHint(errors.New("there is no terminal to ask on"), hint)
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
	certificates, pemErr := registry.ParseCertificates(content)
	if pemErr == nil {
		return certificates, nil
	}
	var secret struct {
		Kind string            `json:"kind"`
		Data map[string][]byte `json:"data"`
	}
	encoded, err := yamlToJSON(content)
	if err == nil {
		err = json.Unmarshal(encoded, &secret)
	}
	if err != nil || secret.Kind != "Secret" {
		return nil, fmt.Errorf("neither a Kubernetes secret, nor PEM: %w", pemErr)
	}
	if ca, found := secret.Data["ca.crt"]; found {
		return registry.ParseCertificates(ca)
	}
	chain, err := registry.ParseCertificates(secret.Data["tls.crt"])
	if err != nil {
		return nil, fmt.Errorf("ca.crt and tls.crt of the secret: %w", err)
	}
	return []*x509.Certificate{registry.Authority(chain)}, nil
}

func (a *app) listPins() error {
	pins, err := registry.Pins()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "HOST\tUNTIL\tSUBJECT\tSHA-256")
	for _, pin := range pins {
		for _, c := range pin.Certificates {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", pin.Host, c.NotAfter.UTC().Format(time.DateOnly), registry.Printable(c.Subject.String()), registry.Fingerprint(c))
		}
	}
	return w.Flush()
}
