package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"causeway/internal/cli"
	"causeway/internal/doctor"
	"causeway/internal/supportbundle"
)

// bundleOptions are the flags of `causeway support-bundle`.
type bundleOptions struct {
	doctorOptions
	file  string
	files []string
	since string
}

func newSupportBundleCommand() *command {
	var o bundleOptions
	c := &command{
		Use:   "support-bundle",
		Short: "Pack what somebody needs who is to help, without secrets",
		Long: `Writes one tar.gz with what the daemons on this machine say of themselves, what the
doctor finds, their logs, and how the kernel's network is set up. Keys, pre-shared
keys, tokens and passwords are taken out of everything; addresses and names are not.
Look through it before you send it: README.txt in it lists what is there.`,
		Example: `  causeway support-bundle
  causeway support-bundle --out /tmp/sh1.tar.gz --since "2 hours ago"
  causeway support-bundle --add /etc/causeway/pop.yaml`,
		Args: noArgs,
		RunE: func(c *command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.StringVar(&o.file, "out", "", "file to write (default: causeway-support-HOST-TIME.tar.gz here)")
	f.StringArrayVar(&o.files, "add", nil, "text file to add, secrets taken out; may be given several times")
	f.StringVar(&o.since, "since", "24 hours ago", "how far back logs go, as journalctl has it")
	f.StringVar(&o.stateDir, "state-dir", defaultStateDir, "the PoP's state folder")
	o.at.flags(c)
	_ = c.MarkFlagFilename("out", "tar.gz")
	_ = c.MarkFlagFilename("add")
	return c
}

func (o bundleOptions) run(c *command) error {
	now := time.Now()
	host, _ := os.Hostname()
	name := fmt.Sprintf("causeway-support-%s-%s", strings.Map(plainName, host), now.UTC().Format("20060102T150405Z"))
	file := o.file
	if file == "" {
		file = name + ".tar.gz"
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &cli.Error{What: "write the bundle", Err: err, Fix: "choose another file with --out"}
	}
	index, err := supportbundle.Write(c.Context(), out, name, now, o.parts())
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(file)
		return err
	}
	fmt.Fprint(c.OutOrStdout(), index)
	fmt.Fprintf(c.OutOrStdout(), "\nwrote %s\n", file)
	return nil
}

// plainName keeps what a file's name may have.
func plainName(r rune) rune {
	if r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}

// parts is what goes into the bundle.
func (o bundleOptions) parts() []supportbundle.Part {
	parts := []supportbundle.Part{
		{Name: "version.json", About: "this program", Collect: func(context.Context) ([]byte, error) {
			return json.MarshalIndent(map[string]any{"build": build(), "os": runtime.GOOS, "arch": runtime.GOARCH, "cpus": runtime.NumCPU()}, "", "  ")
		}},
		{Name: "pop/status.json", About: "what the PoP says of itself", Collect: func(ctx context.Context) ([]byte, error) {
			p, err := o.at.report(ctx)
			if err != nil {
				return nil, err
			}
			return json.MarshalIndent(p, "", "  ")
		}},
		{Name: "pop/history.json", About: "which series of history there are", Collect: func(ctx context.Context) ([]byte, error) {
			return o.at.client().Get(ctx, "/history")
		}},
		{Name: "doctor.json", About: "what the doctor finds", Collect: func(ctx context.Context) ([]byte, error) {
			ctx, cancel := context.WithTimeout(ctx, doctorPatience)
			defer cancel()
			return json.MarshalIndent(doctor.Run(ctx, o.target(ctx)), "", "  ")
		}},
		{Name: "state-dir.txt", About: "files of the state folder, without their content", Collect: func(context.Context) ([]byte, error) { return listing(o.stateDir) }},
	}
	for name, address := range map[string]string{"pop": "127.0.0.1:9464", "controller": "127.0.0.1:9465", "gateway": "127.0.0.1:9466"} {
		parts = append(parts,
			supportbundle.Part{Name: name + "/metrics.txt", About: "its metrics", Collect: webPage("http://" + address + "/metrics")},
			supportbundle.Part{Name: name + "/readyz.txt", About: "its readiness", Collect: webPage("http://" + address + "/readyz?verbose")})
	}
	for _, run := range [][]string{
		{"log/causeway.txt", "logs of the daemons", "journalctl", "--no-pager", "-o", "short-iso", "--since", o.since, "-u", "causeway*"},
		{"log/strongswan.txt", "log of the IKE daemon", "journalctl", "--no-pager", "-o", "short-iso", "--since", o.since, "-u", "strongswan*"},
		{"kernel/uname.txt", "kernel", "uname", "-a"},
		{"network/address.txt", "addresses", "ip", "-details", "address"},
		{"network/link.txt", "devices and what they lost", "ip", "-statistics", "link"},
		{"network/route.txt", "routes of all tables", "ip", "route", "show", "table", "all"},
		{"network/rule.txt", "routing rules", "ip", "rule"},
		{"network/sockets.txt", "UDP sockets", "ss", "-lunpm"},
		{"network/nft.txt", "packet filter", "nft", "list", "ruleset"},
	} {
		parts = append(parts, supportbundle.Part{Name: run[0], About: run[1], Collect: output(run[2:]...)})
	}
	for name, path := range map[string]string{
		"kernel/meminfo.txt": "/proc/meminfo", "kernel/loadavg.txt": "/proc/loadavg", "kernel/snmp.txt": "/proc/net/snmp", "kernel/softnet.txt": "/proc/net/softnet_stat",
		"kernel/os-release.txt": "/etc/os-release", "kernel/limits.txt": "/proc/self/limits",
	} {
		parts = append(parts, supportbundle.Part{Name: name, About: path, Collect: fileText(path)})
	}
	for i, path := range o.files {
		parts = append(parts, supportbundle.Part{Name: fmt.Sprintf("added/%d-%s", i+1, filepath.Base(path)), About: path, Collect: fileText(path)})
	}
	return parts
}

func fileText(path string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return os.ReadFile(path) }
}

// output is what a program prints, on both its outputs.
func output(command ...string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		text, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
		if err != nil && len(text) > 0 {
			return append(text, []byte("\n("+err.Error()+")\n")...), nil
		}
		return text, err
	}
}

func webPage(url string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		return io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	}
}

// listing is the files below a folder with their modes and sizes.
func listing(dir string) ([]byte, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil {
			fmt.Fprintf(&b, "%s %12d %s %s\n", info.Mode(), info.Size(), info.ModTime().UTC().Format(time.RFC3339), path)
		}
		return nil
	})
	return []byte(b.String()), err
}
