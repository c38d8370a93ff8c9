package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"causeway/internal/agentlink"
	"causeway/internal/cli"
)

// joining is what `causeway pop join` and `causeway gateway join` are told.
type joining struct {
	part  string // "pop" or "gateway": names the unit and its files
	flags string // the variable that the unit reads its flags from
	owner string // the user that the unit runs as; "" is root
	dir   string
	force bool
	start bool
}

func newGatewayJoinCommand() *command {
	j := joining{part: "gateway", flags: "CAUSEWAY_GATEWAY_FLAGS"}
	c := &command{
		Use:   "join CONTROLLER TOKEN",
		Short: "Make this machine a VPN gateway of a controller, and start it as a service",
		Long: `Writes the controller's address and the one-time token where the service of the
package looks for them, and starts the service. '-' in place of the token reads it
from standard input.`,
		Example: "  sudo causeway gateway join https://controller.example.net:4640 -",
		Args:    cobra.ExactArgs(2),
		RunE:    func(c *command, args []string) error { return j.run(c, args[0], args[1]) },
	}
	j.bind(c)
	return c
}

func newPoPJoinCommand() *command {
	j := joining{part: "pop", flags: "CAUSEWAY_POP_FLAGS", owner: "causeway"}
	c := &command{
		Use:   "join CONTROLLER TOKEN",
		Short: "Make this machine a PoP of a controller, and start it as a service",
		Long: `Writes the controller's address and the one-time token where the service of the
package looks for them, and starts the service. The PoP enrols with the token at
its first start; from then on it starts from what is on its disk.

'-' in place of the token reads it from standard input, so that it does not stand
in the shell's history.`,
		Example: "  sudo causeway pop join https://controller.example.net:4640 -\n  ssh root@seoul causeway pop join https://203.0.113.5:4640 $(causeway token create --pop seoul -q)",
		Args:    cobra.ExactArgs(2),
		RunE:    func(c *command, args []string) error { return j.run(c, args[0], args[1]) },
	}
	j.bind(c)
	return c
}

func (j *joining) bind(c *command) {
	c.Flags().StringVar(&j.dir, "config-dir", "/etc/causeway", "folder that the service reads")
	c.Flags().BoolVar(&j.force, "force", false, "replace what an earlier join wrote")
	c.Flags().BoolVar(&j.start, "start", true, "start the service, now and at every boot")
}

// systemdRuns is there where systemd runs the machine. A test has its own.
var systemdRuns = "/run/systemd/system"

// run writes the service's files and starts it.
func (j *joining) run(c *command, controller, token string) error {
	if token == "-" {
		line, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), 4096)).ReadString('\n')
		if line = strings.TrimSpace(line); line == "" || err != nil && !errors.Is(err, io.EOF) {
			return cli.Misuse("no token came on standard input; give the line that 'causeway token create' printed")
		}
		token = line
	}
	if u, err := url.Parse(controller); err != nil || u.Scheme != "https" || u.Host == "" || strings.ContainsAny(controller, " \t\n\"'\\") {
		return cli.Misuse("CONTROLLER is %q; allowed: https://HOST:PORT, such as https://controller.example.net:%s", controller, cli.DefaultPort)
	}
	if _, _, err := agentlink.SplitToken(token); err != nil {
		return cli.Misuse("TOKEN: %v", err)
	}
	env, secret := filepath.Join(j.dir, j.part+".env"), filepath.Join(j.dir, j.part+".token")
	if _, err := os.Stat(env); !j.force && !errors.Is(err, fs.ErrNotExist) {
		return &cli.Error{Err: fmt.Errorf("%s is there already: this machine has joined before", env), Code: cli.Conflict, Fix: "--force replaces it"}
	}
	if err := os.MkdirAll(j.dir, 0o755); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if err := j.write(secret, 0o600, strings.TrimSpace(token)+"\n"); err != nil {
		return err
	}
	text := fmt.Sprintf("# Written by 'causeway %s join'; the service's flags. See 'causeway %s --help'.\n%s=--controller %s --token-file %s\n",
		j.part, j.part, j.flags, controller, secret)
	if err := j.write(env, 0o640, text); err != nil {
		return err
	}
	unit := "causeway-" + j.part + ".service"
	if _, err := os.Stat(systemdRuns); !j.start || err != nil {
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s says what to do. Start it with: systemctl enable --now %s\n", env, unit)
		return err
	}
	// Restarted, not only started: it may run already, by what was there before.
	for _, verb := range []string{"enable", "restart"} {
		if out, err := exec.CommandContext(c.Context(), "systemctl", verb, unit).CombinedOutput(); err != nil {
			return &cli.Error{What: verb + " " + unit, Err: fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out))), Fix: "look at: journalctl -u " + unit}
		}
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s runs. See it with: causeway %s status\n", unit, j.part)
	return err
}

// write writes a file whole, for the service's user where there is one.
func (j *joining) write(file string, mode fs.FileMode, text string) error {
	part := file + ".part"
	if err := os.WriteFile(part, []byte(text), mode); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if u, err := user.Lookup(j.owner); err == nil && j.owner != "" {
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(part, uid, gid); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	if err := os.Rename(part, file); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return nil
}
