package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiclient"
	"causeway/internal/apiform"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// VPNCommand is `causeway vpn`: what there is about VPNs besides their nouns.
func VPNCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "vpn", Short: "Configure devices for IPsec connections, and find out why one does not work",
		Long: `Writes device configurations for both ends of an IPsec connection, says how
connections fare, and diagnoses them. Connections themselves are made with
causeway ipsec-connection.`,
		Example: "  causeway vpn status\n  causeway vpn config office --device fortigate --side remote\n  causeway vpn diagnose office",
		Args:    onlyVerbs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(vpnConfigCommand(), vpnDevicesCommand(), vpnDiagnoseCommand(), vpnStatusCommand())
	return c
}

func vpnConfigCommand() *cobra.Command {
	r, m := &remote{}, &v1.GetVPNConfigRequest{}
	c := &cobra.Command{
		Use: "config CONNECTION", Short: "Write a device's configuration for one end of an IPsec connection", Args: exactly(1, "one name or ID"),
		Long: `Writes what a device needs for its end of an IPsec connection: the gateway's own
(--side local) or the far end's (--side remote, the default). Both come from the
same values, so they fit together. It holds the connection's secrets, unless
--masked is given; what to think of goes to standard error.`,
		Example: "  causeway vpn config office --device fortigate\n  causeway vpn config office --device strongswan --side local --out /etc/swanctl/conf.d\n  causeway vpn config office --device cisco-ios --masked",
	}
	f := c.Flags()
	f.StringVar(&m.Device, "device", "", "what kind of device; causeway vpn devices lists them (must be given)")
	f.StringVar(&m.Side, "side", "remote", "which end: local, the VPN gateway, or remote, the far end")
	f.StringVar(&m.Wan, "wan", "", "the device's interface towards the Internet (default: a placeholder)")
	f.StringVar(&m.Lan, "lan", "", "the device's interface towards its networks (default: a placeholder)")
	masked := f.Bool("masked", false, "write placeholders instead of secrets")
	out := f.String("out", "", "folder to write the files into (default: standard output)")
	_ = c.MarkFlagRequired("device")
	_ = c.MarkFlagDirname("out")
	output := OutputFlag(c, "text", "json")
	r.flags(c)
	r.completes(c, resource.KindIPsecConnection, 1)
	_ = c.RegisterFlagCompletionFunc("device", r.devices)
	_ = c.RegisterFlagCompletionFunc("side", cobra.FixedCompletions([]string{"local", "remote"}, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, args []string) error {
		m.Name, m.ShowSecrets = args[0], !*masked
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			answer, err := client.Call(ctx, "IPsecConnectionService", "GetVPNConfig", m)
			if err != nil {
				return err
			}
			config := answer.(*v1.VPNConfig)
			if output.Is("json") {
				return printTree(c.OutOrStdout(), configTree(config), false)
			}
			for _, w := range config.GetWarnings() {
				fmt.Fprintln(c.ErrOrStderr(), "warning: "+w)
			}
			for _, f := range apiform.DecodeFindings(config.GetFindings()) {
				if f.Severity != vpn.Normal {
					fmt.Fprintln(c.ErrOrStderr(), "warning: "+finding(f))
				}
			}
			for _, n := range config.GetNotes() {
				fmt.Fprintln(c.ErrOrStderr(), "note: "+n)
			}
			if *out != "" {
				return writeFiles(c.OutOrStdout(), *out, config.GetFiles())
			}
			return printFiles(c.OutOrStdout(), config.GetFiles())
		})
	}
	return c
}

