package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"causeway/internal/apiclient"
	"causeway/internal/cli"
	labreport "causeway/internal/lab/report"
	"causeway/internal/livereport"
)

// reportOptions are the flags of `causeway report`.
type reportOptions struct {
	at              atPoP
	profile         string
	from, to        string
	ingress, egress string
	files           []string
}

func newReportCommand() *command {
	var o reportOptions
	c := &command{
		Use:   "report ACCELERATOR",
		Short: "Show what an accelerator is worth: before and after, for any period",
		Long: `Shows loss and delay between the PoPs of an accelerator, before and after: over the
Internet alone, as probes once a second saw it, and through the overlay, in the
same seconds. With a table as mtr prints it, charts, and what was lost in a row.

What is reported was kept by the PoP itself (with --socket, or where there is no
profile: every ping of eight days, then means) or by the controller (means of ten
seconds for a day, of five minutes for sixty days).

--out writes files, in the form that their endings say: .html (one file without
anything outside, which prints to A4), .svg, .png, .json, .csv, .txt. ACCELERATOR
may be a listener's name.`,
		Example: `  causeway report office
  causeway report office --from 48h --out office.html --out office.png
  causeway report office --from 2026-11-20T00:00:00Z --to 2026-11-22T00:00:00Z --out office.csv
  causeway report office --socket /run/causeway/pop.sock -o json | jq .direct.loss`,
		Args: cobra.ExactArgs(1),
	}
	output := cli.OutputFlag(c, "table", "json", "csv")
	f := c.Flags()
	f.StringVar(&o.from, "from", "48h", "begin of the period: so long ago, or a time as 2026-11-20T15:04:05Z")
	f.StringVar(&o.to, "to", "0s", "end of the period, likewise")
	f.StringVar(&o.ingress, "ingress", "", "PoP that clients send to, where there are several")
	f.StringVar(&o.egress, "egress", "", "PoP where traffic leaves, where there are several")
	f.StringArrayVar(&o.files, "out", nil, "file to write, by its ending; may be given several times")
	f.StringVar(&o.profile, "profile", "", "file that says which controller to ask (default: $"+cli.ProfileEnv+", ~/.config/causeway/profile.yaml)")
	o.at.flags(c)
	_ = c.MarkFlagFilename("out", livereport.Formats...)
	c.RunE = func(c *command, args []string) error { return o.run(c, args[0], output) }
	return c
}

func (o reportOptions) run(c *command, accelerator string, output *cli.Format) error {
	now := time.Now()
	from, err := instant("from", o.from, now)
	if err != nil {
		return err
	}
	to, err := instant("to", o.to, now)
	if err != nil {
		return err
	}
	if !from.Before(to) {
		return cli.Misuse("the period from %s to %s is none", from.Format(time.RFC3339), to.Format(time.RFC3339)).WithFix("--from must lie before --to")
	}
	formats := make([]string, len(o.files))
	for i, file := range o.files {
		if formats[i], err = livereport.FormatOf(file); err != nil {
			return cli.Misuse("%w", err)
		}
	}
	ctx, cancel := context.WithTimeout(c.Context(), max(o.at.timeout, time.Minute))
	defer cancel()
	source, done, err := o.source(c)
	if err != nil {
		return err
	}
	defer done()
	d, err := livereport.Make(ctx, source, livereport.Options{
		Accelerator: accelerator, From: from, To: to, Ingress: o.ingress, Egress: o.egress, Version: build().Version,
	})
	if err != nil {
		return explainReport(err)
	}
	for i, file := range o.files {
		content, err := livereport.Render(d, formats[i])
		if err == nil {
			err = writeFile(file, content)
		}
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		fmt.Fprintf(c.ErrOrStderr(), "wrote %s\n", file)
	}
	return o.print(c, d, output)
}

// print shows the report, unless it only was to be written.
func (o reportOptions) print(c *command, d labreport.Data, output *cli.Format) error {
	switch {
	case output.Is("json"), output.Is("csv"):
		content, err := livereport.Render(d, output.String())
		if err == nil {
			_, err = c.OutOrStdout().Write(content)
		}
		return err
	case len(o.files) > 0:
		return nil
	}
	width, colour := labreport.Terminal(os.Stdout)
	return labreport.Table(c.OutOrStdout(), d, width, colour)
}

// source is the PoP on this machine when its socket is named or nobody says which
// controller to ask, otherwise the controller.
func (o reportOptions) source(c *command) (livereport.Source, func(), error) {
	if c.Flags().Changed("socket") {
		return livereport.AtPoP{Client: o.at.client()}, func() {}, nil
	}
	profile, err := cli.ReadProfile(o.profile)
	if cli.CodeOf(err) == cli.NotFound && o.profile == "" {
		return livereport.AtPoP{Client: o.at.client()}, func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	client := apiclient.New(profile)
	return livereport.AtController{Client: client}, client.Close, nil
}

// instant reads a time: so long ago, or when.
func instant(flag, text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(strings.TrimPrefix(text, "-")); err == nil {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, cli.Misuse("--%s is %q; allowed: a length of time as 48h, or a time as 2026-11-20T15:04:05Z, 2026-11-20T15:04 or 2026-11-20", flag, text)
}

// writeFile puts content at path, whole or not at all.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func explainReport(err error) error {
	switch {
	case errors.Is(err, livereport.ErrUnknown):
		return &cli.Error{What: "make the report", Err: err, Code: cli.NotFound,
			Fix: "causeway accelerator list shows names; the PoP that clients send to must have reported to this controller, or name its socket with --socket"}
	case errors.Is(err, livereport.ErrNothing):
		return &cli.Error{What: "make the report", Err: err, Code: cli.NotFound,
			Fix: "choose a period in which the PoP ran; it asks the PoPs that its listeners send to, from the moment it runs, unless --probe-paths says otherwise"}
	}
	return unreachable(err)
}
