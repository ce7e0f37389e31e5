package credhelper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// loginStatus is one line of status. It holds no secret.
type loginStatus struct {
	Host     string    `json:"host"`
	Username string    `json:"username"`
	Kind     loginKind `json:"kind"`
	// Storage is where the secrets are: "environment" for a variable.
	Storage string `json:"storage"`
	// Expiry is the access token's, which is refreshed when it is needed.
	Expiry time.Time `json:"expiry,omitzero"`
}

func (h *helper) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which hosts you are logged in to",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logins, err := h.status()
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(logins)
			}
			return printStatus(cmd.OutOrStdout(), logins)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// status lists the logins by host, from the index and the environment alone.
func (h *helper) status() ([]loginStatus, error) {
	logins, err := h.loadIndex()
	if err != nil {
		return nil, err
	}
	list := []loginStatus{}
	for _, host := range slices.Sorted(maps.Keys(logins)) {
		e := logins[host]
		line := loginStatus{Host: host, Username: e.Username, Kind: e.Kind, Storage: e.Storage}
		if e.Session != nil {
			line.Expiry = e.Session.Expiry
		}
		list = append(list, line)
	}
	for _, bound := range boundCandidates(h.Getenv) {
		list = slices.DeleteFunc(list, func(l loginStatus) bool { return l.Host == bound.host })
		list = append(list, loginStatus{Host: bound.host, Username: bound.username, Kind: kindToken, Storage: "environment"})
	}
	return list, nil
}

func printStatus(out io.Writer, logins []loginStatus) error {
	if len(logins) == 0 {
		_, err := fmt.Fprintln(out, "no logins")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "HOST\tUSER\tLOGIN\tSTORED IN\tEXPIRES")
	for _, l := range logins {
		expires := "-"
		if !l.Expiry.IsZero() {
			expires = l.Expiry.Local().Format(time.DateTime) + ", then refreshed"
		}
		fmt.Fprintf(table, "%s\t%q\t%s\t%s\t%s\n", l.Host, l.Username, l.Kind, l.Storage, expires)
	}
	return table.Flush()
}

func (h *helper) logoutCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "logout HOST...",
		Short: "Forget logins",
		Example: `  docker-credential-gitea logout git.example.com
  docker-credential-gitea logout --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := h.namesToForget(args, all)
			if err != nil {
				return err
			}
			var errs []error
			for _, host := range names {
				if err := h.logout(cmd.Context(), host); err != nil {
					errs = append(errs, fmt.Errorf("log out from %s: %w", host, err))
				}
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "forget every login")
	return cmd
}

func (h *helper) namesToForget(args []string, all bool) ([]string, error) {
	if !all {
		return hosts(args)
	}
	logins, err := h.loadIndex()
	return slices.Sorted(maps.Keys(logins)), err
}
