package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/netns"
	"causeway/internal/lab/scenario"
	"causeway/internal/lab/wan"
)

// MissingError is what a lab needs and this machine lacks, one sentence a line,
// each with the command that mends it.
type MissingError struct{ Sentences []string }

func (e *MissingError) Error() string { return strings.Join(e.Sentences, "\n") }

// ExitCode is what the program ends with.
func (e *MissingError) ExitCode() int { return 2 }

// tool is a program that a lab calls.
type tool struct {
	name, purpose, pkg string
	present            func() bool
}

func inPath(program string) func() bool {
	return func() bool { _, err := exec.LookPath(program); return err == nil }
}

// Require returns nil when this machine can run the scenario, or *MissingError.
func Require(s *scenario.Scenario) error {
	var missing netMissing
	if err := netns.Check(); err != nil {
		missing.add(err)
	}
	tools := []tool{
		{"charon-systemd", "to be the sites' VPN gateways", "charon-systemd", func() bool { return gateway.Charon() != "" }},
		{"swanctl", "to drive the VPN gateways", "strongswan-swanctl", inPath("swanctl")},
		{"ip", "to see whether the kernel can do ESP", "iproute2", inPath("ip")},
	}
	if s != nil && len(s.Measure.Iperf) > 0 {
		tools = append(tools, tool{"iperf3", "to measure throughput", "iperf3", inPath("iperf3")})
	}
	if s != nil && len(s.Routers) > 0 {
		tools = append(tools, tool{"nft", "to give sites behind a router one address", "nftables", inPath("nft")})
	}
	for _, t := range tools {
		if !t.present() {
			missing.tool(t)
		}
	}
	return missing.err()
}

// requireLibipsec is asked for once it is known that the kernel has no ESP.
func requireLibipsec() error {
	for _, dir := range []string{"/usr/lib/ipsec/plugins", "/usr/lib64/ipsec/plugins", "/usr/lib64/strongswan/plugins", "/usr/libexec/ipsec/plugins"} {
		if found, _ := filepath.Glob(filepath.Join(dir, "libstrongswan-kernel-libipsec.so")); len(found) > 0 {
			return nil
		}
	}
	var missing netMissing
	missing.tool(tool{name: "strongSwan's plugin kernel-libipsec", purpose: "because this kernel has no ESP", pkg: "libcharon-extra-plugins"})
	return missing.err()
}

// netMissing collects sentences.
type netMissing struct{ sentences []string }

func (m *netMissing) add(err error) {
	var known *netns.Missing
	if errors.As(err, &known) {
		err = known
	}
	m.sentences = append(m.sentences, err.Error())
}

func (m *netMissing) tool(t tool) {
	m.sentences = append(m.sentences, t.name+" is needed "+t.purpose+" and is not installed: run `apt-get install -y "+t.pkg+"`")
}

func (m *netMissing) err() error {
	if len(m.sentences) == 0 {
		return nil
	}
	return &MissingError{Sentences: slices.Clone(m.sentences)}
}

// coded is an error that the program ends with a number of its own for.
type coded struct {
	text string
	code int
}

func (e *coded) Error() string { return e.text }

// ExitCode is what the program ends with.
func (e *coded) ExitCode() int { return e.code }

// The codes that `causeway help exit-codes` explains.
const (
	usage    = 2
	notFound = 3
	conflict = 5
)

func fail(code int, format string, args ...any) error {
	return &coded{text: fmt.Sprintf(format, args...), code: code}
}

// NoLab is the error about a lab that is not there.
func NoLab(name string) error {
	return fail(notFound, "there is no lab %q; `causeway lab list` shows those there are", name)
}

// Selftest is the emulator's own, with what this machine lacks said as for a lab.
func Selftest(ctx context.Context, out io.Writer, o wan.SelftestOptions) (*wan.SelftestResult, error) {
	r, err := wan.Selftest(ctx, out, o)
	var known *netns.Missing
	if errors.As(err, &known) {
		err = &MissingError{Sentences: []string{known.Error()}}
	}
	return r, err
}