// configTree is a configuration as -o json has it.
func configTree(m *v1.VPNConfig) any {
	type file struct {
		Name   string `json:"name"`
		Text   string `json:"text"`
		Secret bool   `json:"secret"`
	}
	t := struct {
		Device   string        `json:"device"`
		Files    []file        `json:"files"`
		Notes    []string      `json:"notes"`
		Warnings []string      `json:"warnings"`
		Findings []vpn.Finding `json:"findings"`
	}{Device: m.GetDevice().GetName(), Notes: m.GetNotes(), Warnings: m.GetWarnings(), Findings: apiform.DecodeFindings(m.GetFindings())}
	for _, f := range m.GetFiles() {
		t.Files = append(t.Files, file{f.GetName(), f.GetText(), f.GetSecret()})
	}
	return t
}

func printFiles(w io.Writer, files []*v1.VPNConfigFile) error {
	for i, f := range files {
		if len(files) > 1 {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "# ---- %s ----\n", f.GetName())
		}
		if _, err := io.WriteString(w, f.GetText()); err != nil {
			return err
		}
	}
	return nil
}

// writeFiles puts files into one folder, by the last part of their names; those
// with keys can be read by their owner only.
func writeFiles(w io.Writer, dir string, files []*v1.VPNConfigFile) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	for _, f := range files {
		mode := os.FileMode(0o644)
		if f.GetSecret() {
			mode = 0o600
		}
		name := filepath.Join(dir, filepath.Base(f.GetName()))
		if err := os.WriteFile(name, []byte(f.GetText()), mode); err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
		if err := os.Chmod(name, mode); err != nil { // of a file that was there
			return fmt.Errorf("write the configuration: %w", err)
		}
		fmt.Fprintln(w, name)
	}
	return nil
}

func vpnDevicesCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{
		Use: "devices", Short: "List the devices that configurations can be written for", Args: exactly(0, "no arguments"),
		Example: "  causeway vpn devices",
	}
	output := OutputFlag(c, "table", "json")
	r.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			answer, err := client.Call(ctx, "IPsecConnectionService", "ListVPNDevices", &v1.ListVPNDevicesRequest{})
			if err != nil {
				return err
			}
			type row struct {
				Name    string   `json:"name"`
				Title   string   `json:"title"`
				Aliases []string `json:"aliases"`
				Tested  string   `json:"tested"`
			}
			rows, t := []row{}, NewTable("NAME", "DEVICE", "ALSO", "TRIED WITH")
			for _, d := range answer.(*v1.ListVPNDevicesResponse).GetDevices() {
				rows = append(rows, row{d.GetName(), d.GetTitle(), d.GetAliases(), d.GetTested()})
				t.Row(d.GetName(), d.GetTitle(), strings.Join(d.GetAliases(), ", "), d.GetTested())
			}
			if output.Is("json") {
				return printTree(c.OutOrStdout(), rows, false)
			}
			return t.Write(c.OutOrStdout(), false)
		})
	}
	return c
}

// devices completes --device.
func (r *remote) devices(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	var names []string
	_ = r.during(ctx, func(ctx context.Context, client *apiclient.Client) error {
		answer, err := client.Call(ctx, "IPsecConnectionService", "ListVPNDevices", &v1.ListVPNDevicesRequest{})
		if err != nil {
			return err
		}
		for _, d := range answer.(*v1.ListVPNDevicesResponse).GetDevices() {
			if strings.HasPrefix(d.GetName(), typed) {
				names = append(names, d.GetName()+"\t"+d.GetTitle())
			}
		}
		return nil
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

func vpnDiagnoseCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{
		Use: "diagnose CONNECTION", Short: "Say what is wrong with an IPsec connection, and what to do", Args: exactly(1, "one name or ID"),
		Long: `Concludes from all that is known: what the gateway reads in strongSwan's log, what
PoPs see on the wire, and the connection's parameters. Each conclusion comes with
what it was drawn from.`,
		Example: "  causeway vpn diagnose office\n  causeway vpn diagnose office -o json | jq '.findings[].code'",
	}
	exitCode := c.Flags().Bool("exit-code", false, "end with 1 when something critical was found")
	output := OutputFlag(c, "table", "json")
	r.flags(c)
	r.completes(c, resource.KindIPsecConnection, 1)
	c.RunE = func(c *cobra.Command, args []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			answer, err := client.Call(ctx, "IPsecConnectionService", "DiagnoseVPN", &v1.GetRequest{Name: args[0]})
			if err != nil {
				return err
			}
			m := answer.(*v1.VPNDiagnosis)
			d := struct {
				Connection string        `json:"connection"`
				State      string        `json:"state"`
				Findings   []vpn.Finding `json:"findings"`
				Sources    []string      `json:"sources"`
			}{m.GetConnection(), m.GetState(), apiform.DecodeFindings(m.GetFindings()), m.GetSources()}
			if output.Is("json") {
				err = printTree(c.OutOrStdout(), d, false)
			} else {
				err = tellDiagnosis(c.OutOrStdout(), d.Connection, d.State, d.Findings, d.Sources)
			}
			if err == nil && *exitCode {
				for _, f := range d.Findings {
					if f.Severity == vpn.Critical {
						return fmt.Errorf("%s: %s", d.Connection, f.Code)
					}
				}
			}
			return err
		})
	}
	return c
}

