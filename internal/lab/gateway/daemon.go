package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"causeway/internal/lab/process"
)

// charonPaths are where distributions put the daemon that can be started by
// hand, several times, without a pid file.
var charonPaths = []string{"/usr/sbin/charon-systemd", "/usr/libexec/ipsec/charon-systemd", "/usr/lib/strongswan/charon-systemd"}

// Charon is the path of charon-systemd, or "" where it is not installed.
func Charon() string {
	for _, p := range charonPaths {
		if info, err := os.Stat(p); err == nil && info.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}

// Start writes the gateway's files, starts charon in its namespace, waits until
// it answers, gives it large socket buffers and loads its connections. Nothing
// is initiated. started is called as soon as there is a process, so that it is
// on record whatever comes after.
func Start(ctx context.Context, c Config, started func(process.Record) error) (Gateway, error) {
	g := Gateway{Dir: c.Dir}
	if err := g.write(c); err != nil {
		return g, fmt.Errorf("gateway %s: %w", c.Name, err)
	}
	var err error
	g.Process, err = process.Start(process.Spec{
		Name: "gateway/" + c.Name,
		Args: []string{Charon()},
		Env:  g.env(),
		Log:  c.Dir + "/charon.out",
		In:   c.In,
		Nice: process.First,
	})
	if err != nil {
		return g, err
	}
	if err := started(g.Process); err != nil {
		return g, err
	}
	if err := g.await(ctx); err != nil {
		return g, fmt.Errorf("gateway %s: %w", c.Name, err)
	}
	if err := growReceiveBuffers(g.Process.PID, receiveBuffer); err != nil {
		return g, fmt.Errorf("gateway %s: %w", c.Name, err)
	}
	if err := lengthenQueue(c); err != nil {
		return g, fmt.Errorf("gateway %s: %w", c.Name, err)
	}
	if _, err := g.run(ctx, "--load-all", "--file", g.swanctl()); err != nil {
		return g, fmt.Errorf("gateway %s: load connections: %w", c.Name, err)
	}
	return g, nil
}

// lengthenQueue lets more packets wait for a charon that encrypts itself. The
// default of 500 is full when charon waits 200 ms for a processor at 30 Mbit/s.
func lengthenQueue(c Config) error {
	if c.Backend != Libipsec {
		return nil
	}
	var out []byte
	err := c.In(func() (err error) {
		out, err = exec.Command("ip", "link", "set", "dev", "ipsec0", "txqueuelen", "4000").CombinedOutput()
		return err
	})
	if err != nil {
		return fmt.Errorf("lengthen the queue of ipsec0: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (g Gateway) write(c Config) error {
	if err := os.MkdirAll(g.Dir, 0o700); err != nil {
		return err
	}
	for _, k := range c.Connections {
		if k.Authority == nil {
			continue
		}
		if err := k.Authority.write(g.Dir, k.LocalID); err != nil {
			return err
		}
	}
	if err := os.WriteFile(g.conf(), []byte(strongswanConf(c.Dir, c.Backend, c.Impatient)), 0o600); err != nil {
		return err
	}
	return os.WriteFile(g.swanctl(), []byte(swanctlConf(c.Connections)), 0o600)
}

// env makes charon and swanctl read this gateway's files and nobody else's.
func (g Gateway) env() []string {
	return []string{"STRONGSWAN_CONF=" + g.conf(), "SWANCTL_DIR=" + g.Dir}
}

// await waits for the control socket to answer.
func (g Gateway) await(ctx context.Context) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := os.Stat(g.socket()); err == nil {
			if _, err := g.run(ctx, "--stats"); err == nil {
				return nil
			}
		}
		switch {
		case !g.Process.Alive():
			return fmt.Errorf("charon ended while starting; its last words: %s", g.lastWords())
		case time.Now().After(deadline):
			return fmt.Errorf("charon does not answer on %s after 10s; its last words: %s", g.socket(), g.lastWords())
		case ctx.Err() != nil:
			return ctx.Err()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (g Gateway) lastWords() string {
	for _, f := range []string{g.Log(), g.Dir + "/charon.out"} {
		b, _ := os.ReadFile(f)
		if lines := strings.Split(strings.TrimSpace(string(b)), "\n"); lines[0] != "" {
			return strings.Join(lines[max(0, len(lines)-3):], " | ")
		}
	}
	return "none"
}

// run calls swanctl on this gateway. It can be called from any namespace: the
// control socket is a path.
func (g Gateway) run(ctx context.Context, args ...string) (string, error) {
	if g.Agent {
		args = append(args, "--uri", "unix://"+g.socket())
	}
	cmd := exec.CommandContext(ctx, "swanctl", args...)
	cmd.Env = append(os.Environ(), g.env()...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		words := strings.TrimSpace(errs.String())
		if words == "" {
			words = lastLine(string(out))
		}
		err = fmt.Errorf("swanctl %s: %s (exit code %d)", strings.Join(args, " "), words, exit.ExitCode())
	}
	return string(out), err
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// Configure gives the running daemon another swanctl.conf in place of the one it has,
// with the files in its directory that this one names, and forgets all SAs.
func (g Gateway) Configure(ctx context.Context, conf string) error {
	if err := os.WriteFile(g.swanctl(), []byte(conf), 0o600); err != nil {
		return err
	}
	sas, err := g.SAs(ctx)
	if err != nil {
		return err
	}
	for _, sa := range sas {
		_ = g.Terminate(ctx, sa.Connection) // one may be gone with another
	}
	_, err = g.run(ctx, "--load-all", "--clear", "--file", g.swanctl())
	return err
}

// Initiate brings a tunnel up from this end and returns how long that took.
func (g Gateway) Initiate(ctx context.Context, connection string, timeout time.Duration) (time.Duration, error) {
	begin := time.Now()
	if g.Agent { // which gives up sooner than we do, and then goes on by itself
		for {
			err := g.agent().Initiate(ctx, g.Prefix+connection)
			if err != nil {
				_, _, err = g.Up(ctx, connection)
			}
			if err == nil || ctx.Err() != nil || time.Since(begin) > timeout {
				return time.Since(begin), err
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	_, err := g.run(ctx, "--initiate", "--ike", connection, "--child", connection, "--timeout", fmt.Sprint(int(timeout.Seconds())))
	return time.Since(begin), err
}

// RekeyIKE and RekeyChild renew keys now.
func (g Gateway) RekeyIKE(ctx context.Context, connection string) error {
	_, err := g.run(ctx, "--rekey", "--ike", g.Prefix+connection)
	return err
}

func (g Gateway) RekeyChild(ctx context.Context, connection string) error {
	_, err := g.run(ctx, "--rekey", "--child", g.Prefix+connection)
	return err
}

// Terminate takes a tunnel down, telling the peer when it can be reached.
func (g Gateway) Terminate(ctx context.Context, connection string) error {
	if g.Agent {
		return g.agent().Terminate(ctx, g.Prefix+connection)
	}
	_, err := g.run(ctx, "--terminate", "--ike", g.Prefix+connection, "--force", "--timeout", "1")
	return err
}