func tellDiagnosis(w io.Writer, connection, state string, findings []vpn.Finding, sources []string) error {
	fmt.Fprintf(w, "%s is %s\n", connection, state)
	for _, f := range findings {
		fmt.Fprintf(w, "\n%s  %s", strings.ToUpper(string(f.Severity)), f.Code)
		if where := firstLine(f.Field, f.Tunnel); where != "" {
			fmt.Fprintf(w, "  (%s)", where)
		}
		fmt.Fprintf(w, "\n  %s\n", f.Text)
		if f.Local != "" || f.Remote != "" {
			fmt.Fprintf(w, "  here:  %s\n  there: %s\n", f.Local, f.Remote)
		}
		if f.Source != "" {
			at := ""
			if !f.At.IsZero() {
				at = when(f.At) + "  "
			}
			fmt.Fprintf(w, "  seen:  %s%s\n", at, f.Source)
		}
		if f.Fix != "" {
			fmt.Fprintf(w, "  do:    %s\n", f.Fix)
		}
	}
	if len(findings) == 0 {
		fmt.Fprintln(w, "\nNothing was found.")
	}
	_, err := fmt.Fprintf(w, "\nLooked at: %s.\n", strings.Join(sources, "; "))
	return err
}

func vpnStatusCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{
		Use: "status", Short: "Show VPN gateways, IPsec connections and VPN routes", Args: exactly(0, "no arguments"),
		Example: "  causeway vpn status\n  causeway vpn status -o wide",
	}
	output := OutputFlag(c, "table", "wide", "json")
	r.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			w := c.OutOrStdout()
			parts := []pair{}
			for _, n := range []*noun{&vpnGatewayNoun, &ipsecConnectionNoun, &vpnRouteNoun} {
				list, _, err := client.List(ctx, n.kind, &v1.ListRequest{PageSize: 1000})
				if err != nil {
					return err
				}
				if output.Is("json") {
					parts = append(parts, pair{strings.ReplaceAll(string(n.kind), "-", "_") + "s", treeOf(list)})
					continue
				}
				if len(list) == 0 {
					fmt.Fprintf(w, "No %ss.\n\n", n.kind.Noun())
					continue
				}
				fmt.Fprintf(w, "%ss\n", upper(n.kind.Noun()))
				if err := n.table(w, output, list...); err != nil {
					return err
				}
				fmt.Fprintln(w)
				tellReasons(w, list)
			}
			if output.Is("json") {
				return printPairs(w, parts)
			}
			return nil
		})
	}
	return c
}

// tellReasons says why connections are not up.
func tellReasons(w io.Writer, list []resource.Object) {
	for _, o := range list {
		if state, reason := stateOf(o); reason != "" && o.Kind() == resource.KindIPsecConnection {
			fmt.Fprintf(w, "%s is %s: %s\n", resource.RefOf(o), state, reason)
		}
	}
}
